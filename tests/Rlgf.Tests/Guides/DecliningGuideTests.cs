using Rlgf.Algorithms;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Rollouts;
using Rlgf.Tests.Toys;

namespace Rlgf.Tests.Guides;

/// <summary>What a guide leaves unanswered the policy writes, as a row without guidance.</summary>
public sealed class DecliningGuideTests
{
    private static readonly Func<string, double> Ones = response => response.Count(c => c == '1');

    /// <summary>So rare a roll-in never happens: the guide is asked for whole responses.</summary>
    private const double Never = 1e-300;

    [Fact]
    public void A_guide_that_declines_everything_leaves_PPO_number_for_number()
    {
        var nobody = new FunctionGuide("nobody", _ => null, mayDecline: true);
        var alone = Run(Presets.Ppo(), null);
        foreach (var algorithm in new[] { Presets.PpoPlusPlus(beta: 1), Presets.AdaptiveV1(beta: 0.7, credit: 2), Presets.Adaptive(beta: 0.7) with { Lessons = new() { Capacity = 0 } }, Presets.AggreVaTeD(Never), Presets.Lols(0.5, Never) })
        {
            var guided = Run(algorithm, nobody);
            Assert.Equal(alone.Weights, guided.Weights);
            Assert.All(guided.Records, record => Assert.Equal(0, record["tokens/guide"]));
        }
        Assert.All(Run(Presets.PpoPlusPlus(beta: 1), nobody).Records, record => Assert.Equal(64, record["guide/unanswered"]));
        Assert.All(Run(Presets.AggreVaTeD(Never), nobody).Records, record => Assert.Equal(64, record["guide/unanswered"]));
    }

    [Theory]
    [InlineData(Actor.Guide, Actor.Policy)]
    [InlineData(Actor.Policy, Actor.Guide)]
    public void Declined_rows_are_the_policys_and_the_others_are_as_they_were(Actor rollIn, Actor rollOut)
    {
        using var policy = new TabularModel(3, 3, null);
        policy.Initialise(3);
        var inner = (ILocalGuide)ToyRun.Guide(3, null, _ => [0.2, 0.5, 0.3]);
        var all = Write(inner);
        var some = Write(new Declining(inner));
        for (var row = 0; row < all.Length; row++)
        {
            // The guide declines every third prompt.
            if (row % 3 != 0)
            {
                Assert.Equal(all[row].Tokens, some[row].Tokens);
                Assert.Equal((all[row].Plan, all[row].RollInLength, false), (some[row].Plan, some[row].RollInLength, some[row].GuideDeclined));
                continue;
            }
            var asked = rollIn == Actor.Guide || all[row].RollInLength < 3;
            Assert.Equal(asked, some[row].GuideDeclined);
            if (!asked) continue;
            Assert.Equal(0, some[row].RollInLength);
            Assert.All(Enumerable.Range(0, 3), t => Assert.Equal(Actor.Policy, some[row].AuthorOf(t)));
            Assert.All(some[row].LogProbs, value => Assert.True(float.IsFinite(value)));
            // What the policy had begun stays its beginning.
            if (rollIn == Actor.Policy) Assert.Equal(all[row].Tokens[..all[row].RollInLength], some[row].Tokens[..all[row].RollInLength]);
        }

        Rollout[] Write(IGuide guide)
        {
            var writer = new RolloutWriter(new Rlgf.Models.Generation.ModelWriter(policy), policy.Shape, new DigitTokenizer(3), guide, new() { MaxNewTokens = 3 }, seed: 4);
            var rows = ToyRun.Rows([.. Enumerable.Range(0, 60).Select(row => new Prompt($"{row % 3}", [row % 3]))], new RolloutPlan(rollIn, rollOut, 1, RollInLengths.Limit));
            return writer.RollOut(rows, writer.RollIn(rows, 0, CancellationToken.None), 0, CancellationToken.None);
        }
    }

    [Fact]
    public void The_guides_evaluation_counts_what_the_starting_model_wrote_in_its_place()
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.PpoPlusPlus(), null, Ones);
        var evaluator = new Evaluator
        {
            Prompts = [.. Enumerable.Range(0, 9).Select(row => new Prompt($"{row % 3}", [row % 3]))], Sampling = setup.Sampling, Reward = setup.Reward, Reference = setup.Reference, Tokenizer = setup.Tokenizer,
        };
        var record = evaluator.Evaluate(new Declining((ILocalGuide)ToyRun.Guide(3, null, _ => [0, 1, 0])), CancellationToken.None);
        Assert.Equal(3, record.Metrics["guide/unanswered"]);
        Assert.Equal(6, record.Rows.Count(row => row.Response == "111"));
        Assert.All(record.Rows, row => Assert.Equal(3, row.Tokens));
        Assert.DoesNotContain("guide/unanswered", evaluator.Evaluate(ToyRun.Guide(3, null, _ => [0, 1, 0]), CancellationToken.None).Metrics.Keys);
    }

    private static (float[] Weights, IReadOnlyList<IReadOnlyDictionary<string, double>> Records) Run(AlgorithmSettings algorithm, IGuide? guide)
    {
        using var policy = new TabularModel(3, 3, 2);
        var records = ToyRun.Run(ToyRun.Setup(policy, algorithm, guide, Ones, iterations: 4));
        return ([.. policy.Logit.data<float>()], [.. records.Select(record => record.Metrics)]);
    }

    /// <summary>Leaves prompts that begin with 0 unanswered.</summary>
    private sealed class Declining(ILocalGuide inner) : ILocalGuide
    {
        public string Name => "sometimes";

        public bool CanRollOut => true;

        public bool MayDecline => true;

        public IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) =>
            [.. inner.Continue(requests, cancellationToken).Zip(requests, (answer, request) => request.Prompt.Text == "0" ? null : answer)];
    }
}
