using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Text.Metrics;

namespace Rlgf.Tests.Rewards;

/// <summary>Rewards that compare a response with its row, worked by hand.</summary>
public sealed class DataRewardTests
{
    [Theory]
    // Words: case, punctuation, articles and white space don't count.
    [InlineData(AnswerComparison.Words, null, "The  Eiffel Tower.", "eiffel tower", 1)]
    [InlineData(AnswerComparison.Words, null, "Eiffel", "eiffel tower", 0)]
    [InlineData(AnswerComparison.Words, "Answer: (.*)", "I think. Answer: a cat!", "cat", 1)]
    [InlineData(AnswerComparison.Words, "Answer: (.*)", "Answer: dog\nAnswer: cat", "dog", 0)] // The last match counts.
    [InlineData(AnswerComparison.Words, "Answer: (.*)", "cat", "cat", 0)] // No place of the answer.
    [InlineData(AnswerComparison.Exact, null, " cat\n", "cat", 1)]
    [InlineData(AnswerComparison.Exact, null, "Cat", "cat", 0)]
    [InlineData(AnswerComparison.Number, null, "So 3 and 4 make 7.", "7", 1)]
    [InlineData(AnswerComparison.Number, null, "So 7 it is, of 12", "7", 0)] // The last number counts.
    [InlineData(AnswerComparison.Number, null, "$1,234,567.50!", "1234567.5", 1)]
    [InlineData(AnswerComparison.Number, null, "1,23", "23", 1)] // No group of three: two numbers.
    [InlineData(AnswerComparison.Number, null, "-5%", "-5", 1)]
    [InlineData(AnswerComparison.Number, null, "1e3", "1000.0", 1)]
    [InlineData(AnswerComparison.Number, null, "none", "7", 0)]
    [InlineData(AnswerComparison.Number, "= *(.*)", "3 + 4 = 7 of 12", "12", 1)]
    public void An_answer_is_right_or_not(AnswerComparison compare, string? pattern, string response, string right, double expected)
    {
        var reward = new MatchReward("match", new MatchSettings { Column = "answer", Pattern = pattern, Compare = compare });
        Assert.Equal(expected, Score(reward, Rows.Of(1, response, null, ("answer", right))).Total);
    }

    [Fact]
    public void Of_several_right_answers_one_is_enough_and_their_place_may_be_said_too()
    {
        var reward = new MatchReward("match", new MatchSettings { Column = "answer", ColumnPattern = "#### (.*)", Compare = AnswerComparison.Number, Tolerance = 0.01 });
        Assert.Equal(1, Score(reward, Rows.Of(1, "12.1", null, ("answer", new[] { "so 5 #### 7", "so 3 #### 12" }))).Total);
        Assert.Equal(0, Score(reward, Rows.Of(1, "12.2", null, ("answer", "so 3 #### 12"))).Total);
        Assert.Equal(1, Score(new MatchReward("match", new MatchSettings { Compare = AnswerComparison.Number }), Rows.Of(1, "42", ["42"])).Total);
        Assert.Equal(1, Score(new MatchReward("match", new MatchSettings { Column = "answer", Compare = AnswerComparison.Number }), Rows.Of(1, "42", null, ("answer", 42))).Total);
    }

