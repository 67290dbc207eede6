using Rlgf.Advantages;
using static TorchSharp.torch;

namespace Rlgf.Tests.Advantages;

public class GeneralizedAdvantageTests
{
    [Fact]
    public void Golden_advantages_and_returns_are_met()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/gae.json"))
        {
            var name = golden.GetProperty("name").GetString()!;
            var bootstraps = golden.GetProperty("bootstrap_cut_rows").GetBoolean();
            var actual = GeneralizedAdvantage.Estimate(
                golden.Tensor("values"), golden.Tensor("rewards"), golden.Tensor("lengths").to(ScalarType.Int64), golden.Number("gamma"), golden.Number("lambda"),
                bootstraps ? golden.Tensor("value_after_last") : null, bootstraps ? golden.Tensor("ended").to(ScalarType.Bool) : null);
            Golden.AssertClose(golden.GetProperty("advantages"), actual.Advantages, name);
            Golden.AssertClose(golden.GetProperty("returns"), actual.Returns, name);
        }
    }

    [Fact]
    public void Four_steps_by_hand()
    {
        using var scope = NewDisposeScope();
        // γ = 0.5, λ = 0.5, so γλ = 0.25.      t:     0    1    2    3
        var values = tensor(new[,] { { 2.0, 4.0, 8.0, 16.0 } });
        var rewards = tensor(new[,] { { 1.0, 0.0, 0.0, 20.0 } });
        // δ_3 = 20 + 0.5·0  − 16 = 4           Â_3 = 4
        // δ_2 = 0  + 0.5·16 − 8  = 0           Â_2 = 0 + 0.25·4    = 1
        // δ_1 = 0  + 0.5·8  − 4  = 0           Â_1 = 0 + 0.25·1    = 0.25
        // δ_0 = 1  + 0.5·4  − 2  = 1           Â_0 = 1 + 0.25·0.25 = 1.0625
        var ended = GeneralizedAdvantage.Estimate(values, rewards, tensor(new long[] { 4 }), 0.5, 0.5);
        Golden.AssertClose(tensor(new[,] { { 1.0625, 0.25, 1.0, 4.0 } }), ended.Advantages, "ended");
        Golden.AssertClose(tensor(new[,] { { 3.0625, 4.25, 9.0, 20.0 } }), ended.Returns, "ended");

        // Cut where the critic says 32: δ_3 = 20 + 0.5·32 − 16 = 20, Â_3 = 20, Â_2 = 5, Â_1 = 1.25, Â_0 = 1.3125.
        var cut = GeneralizedAdvantage.Estimate(values, rewards, tensor(new long[] { 4 }), 0.5, 0.5, tensor(new[] { 32.0 }), tensor(new[] { false }));
        Golden.AssertClose(tensor(new[,] { { 1.3125, 1.25, 5.0, 20.0 } }), cut.Advantages, "cut");
    }

    [Fact]
    public void Padding_is_never_read_even_if_it_is_not_a_number()
    {
        using var scope = NewDisposeScope();
        var values = tensor(new[,] { { 1.0, double.NaN, double.PositiveInfinity }, { double.NaN, double.NaN, double.NaN } });
        var actual = GeneralizedAdvantage.Estimate(values, values, tensor(new long[] { 1, 0 }), 1, 1);
        // δ_0 = 1 − 1 = 0
        Golden.AssertClose(zeros([2, 3], ScalarType.Float64), actual.Advantages, "advantages");
        Golden.AssertClose(tensor(new[,] { { 1.0, 0.0, 0.0 }, { 0.0, 0.0, 0.0 } }), actual.Returns, "returns");
    }

    [Fact]
    public void The_dtype_stays_and_no_gradient_and_no_tensor_is_left_behind()
    {
        using var scope = NewDisposeScope();
        var values = rand([2, 5], ScalarType.Float32, requires_grad: true);
        var rewards = rand([2, 5], ScalarType.Float32);
        var lengths = tensor(new long[] { 5, 2 });
        var before = scope.DisposablesCount;
        var actual = GeneralizedAdvantage.Estimate(values, rewards, lengths, 0.99, 0.95);
        Assert.Equal(ScalarType.Float32, actual.Advantages.dtype);
        Assert.False(actual.Returns.requires_grad);
        Assert.Equal(before + 2, scope.DisposablesCount);
    }

    [Fact]
    public void A_shape_that_would_broadcast_is_refused()
    {
        using var scope = NewDisposeScope();
        var values = zeros([2, 3], ScalarType.Float64);
        var message = Assert.Throws<ArgumentException>(() => GeneralizedAdvantage.Estimate(values, zeros([1, 3]), tensor(new long[] { 3, 3 }), 1, 1)).Message;
        Assert.StartsWith("rewards must be [2, 3], it is [1, 3].", message);
        Assert.Throws<ArgumentNullException>(() => GeneralizedAdvantage.Estimate(values, values, tensor(new long[] { 3, 3 }), 1, 1, zeros([2])));
    }
}
