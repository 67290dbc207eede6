using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

public sealed class BlockTests : IDisposable
{
    private readonly DisposeScope _scope;

    public BlockTests()
    {
        TorchRuntime.Load();
        _scope = NewDisposeScope();
    }

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_rms_norm_and_its_gradient_are_those_of_the_definition(bool fromOne)
    {
        using var random = new Generator(1);
        using var norm = new RmsNorm(64, epsilon: 0.01, fromOne, CPU);
        var weight = norm.parameters().Single();
        using (no_grad()) weight.normal_(0, 1, random);
        var x = randn([3, 5, 64], generator: random);
        x[0, 0] = zeros(64); // where only ε keeps it from dividing by zero
        x.requires_grad = true;
        var towards = randn([3, 5, 64], generator: random);

        var normed = norm.Forward(x);
        (normed * towards).sum().backward();

        var (exactX, exactWeight) = (x.detach().to(float64), weight.detach().to(float64));
        exactX.requires_grad = exactWeight.requires_grad = true;
        var exact = exactX / (exactX.square().mean([-1], keepdim: true) + 0.01).sqrt() * (fromOne ? exactWeight + 1 : exactWeight);
        (exact * towards).sum().backward();
        Fixture.Close(exact.detach(), normed, 2e-6);
        Fixture.Close(exactX.grad!, x.grad!, 2e-5);
        Fixture.Close(exactWeight.grad!, weight.grad!, 2e-5);
    }

    [Fact]
    public void A_linear_map_multiplies_by_the_transposed_weight_and_shifts_where_it_has_a_bias()
    {
        using var shifting = new Linear(2, 3, bias: true, CPU);
        using var plain = new Linear(2, 3, bias: false, CPU);
        Assert.Equal(["weight", "bias"], ModuleWeights.Named(shifting).Select(pair => pair.Key));
        Assert.Equal(["weight"], ModuleWeights.Named(plain).Select(pair => pair.Key));
        using var gradients = no_grad();
        foreach (var map in (Linear[])[shifting, plain]) map.parameters().First().copy_(tensor(new float[,] { { 1, 2 }, { 3, 4 }, { 5, 6 } }));
        shifting.parameters().Last().copy_(tensor([10f, 20f, 30f]));
        Fixture.Close(tensor(new float[,] { { 5, 11, 17 } }), plain.Forward(tensor(new float[,] { { 1, 2 } })), 0);
        Fixture.Close(tensor(new float[,] { { 15, 31, 47 } }), shifting.Forward(tensor(new float[,] { { 1, 2 } })), 0);
    }
}
