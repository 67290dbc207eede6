using System.Text.Json;
using Rlgf.Losses;
using Rlgf.Text;
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

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        Assert.Throws<InputException>(() => KlController.Fixed(-1));
        Assert.Throws<InputException>(() => KlController.Adaptive(0, 6, 100));
        Assert.Throws<InputException>(() => KlController.Adaptive(0.1, 0, 100));
        Assert.Throws<InputException>(() => KlController.Adaptive(0.1, 6, double.NaN));
    }
}
