using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Text.Data;
using Rlgf.Text.Tasks;

namespace Rlgf.Tests.Guides;

public sealed class CountdownSearchGuideTests
{
    private static readonly DataRow Row = Numbers(14L, 21L, 3L);

    [Fact]
    public void The_stated_share_of_answers_is_right_and_the_others_use_the_same_numbers()
    {
        var answers = Answers(new CountdownSearchGuide(0.2), 2000, "");
        // Four standard deviations of a share of 2,000 are 0.036.
        Assert.Equal(0.2, answers.Count(answer => Value(answer) == 21) / 2000.0, 0.036);
        Assert.All(answers, answer => Assert.Equal([3, 14, 21], ArithmeticExpression.TryParse(answer)!.Numbers.Select(number => (int)number).Order()));
        Assert.True(answers.Distinct().Count() > 50);
    }

    [Fact]
    public void It_goes_on_from_whatever_stands_there()
    {
        Assert.All(Answers(new CountdownSearchGuide(1), 20, "3*(2"), answer => Assert.Equal("1 - 14)", answer));
        // 21 alone in front leaves other ways: each gives the target.
        Assert.All(Answers(new CountdownSearchGuide(1), 20, "(21 "), answer => Assert.Equal(21, Value("(21 " + answer)));
        Assert.All(Answers(new CountdownSearchGuide(0), 20, "(21 "), answer => Assert.NotEqual(21, Value("(21 " + answer)));
        // 3 + … can't be right, and 14*14 not even wrong.
        Assert.All(Answers(new CountdownSearchGuide(1), 20, "3 + "), answer => Assert.NotEqual(21, Value("3 + " + answer)));
        Assert.All(Answers(new CountdownSearchGuide(1), 20, "14*14"), answer => Assert.Equal("", answer));
        // What is finished and right stays so.
        Assert.All(Answers(new CountdownSearchGuide(0), 20, "3*(21 - 14)"), answer => Assert.Equal("", answer));
    }

    [Fact]
    public void The_same_request_gets_the_same_answer() => Assert.Equal(Answers(new CountdownSearchGuide(0.5), 50, ""), Answers(new CountdownSearchGuide(0.5), 50, ""));

    [Fact]
    public void Rows_that_are_no_countdown_are_refused_with_their_place()
    {
        string Refusal(Prompt prompt) => Assert.Throws<InputException>(() => new CountdownSearchGuide(1).Continue([Request(1, "") with { Prompt = prompt }], CancellationToken.None)).Message;
        Assert.Contains("came from none", Refusal(new Prompt("x", [])), StringComparison.Ordinal);
        Assert.Contains("no column 'meta'", Refusal(new Prompt("x", []) { Row = DataRow.Create("d.jsonl", 1, ("text", "x")) }), StringComparison.Ordinal);
        Assert.Contains("6 numbers", Refusal(new Prompt("x", []) { Row = Numbers(1L, 2L, 3L, 4L, 5L, 6L) }), StringComparison.Ordinal);
    }

    private static Fraction? Value(string text) => ArithmeticExpression.TryParse(text)!.Value;

    private static DataRow Numbers(params object[] numbers) =>
        DataRow.Create("countdown.jsonl", 1, ("meta", new Dictionary<string, object?> { ["numbers"] = numbers, ["target"] = 21L }));

    private static string[] Answers(CountdownSearchGuide guide, int count, string soFar) =>
        [.. guide.Continue([.. Enumerable.Range(0, count).Select(i => Request((ulong)i, soFar))], CancellationToken.None).Select(answer => answer!.Text)];

    private static GuideRequest Request(ulong stream, string soFar) => new()
    {
        Prompt = new Prompt("14,21,3>21=", []) { Row = Row }, ResponseSoFar = soFar, ResponseTokens = [], MaxTokens = 30, Stream = stream,
    };
}
