namespace Rlgf.Endpoints.Tests;

/// <summary>What chat models put around a continuation.</summary>
public sealed class AnswerCleanerTests
{
    private const string Text = "The old film was shown again in";

    [Theory]
    [InlineData("the village hall.", " the village hall.", null)]
    [InlineData(" the village hall.", " the village hall.", null)]
    [InlineData(", of all places, a church.", ", of all places, a church.", null)]
    [InlineData("\nthe hall", "\nthe hall", null)]
    [InlineData("", "", null)]
    [InlineData("The old film was shown again in the hall.", " the hall.", AnswerCleaner.Echo)]
    [InlineData("film was shown again in the hall.", " the hall.", AnswerCleaner.Echo)]
    [InlineData("in a hall.", " in a hall.", null)] // A word alone may come by chance.
    [InlineData("The old film, was shown again in the hall.", " the hall.", AnswerCleaner.Changed)]
    [InlineData("the Old Film was shown again in the hall.", " the hall.", AnswerCleaner.Changed)]
    [InlineData("The old movie was shown again in the hall.", " The old movie was shown again in the hall.", null)] // That is another text.
    [InlineData("\"the hall.\"", " the hall.", AnswerCleaner.Quotes)]
    [InlineData("“the hall.”", " the hall.", AnswerCleaner.Quotes)]
    [InlineData("```\nthe hall.\n```", " the hall.", AnswerCleaner.Quotes)]
    [InlineData("\"Halls\" and \"churches\"", " \"Halls\" and \"churches\"", null)]
    [InlineData("Sure! Here is the continuation:\n\nthe hall.", " the hall.", AnswerCleaner.Preamble)]
    [InlineData("Here's what comes next: \"the hall.\"", " the hall.", AnswerCleaner.Preamble + "|" + AnswerCleaner.Quotes)]
    [InlineData("Certainly:\n\"The old film was shown again in the hall.\"", " the hall.", AnswerCleaner.Preamble + "|" + AnswerCleaner.Quotes + "|" + AnswerCleaner.Echo)]
    [InlineData("Here they were all: dogs, cats.", " Here they were all: dogs, cats.", null)]
    public void What_is_no_continuation_is_found_and_cut_off_or_refused(string answer, string continuation, string? kinds)
    {
        var counts = new KindCounts();
        Assert.Equal(continuation, new AnswerCleaner(UncleanAnswers.Mend, counts).Clean(Text, answer));
        Assert.Equal((kinds?.Split('|') ?? []).Order(StringComparer.Ordinal), counts.Counts.Select(one => one.Kind));
        Assert.Equal(kinds is null ? continuation : null, new AnswerCleaner(UncleanAnswers.Refuse, new KindCounts()).Clean(Text, answer));
    }

    [Theory]
    [InlineData("mend", 0)]
    [InlineData("refuse", 1)]
    public void A_run_mends_or_refuses_such_answers_and_counts_them(string rule, int least)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { HasCompletions = false, AnswerOf = _ => "Sure, here it is:\n\"good\"" };
        var result = TestRun.Train(scratch, server, $"guide.unclean_answers={rule}");
        Assert.True(result.Code == 0, result.Error);
        Assert.Matches("guide 'm': answers in quotation marks: [1-9]", result.Error);
        var last = TestRun.Metrics(scratch)[^1];
        Assert.True((double)last["guide/unclean"]! > 0);
        Assert.Equal(least > 0, ((double?)last["guide/unanswered"] ?? 0) > 0);
    }
}
