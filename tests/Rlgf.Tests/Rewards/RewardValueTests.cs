using Rlgf.Prompts;
using Rlgf.Rewards;

namespace Rlgf.Tests.Rewards;

/// <summary>Rewards by value, worked by hand.</summary>
public sealed class RewardValueTests
{
    private static readonly Response Three = Written("a cat", 3, ended: false);

    [Theory]
    [InlineData("cat", false, 1)]
    [InlineData("^a", false, 1)]
    [InlineData("dog", false, 0)]
    [InlineData("dog", true, 1)]
    [InlineData("dog.*cat$", true, 1)]
    [InlineData("CAT", false, 0)]
    public void A_match_is_1_and_none_is_0_in_the_response_or_in_both(string pattern, bool withPrompt, double expected) =>
        Assert.Equal(expected, Assert.Single(new RegexReward("r", pattern, withPrompt).Score([Three], CancellationToken.None)).Total);

    [Theory]
    [InlineData(4, false, 1)]
    [InlineData(5, true, 1)] // The end token isn't counted.
    [InlineData(3, false, 0.75)]
    [InlineData(5, false, 0.75)]
    [InlineData(1, true, 0)]
    [InlineData(8, false, 0)]
    [InlineData(10, false, -0.5)]
    [InlineData(12, false, -1)]
    [InlineData(40, false, -1)]
    public void Length_is_worth_1_at_the_target_and_falls_in_a_line_to_minus_1(int tokens, bool ended, double expected) =>
        Assert.Equal(expected, Assert.Single(new LengthReward("l", 4).Score([Written("x", tokens, ended)], CancellationToken.None)).Total, 1e-15);

    [Fact]
    public async Task A_sum_weighs_its_parts_and_names_them_before_their_weight()
    {
        var sum = new WeightedReward([(new RegexReward("cat", "cat"), 2), (new LengthReward("length", 4), -0.5), (new FunctionReward("words", response => response.Text.Split(' ').Length), 0.25)]);
        var score = Assert.Single(await sum.ScoreAsync([Three], CancellationToken.None));
        // 2 · 1 − 0.5 · 0.75 + 0.25 · 2
        Assert.Equal(2.125, score.Total, 1e-15);
        Assert.Equal(2.125, score.Return, 1e-15);
        Assert.Equal([KeyValuePair.Create("cat", 1.0), KeyValuePair.Create("length", 0.75), KeyValuePair.Create("words", 2.0)], score.Parts);
        Assert.Equal("2 cat + -0.5 length + 0.25 words", sum.Name);
    }

    [Fact]
    public void What_single_tokens_earn_counts_beside_what_the_whole_earns()
    {
        var score = new RewardScore(0.5, new Dictionary<string, double>(), [0.25f, -1, 2]);
        Assert.Equal(1.75, score.Return, 1e-15);
    }

    private static Response Written(string text, int tokens, bool ended) => new(new Prompt("a dog and ", [1]), text, new int[tokens], ended);
}
