namespace Rlgf.Cli.Tests;

/// <summary>The guide <c>kind: several</c> in a recipe.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class SeveralGuidesRecipeTests
{
    private const string Two = "guide={kind: several, choose: bandit, guides: [{name: data, guide: {kind: references}}, {name: noise, guide: {kind: imperfect_references, right: 0.1}}]}";

    [Fact]
    public void A_run_says_what_each_guide_was_used_for_and_goes_on_from_a_checkpoint_with_the_same_numbers()
    {
        using var scratch = new Scratch();
        var whole = Cli.Run("train", TrainTests.Recipe(scratch, "whole"), "--set", Two);
        Assert.True(whole.Code == ExitCode.Ok, whole.Error);
        var metrics = TrainTests.Metrics(scratch["whole"]);
        Assert.Contains("\"guide/data/rows\":", metrics[^1], StringComparison.Ordinal);
        Assert.Contains("\"guide/noise/tokens\":", metrics[^1], StringComparison.Ordinal);

        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "parts"), "--set", Two, "--set", "iterations=2", "--set", "update.schedule=constant").Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("train", scratch["parts"], "--resume", "--set", "iterations=3").Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "constant"), "--set", Two, "--set", "update.schedule=constant").Code);
        Assert.Equal(TrainTests.Metrics(scratch["constant"]), TrainTests.Metrics(scratch["parts"]));
    }

    [Fact]
    public void A_limited_guide_gives_what_it_may_and_a_run_that_goes_on_gives_the_rest()
    {
        const string limited = "guide={kind: limited, answers: 12, guide: {kind: imperfect_references, right: 0.1}}";
        using var scratch = new Scratch();
        var whole = Cli.Run("train", TrainTests.Recipe(scratch, "whole"), "--set", limited, "--set", "update.schedule=constant");
        Assert.True(whole.Code == ExitCode.Ok, whole.Error);
        Assert.Contains(whole.ErrorLines, line => line.StartsWith("guide 'references, 0.1 right': 12 of its 12 answers given; ", StringComparison.Ordinal));
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "parts"), "--set", limited, "--set", "iterations=2", "--set", "update.schedule=constant").Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("train", scratch["parts"], "--resume", "--set", "iterations=3").Code);
        Assert.Equal(TrainTests.Metrics(scratch["whole"]), TrainTests.Metrics(scratch["parts"]));
        Assert.Equal(ExitCode.Ok, Cli.Run("train", scratch["parts"], "--resume", "--set", "iterations=4", "--set", "guide.answers=20").Code);
        Assert.Contains("\"guide/answers\":", TrainTests.Metrics(scratch["parts"])[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("guide={kind: limited, answers: 0, guide: {kind: references}}", "answers")]
    [InlineData("guide={kind: limited, answers: 5}", "guide.guide")]
    [InlineData("guide={kind: limited, answers: 5, guide: {kind: limited, answers: 3, guide: {kind: references}}}", "guide.guide: is limited itself: give one limit")]
    [InlineData("guide={kind: limited, answers: 5, guide: {kind: several, guides: [{name: a, guide: {kind: references}}, {name: b, guide: {kind: references}}]}}", "guide.guide: is of several")]
    [InlineData("guide={kind: limited, answers: 5, guide: {kind: openai, endpoint: 'http://127.0.0.1:1/v1', model: m}}", "guide.guide: counts what it is paid for by itself: give it its own budget")]
    public void A_limit_that_can_not_be_is_refused(string set, string said)
    {
        using var scratch = new Scratch();
        Assert.Contains(said, Cli.Run("check", TrainTests.Recipe(scratch, "run"), "--set", set).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("seed=1")]
    [InlineData("guide_worth={share: 0.5}")]
    [InlineData("algorithm={name: adaback, group_size: 4}")] // Rows of a group share a text.
    [InlineData("algorithm={name: bread, group_size: 4}")] // Some rows are replaced by others.
    public void What_each_guide_wrote_is_all_that_was_written(string set)
    {
        using var scratch = new Scratch();
        var result = Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", Two, "--set", set);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var last = System.Text.Json.Nodes.JsonNode.Parse(TrainTests.Metrics(scratch["run"])[^1])!;
        Assert.Equal((double)last["tokens/guide"]!, (double)last["guide/data/tokens"]! + (double)last["guide/noise/tokens"]!);
        Assert.True((double)last["tokens/guide"]! > 0);
    }

    [Theory]
    [InlineData("guides: [{name: a, guide: {kind: references}}]", "name two at least")]
    [InlineData("guides: [{name: a, guide: {kind: references}}, {name: a, guide: {kind: references}}]", "two are called 'a' and 'a'")]
    [InlineData("guides: [{name: a, guide: {kind: references}}, {name: A, guide: {kind: references}}]", "two are called 'a' and 'A': give each a name of its own, in which not only capital letters differ")]
    [InlineData("choose: bandit, guides: [{name: a, weight: 2, guide: {kind: references}}, {name: b, guide: {kind: references}}]", "guide.guides.0.weight")]
    [InlineData("guides: [{name: a, weight: 0, guide: {kind: references}}, {name: b, guide: {kind: references}}]", "guide.guides.0.weight")]
    [InlineData("guides: [{name: a, guide: {kind: model, path: nowhere}}, {name: b, guide: {kind: references}}]", "guide.guides.0.guide")]
    public void What_is_wrong_is_one_line(string guide, string message)
    {
        using var scratch = new Scratch();
        Assert.Contains(message, Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", $"guide={{kind: several, {guide}}}").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Guides_that_all_roll_in_only_are_refused_where_one_must_finish()
    {
        using var scratch = new Scratch();
        var two = "guide={kind: several, guides: [{name: a, guide: {kind: references}}, {name: b, guide: {kind: references}}]}";
        Assert.Contains("guide", Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", two, "--set", "algorithm.name=aggrevated").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }
}
