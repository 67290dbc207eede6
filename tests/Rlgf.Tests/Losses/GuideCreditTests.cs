using Rlgf.Losses;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

public class GuideCreditTests
{
    // The guide's advantages are 1, −7, 5, 5: mean square (1 + 49 + 25 + 25)/4 = 25, rms 5. Weights 0.2, 0 (worse than expected), 1, 1.
    private static readonly double[,] Advantages = { { 1, -7, double.NaN }, { 5, 100, 5 } };
    private static readonly bool[,] GuideMask = { { true, true, false }, { true, false, true } };
    private static readonly double[,] LogProbs = { { -1, -2, double.NaN }, { -3, -4, -5 } };

    private static Tensor Loss(Tensor logProbs, Tensor advantages, Tensor mask, double coefficient, GuideCreditWeight weighting = GuideCreditWeight.Advantage) =>
        GuideCredit.Weighted(logProbs, GuideCredit.Weights(advantages, mask, weighting), mask, coefficient);

    [Fact]
    public void Weighted_by_advantage_by_hand()
    {
        using var scope = NewDisposeScope();
        var logProbs = tensor(LogProbs).requires_grad_();
        var advantages = tensor(Advantages).requires_grad_();
        var loss = Loss(logProbs, advantages, tensor(GuideMask), 2);
        loss.backward();
        // 2/4 · (0.2·1 + 0·2 + 1·3 + 1·5) = 4.1; gradient −w·2/4.
        Golden.AssertClose(4.1, loss.item<double>(), "loss");
        Golden.AssertClose(tensor(new[,] { { -0.1, 0.0, 0.0 }, { -0.5, 0.0, -0.5 } }), logProbs.grad, "gradient");
        Assert.Null(advantages.grad);
    }

    [Fact]
    public void Imitation_weighs_all_of_the_guides_tokens_alike()
    {
        using var scope = NewDisposeScope();
        var loss = Loss(tensor(LogProbs), tensor(Advantages), tensor(GuideMask), 2, GuideCreditWeight.One);
        // 2/4 · (1 + 2 + 3 + 5)
        Golden.AssertClose(5.5, loss.item<double>(), "loss");
    }

    [Fact]
    public void A_weight_is_at_most_three()
    {
        using var scope = NewDisposeScope();
        // 16 tokens, one of advantage 8, the others 0: rms 2, weight 4, cut to 3.
        var advantages = zeros([4, 4], ScalarType.Float64);
        advantages[2, 1] = 8;
        var weights = GuideCredit.Weights(advantages, ones([4, 4]), GuideCreditWeight.Advantage);
        Golden.AssertClose(3.0, weights[2, 1].item<double>(), "weight");
        Golden.AssertClose(3.0, weights.sum().item<double>(), "all weights");
    }

    [Fact]
    public void Parts_of_a_batch_sum_to_the_whole()
    {
        using var scope = NewDisposeScope();
        Tensor logProbs = tensor(LogProbs), mask = tensor(GuideMask);
        var weights = GuideCredit.Weights(tensor(Advantages), mask, GuideCreditWeight.Advantage);
        var denominator = MaskedReduction.Denominator(mask, LossReduction.TokenMean);
        var sum = 0.0;
        for (var b = 0; b < 2; b++)
            sum += GuideCredit.Weighted(logProbs.narrow(0, b, 1), weights.narrow(0, b, 1), mask.narrow(0, b, 1), 2, denominator).item<double>();
        Golden.AssertClose(4.1, sum, "loss");
    }

    [Fact]
    public void Rounding_errors_are_not_imitated()
    {
        using var scope = NewDisposeScope();
        // 1e-9 of a reward, where the penalty's rounding is all that there is: not a weight of 1.
        var weights = GuideCredit.Weights(full([2, 2], 1e-9, ScalarType.Float64), ones([2, 2]), GuideCreditWeight.Advantage);
        Assert.True(weights.max().item<double>() <= 1e-5);
    }

    [Theory]
    [InlineData(false, 3.0)]
    [InlineData(true, 0.0)]
    public void Nothing_written_by_the_guide_or_nothing_better_or_worse_is_exactly_zero(bool isGuide, double advantage)
    {
        using var scope = NewDisposeScope();
        var logProbs = full([2, 2], -1.0, ScalarType.Float64).requires_grad_();
        var loss = Loss(logProbs, full_like(logProbs, advantage), full([2, 2], isGuide), 2);
        loss.backward();
        Assert.True(loss.item<double>() == 0);
        Assert.All(logProbs.grad!.data<double>().ToArray(), g => Assert.True(g == 0));
    }
}
