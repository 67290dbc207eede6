using System.Text.Json;
using Rlgf.Advantages;
using Rlgf.Base;
using static TorchSharp.torch;

namespace Rlgf.Tests.Advantages;

public class WhiteningTests
{
    [Fact]
    public void Golden_values_are_met_and_the_undefined_is_refused()
    {
        using var scope = NewDisposeScope();
        var refused = 0;
        foreach (var golden in Golden.Cases("rl/whitening.json"))
        {
            foreach (var expected in golden.GetProperty("expected").EnumerateObject())
            {
                bool shiftMean = expected.Name.StartsWith("shift_mean_true", StringComparison.Ordinal), unbiased = expected.Name.EndsWith("unbiased_true", StringComparison.Ordinal);
                if (expected.Value.ValueKind == JsonValueKind.Null)
                {
                    Assert.Throws<InputException>(() => Whitening.Apply(golden.Tensor("x"), golden.Tensor("mask"), shiftMean, unbiased));
                    refused++;
                    continue;
                }
                var actual = Whitening.Apply(golden.Tensor("x"), golden.Tensor("mask"), shiftMean, unbiased);
                Golden.AssertClose(expected.Value, actual, $"{golden.GetProperty("name")} {expected.Name}");
            }
        }
        Assert.Equal(2, refused);
    }

    [Fact]
    public void Equal_values_have_nothing_to_scale_though_their_mean_rounds()
    {
        using var scope = NewDisposeScope();
        var x = full([7, 11], 1000.1f, ScalarType.Float32);
        Assert.True(Whitening.Apply(x, ones_like(x)).abs().max().item<float>() == 0);
        Assert.Equal(x.data<float>().ToArray(), Whitening.Apply(x, ones_like(x), shiftMean: false).data<float>().ToArray());
    }

    [Fact]
    public void Masked_entries_may_be_anything()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new[,] { { 1.0, double.NaN, 3.0 } });
        // Mean 2, biased variance 1.
        var actual = Whitening.Apply(x, tensor(new[,] { { true, false, true } }));
        var unit = 1 / Math.Sqrt(1 + 1e-8);
        Golden.AssertClose(tensor(new[,] { { -unit, 0.0, unit } }), actual, "whitened");
    }
}
