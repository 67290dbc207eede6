using System.Text.Json;
using Rlgf.Base;
using Rlgf.Losses;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

public class KlControllerTests
{
    [Fact]
    public void Golden_coefficients_are_met_with_a_restart_in_between()
    {
        using var scope = NewDisposeScope();
        foreach (var golden in Golden.Cases("rl/kl_controller.json"))
        {
            KlController Fresh() => KlController.Adaptive(golden.Number("initial"), golden.Number("target"), golden.Number("horizon"));
            var controller = Fresh();
            var measured = golden.GetProperty("kl").Numbers();
            var expected = golden.GetProperty("coefficient_after").Numbers();
            for (var i = 0; i < measured.Length; i++)
            {
                controller = controller.Update(measured[i], golden.GetProperty("steps_per_update").GetInt32());
                Golden.AssertClose(expected[i], controller.Coefficient, $"update {i}");
                var saved = JsonSerializer.Serialize(controller.State);
                controller = Fresh().Restore(JsonSerializer.Deserialize<KlControllerState>(saved));
            }
        }
    }

    [Fact]
    public void A_fixed_coefficient_stays_and_so_does_one_without_a_measurement()
    {
        Assert.Equal(0.05, KlController.Fixed(0.05).Update(100, 64).Coefficient);
        Assert.Equal(0.1, KlController.Adaptive(0.1, 6, 100).Update(null, 64).Coefficient);
    }

    [Theory]
    [InlineData(64, 10_000.0)]
    [InlineData(64, 1.0)]
    [InlineData(1_000_000, 100.0)]
    [InlineData(1, 1e-6)]
    [InlineData(int.MaxValue, 1e-300)]
    public void The_coefficient_stays_above_zero_and_finite_whatever_rows_and_horizon(int rows, double horizon)
    {
        foreach (var kl in new[] { 0.0, 1e9 })
        {
            var controller = KlController.Adaptive(0.05, 6, horizon);
            for (var i = 0; i < 20_000; i++)
            {
                var next = controller.Update(kl, rows);
                Assert.InRange(next.Coefficient / controller.Coefficient, 0.5 - 1e-12, 1.5 + 1e-12);
                Assert.True((float)next.Coefficient > 0 && float.IsFinite((float)next.Coefficient));
                controller = next;
            }
            Assert.True(kl == 0 ? controller.Coefficient < 0.05 : controller.Coefficient > 0.05);
            Assert.NotEqual(controller.Coefficient, controller.Update(kl == 0 ? 1e9 : 0, rows).Coefficient);
        }
    }

    [Fact]
    public void The_published_formula_holds_up_to_a_change_by_half()
    {
        // error = clip(0/6 − 1) = −0.2. 64 rows over a horizon of 64: 1 − 0.2; of 32: 1 − 0.4; of 16 and of 8, where the formula alone gives 0.2 and −0.6: 0.5.
        double[] factors = [.. new[] { 64.0, 32, 16, 8 }.Select(horizon => KlController.Adaptive(1, 6, horizon).Update(0, 64).Coefficient)];
        Assert.Equal([0.8, 0.6, 0.5, 0.5], factors.Select(factor => Math.Round(factor, 12)));
    }

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        Assert.Throws<InputException>(() => KlController.Fixed(-1));
        Assert.Throws<InputException>(() => KlController.Adaptive(0, 6, 100));
        Assert.Throws<InputException>(() => KlController.Adaptive(0.1, 0, 100));
        Assert.Throws<InputException>(() => KlController.Adaptive(0.1, 6, double.NaN));
    }
}
