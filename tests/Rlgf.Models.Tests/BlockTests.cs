using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Lora;
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

    [Theory]
    [InlineData("""{"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}}""", new[] { 1 / 4.0, 0.1 / 4.0 })]
    [InlineData("""{"rope_theta": 100.0, "rope_scaling": {"type": "linear", "factor": 4.0}}""", new[] { 1 / 4.0, 0.1 / 4.0 })]
    [InlineData("""{"rope_theta": 100.0, "partial_rotary_factor": 0.5}""", new[] { 1.0 })]
    [InlineData("""{}""", new[] { 1.0, 0.01 })] // a base of 10000
    // 60 tokens are 9.5 turns of the first pair and 0.95 of the second: above 4 turns a pair is kept, below 1 it is slowed down by the factor.
    [InlineData("""{"rope_parameters": {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 60}}""", new[] { 1.0, 0.1 / 8 })]
    // 100 tokens are 2.5 turns of the second pair, in the middle between 1 and 4: half of it is slowed down.
    [InlineData("""{"rope_parameters": {"rope_type": "llama3", "rope_theta": 40.528473457, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 100}}""", new[] { 1.0, 0.15707963 * (0.5 + 0.5 / 8) })]
    public void Frequencies_of_the_rotation_are_those_of_the_configuration(string json, double[] expected)
    {
        var configuration = new ModelConfiguration((JsonObject)JsonNode.Parse(json)!, "test");
        var frequencies = RotarySettings.Read(configuration, headSize: 4).Frequencies;
        Assert.Equal(expected.Length, frequencies.Length);
        foreach (var (wanted, frequency) in expected.Zip(frequencies)) Assert.Equal(wanted, frequency, 1e-6);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pairs_turn_by_position_times_frequency_and_the_rest_of_a_head_stays(bool interleaved)
    {
        using var tables = new RotaryTables(new RotarySettings([0.5f, 0.02f], interleaved), CPU);
        using var random = new Generator(1);
        var x = randn([1, 1000, 2, 6], generator: random);
        foreach (var columns in new[] { 3, 1000, 5 }) // longer than the tables, and short again
        {
            var turned = tables.At(null, 1, columns, columns).Apply(x.narrow(1, 0, columns));
            var position = columns - 1;
            foreach (var (pair, frequency) in new[] { (0, 0.5), (1, 0.02) })
            {
                var (first, second) = interleaved ? (2 * pair, 2 * pair + 1) : (pair, pair + 2);
                var (a, b) = (x[0, position, 1, first].item<float>(), x[0, position, 1, second].item<float>());
                var (sine, cosine) = Math.SinCos(position * frequency);
                Assert.Equal(a * cosine - b * sine, turned[0, position, 1, first].item<float>(), 1e-4);
                Assert.Equal(b * cosine + a * sine, turned[0, position, 1, second].item<float>(), 1e-4);
            }

            Fixture.Close(x.narrow(1, 0, columns).narrow(3, 4, 2), turned.narrow(3, 4, 2), 0);
        }

        var given = tables.At(new TokenPositions(tensor(new long[] { 7, 2 }), 8), 2, 1, 8).Apply(x.narrow(1, 0, 2).view(2, 1, 2, 6));
        Fixture.Close(tables.At(null, 1, 8, 8).Apply(x.narrow(1, 0, 1).expand(1, 8, 2, 6))[0, 7], given[0, 0], 0);
        Fixture.Close(tables.At(null, 1, 8, 8).Apply(x.narrow(1, 1, 1).expand(1, 8, 2, 6))[0, 2], given[1, 0], 0);
    }
}
