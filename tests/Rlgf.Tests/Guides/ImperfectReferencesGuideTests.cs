using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;

namespace Rlgf.Tests.Guides;

public sealed class ImperfectReferencesGuideTests
{
    [Fact]
    public void The_stated_share_of_whole_answers_is_right_and_wrong_characters_are_others_of_the_alphabet()
    {
        var guide = new ImperfectReferencesGuide(0.2, "0123456789");
        var answers = Answers(guide, 4000, "");
        // Four standard deviations of a share of 4,000 are 0.026.
        Assert.Equal(0.2, answers.Count(answer => answer == "212674") / 4000.0, 0.026);
        // Each of six characters is right in 0.2^(1/6) = 0.765, and wrong ones are spread over nine others.
        Assert.Equal(0.7647, answers.Count(answer => answer[3] == '6') / 4000.0, 0.027);
        for (var digit = '0'; digit <= '9'; digit++)
            if (digit != '6') Assert.Equal((1 - 0.7647) / 9, answers.Count(answer => answer[3] == digit) / 4000.0, 0.012);
    }

    [Fact]
    public void It_goes_on_at_the_place_that_was_reached_whatever_stands_there()
    {
        Assert.All(Answers(new ImperfectReferencesGuide(1), 10, "99"), answer => Assert.Equal("2674", answer));
        Assert.All(Answers(new ImperfectReferencesGuide(1), 10, "2126749"), answer => Assert.Equal("", answer));
    }

    [Fact]
    public void The_same_request_gets_the_same_answer_and_characters_are_never_halved()
    {
        var guide = new ImperfectReferencesGuide(0.1);
        Assert.Equal(Answers(guide, 50, ""), Answers(guide, 50, ""));
        var request = Request(3, "") with { Prompt = new Prompt("x", []) { References = ["😀é😀x"] } };
        var text = Assert.Single(guide.Continue([request], CancellationToken.None)).Text;
        Assert.Equal(4, text.EnumerateRunes().Count(rune => rune != System.Text.Rune.ReplacementChar));
        Assert.Contains("no reference", Assert.Throws<InputException>(() => guide.Continue([request with { Prompt = new Prompt("x", []) }], CancellationToken.None)).Message, StringComparison.Ordinal);
    }

    private static string[] Answers(ImperfectReferencesGuide guide, int count, string soFar) =>
        [.. guide.Continue([.. Enumerable.Range(0, count).Select(i => Request((ulong)i, soFar))], CancellationToken.None).Select(answer => answer.Text)];

    private static GuideRequest Request(ulong stream, string soFar) => new()
    {
        Prompt = new Prompt("291417=", []) { References = ["212674"] }, ResponseSoFar = soFar, ResponseTokens = [], MaxTokens = 9, Stream = stream,
    };
}