    [Fact]
    public void A_boxed_answer_is_what_the_last_box_holds_character_for_character()
    {
        var reward = new MatchReward("match", new MatchSettings { Column = "answer", Boxed = true, Compare = AnswerComparison.Verbatim });
        var probes = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "rewards", "boxed.jsonl")).Select(line => JsonNode.Parse(line)!).ToArray();
        Assert.Equal(32, probes.Length);
        Assert.All(probes, probe => Assert.True(
            (double)probe["reward"]! == Score(reward, Rows.Of(1, (string)probe["given"]!, null, ("answer", (string)probe["answer"]!))).Total, (string)probe["probe"]!));
    }

    [Theory]
    [InlineData(@"so \boxed{\frac{1}{2}} and", @"\frac{1}{2}")]
    [InlineData(@"\boxed{\boxed{3}}", "3")] // The last one is the inner.
    [InlineData(@"\boxed{}", "")]
    [InlineData(@"\boxed{a}}", "a")]
    [InlineData(@"$\boxed 1$ or $\boxed 2$", "2")]
    [InlineData(@"4 \boxed", null)]
    [InlineData(@"\boxed}{4}", null)]
    [InlineData(@"\boxed{\frac{1}{2}", null)]
    public void The_last_box_of_a_text_has_matched_braces(string text, string? expected) => Assert.Equal(expected, LatexBox.Last(text));

    [Theory]
    [InlineData("ab+", 1)]
    [InlineData(" b a +", 1)]
    [InlineData("ab*", 0)] // Right in the first case only.
    [InlineData("4", 0)]
    [InlineData("", 0)]
    [InlineData("ab+)", 0)]
    public void A_program_is_right_that_gets_all_cases_right(string program, double expected) =>
        Assert.Equal(expected, Score(new StackProgramReward("runs"), Rows.Of(1, program, null, ("cases", new[] { "2 2=4", "3 4=7" }))).Total);

    [Fact]
    public void Cases_that_are_none_are_a_fault_of_their_row()
    {
        Assert.Equal(
            "the reward 'runs': data.jsonl, row 3: column 'cases' holds '2+2=4', which is no case such as '3 7 2=19'; to go on with a score for such rows, set failure_score",
            Refusal(new StackProgramReward("runs"), Rows.Of(3, "ab+", null, ("cases", new[] { "2 2=4", "2+2=4" }))));
        Assert.Equal("data.jsonl, row 3: no column 'cases'; did you mean 'case'?", Refusal(new StackProgramReward("runs"), Rows.Of(3, "ab+", null, ("case", "2 2=4"))));
    }

    [Fact]
    public void What_is_missing_is_one_line_or_a_score_of_its_own()
    {
        var settings = new MatchSettings { Column = "answer", Compare = AnswerComparison.Number };
        Assert.Equal("data.jsonl, row 3: no column 'answer'; did you mean 'answers'?", Refusal(new MatchReward("m", settings), Rows.Of(3, "7", null, ("answers", "7"))));
        Assert.Equal(
            "the reward 'm': data.jsonl, row 3: column 'answer' is empty; to go on with a score for such rows, set failure_score", Refusal(new MatchReward("m", settings), Rows.Of(3, "7", null, ("answer", ""))));
        Assert.Equal(
            "the reward 'm': data.jsonl, row 3: the right answer 'seven' is no number; to go on with a score for such rows, set failure_score",
            Refusal(new MatchReward("m", settings), Rows.Of(3, "7", null, ("answer", "seven"))));
        Assert.Contains("there is no reference response", Refusal(new MatchReward("m", new MatchSettings()), Rows.Of(3, "7")), StringComparison.Ordinal);

        var scores = new MatchReward("m", settings, new FailureRule(-1)).Score([Rows.Of(1, "7", null, ("answer", "7")), Rows.Of(2, "7", null, ("answer", null))], CancellationToken.None);
        Assert.Equal([1, -1], scores.Select(score => score.Total));
        Assert.Equal([0, 1], scores.Select(score => score.Parts["failed"]));
        Assert.Equal([null, "column 'answer' is empty"], scores.Select(score => score.Problem));
        // A wrong column is wrong for all rows, whatever becomes of single ones.
        Assert.Contains("no column", Refusal(new MatchReward("m", settings, new FailureRule(0)), Rows.Of(3, "7")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_metric_of_the_response_is_a_reward()
    {
        var rouge = TextMetrics.Make("rouge1", new MetricSources())!;
        var reward = new MetricReward("rouge", rouge);
        Assert.Equal([2 / 3.0, 0], reward.Score([Rows.Of(1, "a cat sat", ["a cat ran"]), Rows.Of(2, "", ["a cat"])], CancellationToken.None).Select(score => score.Total));
        Assert.Equal(
            "the reward 'rouge': data.jsonl, row 2: there is no reference response; to go on with a score for such rows, set failure_score", Refusal(reward, Rows.Of(1, "a", ["a"]), Rows.Of(2, "a")));
        var going = new MetricReward("rouge", rouge, failures: new FailureRule(-2)).Score([Rows.Of(1, "a"), Rows.Of(2, "a", ["a"])], CancellationToken.None);
        Assert.Equal([-2, 1], going.Select(score => score.Total));
        // Of another column, and of a text that has no such number.
        Assert.Equal(1, Score(new MetricReward("r", rouge, "gold"), Rows.Of(1, "a cat", null, ("gold", new[] { "dog", "a cat" }))).Total);
        Assert.Contains("repetition_2 of such a response is not defined", Refusal(new MetricReward("r", TextMetrics.Make("repetition_2", new MetricSources())!), Rows.Of(1, "one")), StringComparison.Ordinal);
    }

    [Fact]
    public void Rare_words_are_counted_in_the_references_that_are_given()
    {
        // As in rlgf metrics: all n-grams of 1 and 2 words match, and there are none of 3 and 4.
        var metric = TextMetrics.Make("cider_d", new MetricSources { Frequencies = () => DocumentFrequencies.OfTexts([["a dog"], ["some cat"]]) })!;
        Assert.Equal(5, Score(new MetricReward("cider", metric), Rows.Of(1, "a dog", ["a dog"])).Total, 1e-9);
    }

    [Theory]
    [InlineData(LengthUnit.Tokens, 1, 1, 1)] // The end token isn't counted.
    [InlineData(LengthUnit.Words, 2, null, 1)]
    [InlineData(LengthUnit.Words, null, 1, 0)]
    [InlineData(LengthUnit.Characters, 5, 5, 1)] // An emoji is one.
    [InlineData(LengthUnit.Lines, 3, null, 0)]
    [InlineData(LengthUnit.Lines, 2, 2, 1)]
    public void A_length_is_within_or_not(LengthUnit unit, int? least, int? most, double expected) =>
        Assert.Equal(expected, Score(new LengthRangeReward("l", unit, least, most), Rows.Of(1, "a\n\n\U0001F600b")).Total);

    [Fact]
    public void What_ended_by_itself_is_told()
    {
        Assert.Equal(1, Score(new EndedReward("e"), Rows.Of(1, "a")).Total);
        Assert.Equal(0, Score(new EndedReward("e"), Rows.Of(1, "a") with { Ended = false }).Total);
    }

    [Theory]
    [InlineData(null, 3, null, 2.0, 2)]
    [InlineData(null, -3, 0.5, null, 0.5)]
    [InlineData(ScoreTransform.Complement, 0.25, null, null, 0.75)]
    [InlineData(ScoreTransform.Sigmoid, 0, null, null, 0.5)]
    [InlineData(ScoreTransform.LogOnePlus, 0, null, null, 0)]
    [InlineData(ScoreTransform.SquareRoot, 9, null, 2.5, 2.5)] // The limits are those of what comes out.
    [InlineData(ScoreTransform.Square, -3, null, null, -9)]
    public async Task A_score_is_transformed_then_clipped(ScoreTransform? transform, double score, double? least, double? most, double expected)
    {
        var reward = new TransformedReward(new FunctionReward("f", _ => score), transform, least, most);
        Assert.Equal(expected, Assert.Single(await reward.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None)).Total, 1e-15);
    }

    [Fact]
    public async Task A_root_of_what_is_below_0_is_refused_and_parts_of_parts_are_named()
    {
        var negative = new TransformedReward(new FunctionReward("f", _ => -1), ScoreTransform.SquareRoot, null, null);
        var refusal = await Assert.ThrowsAsync<InputException>(() => negative.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None));
        Assert.Equal("the reward 'f' gave -1 for data.jsonl, row 1, and its transform is for scores from 0 on", refusal.Message);

        var sum = new WeightedReward([(new MatchReward("m", new MatchSettings(), new FailureRule(-1)), 2), (new EndedReward("e"), 1)]);
        var score = Assert.Single(await sum.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None));
        Assert.Equal(-1, score.Total);
        Assert.Equal(new Dictionary<string, double> { ["m"] = -1, ["e"] = 1, ["m/failed"] = 1 }, score.Parts);
        Assert.Equal("m: there is no reference response", score.Problem);
    }

    private static RewardScore Score(ILocalReward reward, Response response) => Assert.Single(reward.Score([response], CancellationToken.None));

    private static string Refusal(ILocalReward reward, params Response[] responses) => Assert.Throws<InputException>(() => reward.Score(responses, CancellationToken.None)).Message;
}
