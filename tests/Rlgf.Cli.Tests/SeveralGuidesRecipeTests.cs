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

    [Theory]
    [InlineData("guides: [{name: a, guide: {kind: references}}]", "name two at least")]
    [InlineData("guides: [{name: a, guide: {kind: references}}, {name: a, guide: {kind: references}}]", "two are called 'a'")]
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
