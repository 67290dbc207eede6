using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Tests.Toys;

namespace Rlgf.Tests.Guides;

/// <summary>A guide that gives so many answers and no more.</summary>
public sealed class LimitedGuideTests
{
    [Fact]
    public void A_limit_that_is_never_reached_changes_no_number_and_one_that_is_spent_leaves_PPO()
    {
        var (free, wide, narrow) = (Run(guide => guide), Run(guide => new LimitedGuide(guide, 1000)), Run(guide => new LimitedGuide(guide, 100)));
        Assert.Equal(free.Weights, wide.Weights);
        // Each of 64 rows begins with the guide's text: 64 answers in the first iteration, 36 in the second.
        Assert.Equal([64, 100, 100], narrow.Records.Select(record => record["guide/answers"]));
        Assert.Equal([0.36, 0, 0], narrow.Records.Select(record => record["guide/left"]));
        Assert.Equal([0, 28, 64], narrow.Records.Select(record => record["guide/unanswered"]));
        Assert.Equal(narrow.Records[1]["tokens/guide"], narrow.Records[2]["tokens/guide"]);
    }

    [Fact]
    public void The_state_goes_on_with_what_was_left()
    {
        var guide = new LimitedGuide(Zeros, 5);
        Assert.Equal([true, true, true], Answered(guide, 3));
        var state = guide.SaveState();
        Assert.Equal([true, true, false, false], Answered(guide, 4));
        Assert.Equal(["guide 'zeros': 5 of its 5 answers given; 2 requests were left to the policy"], guide.Summary);
        var other = new LimitedGuide(Zeros, 4);
        other.RestoreState(state);
        Assert.Equal([true, false], Answered(other, 2));
        Assert.Contains("had given more answers", Assert.Throws<InputException>(() => new LimitedGuide(Zeros, 2).RestoreState(state)).Message, StringComparison.Ordinal);
        Assert.Contains("is damaged", Assert.Throws<InputException>(() => other.RestoreState([1, 2, 3])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Evaluations_ask_the_guide_itself_and_do_not_count()
    {
        using var policy = new TabularModel(3, 3, null);
        var setup = ToyRun.Setup(policy, Presets.PpoPlusPlus(), null, _ => 1);
        var evaluator = new Evaluator
        {
            Prompts = [.. Enumerable.Range(0, 9).Select(row => new Prompt($"{row}", [row % 3]))], Sampling = setup.Sampling, Reward = setup.Reward, Reference = setup.Reference, Tokenizer = setup.Tokenizer,
        };
        var guide = new LimitedGuide(ToyRun.Guide(3, null, _ => [0, 1, 0]), 2);
        var record = evaluator.Evaluate(guide, CancellationToken.None);
        Assert.All(record.Rows, row => Assert.Equal("111", row.Response));
        Assert.DoesNotContain("guide/unanswered", record.Metrics.Keys);
        Assert.Equal(0, guide.Metrics["guide/answers"]);
    }

    [Fact]
    public void What_the_inner_guide_declines_is_not_an_answer()
    {
        var guide = new LimitedGuide(new FunctionGuide("never", _ => null, mayDecline: true), 2);
        Assert.Equal([false, false, false], Answered(guide, 3));
        Assert.Equal(0, guide.Metrics["guide/answers"]);
    }

    private static FunctionGuide Zeros => new("zeros", _ => new("0", Ended: true));

    private static bool[] Answered(LimitedGuide guide, int requests)
    {
        var prompt = new Prompt("p", [0]);
        var answers = guide.ContinueAsync([.. Enumerable.Range(0, requests).Select(i => new GuideRequest { Prompt = prompt, ResponseSoFar = "", ResponseTokens = [], MaxTokens = 3, Stream = (ulong)i })], CancellationToken.None);
        return [.. answers.GetAwaiter().GetResult().Select(answer => answer is not null)];
    }

    private static (float[] Weights, IReadOnlyList<IReadOnlyDictionary<string, double>> Records) Run(Func<IGuide, IGuide> limit)
    {
        using var policy = new TabularModel(3, 3, null);
        var records = ToyRun.Run(ToyRun.Setup(policy, Presets.PpoPlusPlus(beta: 1), limit(ToyRun.Guide(3, null, _ => [0.2, 0.5, 0.3])), response => response.Count(c => c == '1'), iterations: 3));
        return ([.. policy.Logit.data<float>()], [.. records.Select(record => record.Metrics)]);
    }
}
