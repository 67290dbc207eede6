using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models.Generation;
using Rlgf.Prompts;
using Rlgf.Tests.Toys;

namespace Rlgf.Tests.Training;

/// <summary>What each algorithm is for, on tasks where it can be seen in seconds.</summary>
public sealed class LearningTests
{
    private const string Combination = "12021201";

    /// <summary>Only the whole combination scores.</summary>
    private static double Lock(string response) => response == Combination ? 1 : 0;

    /// <summary>A guide that knows the next digit of the combination nine times in ten as long as it is on the way.</summary>
    private static readonly IGuide Decent = ToyRun.Guide(8, null, prefix =>
    {
        var p = new double[] { 0.05, 0.05, 0.05 };
        p[Combination[Math.Min(prefix.Length, 7)] - '0'] = 0.9;
        return p;
    });

    [Fact]
    public void PPO_does_not_open_a_combination_lock_and_PPO_plus_plus_with_a_decent_guide_does()
    {
        // By chance a row opens it once in 6,561; 40 iterations are 2,560 rows.
        using var alone = new TabularModel(3, 8, null);
        ToyRun.Run(ToyRun.Setup(alone, Presets.Ppo(), null, Lock, iterations: 40, seed: 3));
        using var guided = new TabularModel(3, 8, null);
        ToyRun.Run(ToyRun.Setup(guided, Presets.PpoPlusPlus(0.8), Decent, Lock, iterations: 40, seed: 3));
        Assert.InRange(ToyRun.ExpectedReward(alone, Lock), 0, 0.01);
        Assert.InRange(ToyRun.ExpectedReward(guided, Lock), 0.5, 1);
    }

    /// <summary>Dense enough for one step to matter; the best response is "111".</summary>
    private static double Ones(string response) => response.Count(c => c == '1') / 3.0;

    /// <summary>Right two times in five, and it cannot see what was written before.</summary>
    private static readonly IGuide Suboptimal = ToyRun.Guide(3, null, _ => [0.3, 0.4, 0.3]);

    [Fact]
    public void AggreVaTeD_ends_above_a_suboptimal_guide_and_D2LOLS_above_both()
    {
        double guide = 0.4, aggrevated = Final(Presets.AggreVaTeD(0.9), 30), d2lols = Final(Presets.D2Lols(15, 0.5), 60);
        Assert.InRange(aggrevated, guide + 0.2, 1);
        Assert.InRange(d2lols, aggrevated, 1);

        static double Final(AlgorithmSettings algorithm, int iterations)
        {
            using var policy = new TabularModel(3, 3, null);
            ToyRun.Run(ToyRun.Setup(policy, algorithm, Suboptimal, Ones, iterations));
            return ToyRun.ExpectedReward(policy, Ones);
        }
    }

    [Fact]
    public void The_guides_text_never_comes_from_the_policys_weights()
    {
        using var policy = new TabularModel(3, 3, null);
        using var guideModel = policy.Clone();
        var tokenizer = new DigitTokenizer(3);
        var guide = new LocalModelGuide("start", guideModel, tokenizer, tokenizer, new SamplingSettings { MaxNewTokens = 3 });
        GuideRequest[] requests = [.. Enumerable.Range(0, 50).Select(i => new GuideRequest
        {
            Prompt = new Prompt("", []), ResponseSoFar = "", ResponseTokens = [], MaxTokens = 3, Stream = (ulong)i,
        })];
        var before = guide.Continue(requests, CancellationToken.None).Select(continuation => continuation.Text).ToArray();
        ToyRun.Run(ToyRun.Setup(policy, Presets.AdaptiveV1(), guide, Ones, iterations: 20));
        Assert.True(ToyRun.ExpectedReward(policy, Ones) > 0.6);
        Assert.Equal(before, guide.Continue(requests, CancellationToken.None).Select(continuation => continuation.Text));
    }

    [Fact]
    public void Stopping_is_trained_where_the_policy_chooses_to_stop()
    {
        // Token 2 ends a response; only stopping at once scores.
        using var policy = new TabularModel(3, 3, 2);
        ToyRun.Run(ToyRun.Setup(policy, Presets.Ppo(), null, response => response == "2" ? 1 : 0, iterations: 40));
        Assert.InRange(policy.Probabilities([])[2], 0.9, 1);
    }

    [Fact]
    public void Adaptive_guidance_asks_a_guide_that_is_no_better_less_and_less()
    {
        using var policy = new TabularModel(3, 3, null);
        var records = ToyRun.Run(ToyRun.Setup(policy, Presets.AdaptiveV1(), ToyRun.Guide(3, null, _ => [0.8, 0.1, 0.1]), Ones, iterations: 20));
        Assert.Equal(0.05, records[^1].Metrics["gap/factor"], 1e-9);
        Assert.Equal(0.5 * 0.05, records[^1].Plan.RollInProbability, 1e-9);
    }
}
