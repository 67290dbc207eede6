using System.Text.Json;
using Rlgf.Losses;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

public class ClippedValueLossTests
{
    [Theory, MemberData(nameof(ClippedPolicyLossTests.Reductions), MemberType = typeof(ClippedPolicyLossTests))]
    public void Golden_losses_and_gradients_are_met_whole_and_in_parts(string name, LossReduction reduction)
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/ppo_value_loss.json"))
        {
            double? clip = golden.GetProperty("clip") is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : null;
            Tensor old = golden.Tensor("old_values"), returns = golden.Tensor("returns"), mask = golden.Tensor("mask");
            var expected = golden.GetProperty("losses").GetProperty(name);

            var values = golden.Tensor("values").requires_grad_();
            var whole = ClippedValueLoss.Compute(values, old, returns, mask, clip, reduction);
            whole.Loss.backward();
            Golden.AssertClose(expected.GetProperty("loss"), whole.Loss, name);
            Golden.AssertClose(expected.GetProperty("gradient"), values.grad, name);
            Golden.AssertClose(golden.Number("clip_fraction"), Fraction(whole), name);

            values = golden.Tensor("values").requires_grad_();
            var denominator = MaskedReduction.Denominator(mask, reduction);
            for (var b = 0; b < 3; b++)
            {
                Tensor Row(Tensor x) => x.narrow(0, b, 1);
                ClippedValueLoss.Compute(Row(values), Row(old), Row(returns), Row(mask), clip, reduction, denominator).Loss.backward();
            }
            Golden.AssertClose(expected.GetProperty("gradient"), values.grad, $"{name} in parts");
        }
    }

    // Old value 0, clip range 1.
    [Theory]
    [InlineData(0.5, 2.0, 1.125, -1.5, 0)]    // inside: ½ (0.5 − 2)², gradient v − R
    [InlineData(1.5, 3.0, 2.0, 0.0, 1)]       // moved too far towards R: ½ max(1.5², (1 − 3)²) = 2, no gradient
    [InlineData(1.5, -1.0, 3.125, 2.5, 0)]    // moved away from R: ½ max(2.5², 2²), comes back
    [InlineData(-1.5, -3.0, 2.0, 0.0, 1)]     // the same below
    public void Each_branch_of_the_clip_by_hand(double value, double target, double loss, double gradient, double clipFraction)
    {
        using var scope = NewDisposeScope();
        var values = tensor(new[,] { { value } }).requires_grad_();
        var actual = ClippedValueLoss.Compute(values, zeros_like(values), tensor(new[,] { { target } }), ones_like(values), 1.0);
        actual.Loss.backward();
        Golden.AssertClose(loss, actual.Loss.item<double>(), "loss");
        Golden.AssertClose(gradient, values.grad!.item<double>(), "gradient");
        Golden.AssertClose(clipFraction, Fraction(actual), "clip fraction");
    }

    [Fact]
    public void An_empty_mask_gives_exactly_zero_whatever_lies_beneath()
    {
        using var scope = NewDisposeScope();
        var values = full([2, 3], double.NaN, ScalarType.Float64).requires_grad_();
        var actual = ClippedValueLoss.Compute(values, values, values, zeros([2, 3]), 0.2, denominator: 0);
        actual.Loss.backward();
        Assert.Equal(0.0, actual.Loss.item<double>());
        Assert.All(values.grad!.data<double>().ToArray(), g => Assert.Equal(0.0, g));
    }

    private static double Fraction(ValueLoss loss) => (loss.Clipped?.item<long>() ?? 0) / (double)Math.Max(loss.Tokens.item<long>(), 1);
}
