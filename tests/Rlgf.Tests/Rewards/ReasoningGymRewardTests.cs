using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Rewards;

namespace Rlgf.Tests.Rewards;

/// <summary>How the reward reads rows; the scores themselves are held to the package's in the tests of <c>Rlgf.Text</c>.</summary>
public sealed class ReasoningGymRewardTests
{
    [Fact]
    public void One_rule_is_strict_and_the_other_the_packages()
    {
        var response = Row("442.", "lcm", "exact", "442");
        Assert.Equal(0, Assert.Single(new ReasoningGymReward("gym").Score([response], CancellationToken.None)).Total);
        Assert.Equal(0.75, Assert.Single(new ReasoningGymReward("gym", ReasoningGymRule.Package).Score([response], CancellationToken.None)).Total);
        Assert.Equal(1, Assert.Single(new ReasoningGymReward("gym").Score([Row(" 442\n", "lcm", "exact", "442")], CancellationToken.None)).Total);
    }

    [Fact]
    public void A_row_without_what_it_needs_is_one_line_or_a_score_of_its_own()
    {
        static string Refusal(Response response, FailureRule? failures = null) =>
            Assert.Throws<InputException>(() => new ReasoningGymReward("gym", failures: failures).Score([response], CancellationToken.None)).Message;
        var broken = Row("1", "lcm", "fuzzy", "442");
        Assert.Equal(
            "the reward 'gym': data.jsonl, row 1: column 'scorer': 'fuzzy' is no scorer; it is exact, number or program; to go on with a score for such rows, set failure_score", Refusal(broken));
        Assert.Equal(-1, Assert.Single(new ReasoningGymReward("gym", failures: new FailureRule(-1)).Score([broken], CancellationToken.None)).Total);
        // A column that is not there is wrong for all rows.
        Assert.StartsWith("data.jsonl, row 1: no column 'scorer'", Refusal(Rows.Of(1, "1", null, ("answer", "1")), new FailureRule(-1)), StringComparison.Ordinal);
        Assert.Contains("came from none", Refusal(new Response(new Prompt("x", [1]), "1", [1], true)), StringComparison.Ordinal);
    }

    private static Response Row(string text, string task, string scorer, string answer) =>
        Rows.Of(1, text, null, ("task", task), ("scorer", scorer), ("answer", answer), ("meta", new Dictionary<string, object?>()));
}
