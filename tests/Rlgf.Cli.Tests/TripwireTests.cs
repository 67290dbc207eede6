using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>Runs that look for the signs of a reward that is climbed where it is wrong.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class TripwireTests
{
    /// <summary>Updates of this rate move the policy away from its start by more than this within two iterations.</summary>
    private const string Always = "most_kl: 1e-3", FastLearning = "update.learning_rate=0.02";

    [Fact]
    public void A_warning_is_kept_shown_and_reported_and_changes_no_number()
    {
        using var scratch = new Scratch();
        var plain = Cli.Run("train", TrainTests.Recipe(scratch, "plain"), "--set", FastLearning, "--set", "iterations=4");
        Assert.True(plain.Code == ExitCode.Ok, plain.Error);
        var warned = Cli.Run("train", TrainTests.Recipe(scratch, "warned"), "--set", FastLearning, "--set", "iterations=4", "--set", $"tripwires={{{Always}}}");
        Assert.True(warned.Code == ExitCode.Ok, warned.Error);
        Assert.Contains("tripwire most_kl: after 2 iterations the KL from the start is", warned.Error, StringComparison.Ordinal);
        var rows = Fixtures.Rows(scratch["warned/tripwires.jsonl"]);
        Assert.Equal([2, 4], rows.Select(row => row["iteration"]!.GetValue<int>()));
        Assert.All(rows, row => Assert.Equal(("most_kl", "warned"), (Text(row, "wire"), Text(row, "action"))));
        Assert.Contains("most_kl after 4 iterations", File.ReadAllText(scratch["warned/report.html"]), StringComparison.Ordinal);
        Assert.DoesNotContain("Tripwires</h2>", File.ReadAllText(scratch["plain/report.html"]), StringComparison.Ordinal);
        Assert.Equal(Rewards(scratch["plain"]), Rewards(scratch["warned"]));
        Assert.False(File.Exists(scratch["plain/tripwires.jsonl"]));
    }

    [Fact]
    public void A_run_that_is_stopped_has_saved_what_it_did_and_goes_on_without_the_tripwire_to_where_it_would_have_ended()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "plain"), "--set", FastLearning, "--set", "iterations=4").Code);
        string[] run = ["train", TrainTests.Recipe(scratch, "stopped"), "--set", FastLearning, "--set", "iterations=4"];
        string[] wire = ["--set", $"tripwires={{action: stop, {Always}}}"];
        var stopped = Cli.Run([.. run, .. wire]);
        Assert.Equal(ExitCode.Failed, stopped.Code);
        Assert.Contains("error: stopped by the tripwire most_kl after 2 iterations: the KL from the start is", stopped.Error, StringComparison.Ordinal);
        Assert.Equal("stopped", Text(Assert.Single(Fixtures.Rows(scratch["stopped/tripwires.jsonl"])), "action"));
        // Asked to go on by the same recipe, it stops where it stood, and says it once.
        Assert.Equal(ExitCode.Failed, Cli.Run([.. run, .. wire, "--resume"]).Code);
        Assert.Single(Fixtures.Rows(scratch["stopped/tripwires.jsonl"]));
        var resumed = Cli.Run([.. run, "--resume"]);
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Equal(Rewards(scratch["plain"]), Rewards(scratch["stopped"]));
    }

    [Fact]
    public void A_run_goes_back_with_a_higher_coefficient_and_stops_when_that_does_not_help()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", FastLearning, "--set", "iterations=4", "--set", "kl.coefficient=0.1", "--set", "checkpoints.every=2", "--set",
            $"tripwires={{action: go_back, kl_factor: 3, most_go_backs: 2, {Always}}}");
        Assert.Equal(ExitCode.Failed, result.Code);
        var rows = Fixtures.Rows(scratch["run/tripwires.jsonl"]);
        Assert.Equal(
            ["went back to iteration 0 with the KL coefficient 0.3", "went back to iteration 0 with the KL coefficient 0.9", "stopped"],
            rows.Select(row => Text(row, "action")));
        Assert.Contains("the run went back 2 times before", result.Error, StringComparison.Ordinal);
        // What is there is of the last way alone, and its coefficient was used.
        var metrics = Fixtures.Rows(scratch["run/metrics.jsonl"]);
        Assert.Equal([0, 1], metrics.Select(row => row["iteration"]!.GetValue<int>()));
        Assert.All(metrics, row => Assert.Equal(0.9, row["kl/coefficient"]!.GetValue<double>(), 1e-9));
        Assert.True(Directory.Exists(scratch["run/checkpoints/iteration-00000"]));
        Assert.False(Directory.Exists(scratch["run/checkpoints/iteration-00002"]));
    }

    [Fact]
    public void The_way_that_is_gone_anew_is_that_of_a_run_with_the_higher_coefficient()
    {
        using var scratch = new Scratch();
        string[] common = ["--set", FastLearning, "--set", "iterations=2", "--set", "checkpoints.every=2"];
        Assert.Equal(ExitCode.Ok, Cli.Run(["train", TrainTests.Recipe(scratch, "higher"), "--set", "kl.coefficient=0.3", .. common]).Code);
        Cli.Run(["train", TrainTests.Recipe(scratch, "back"), "--set", "kl.coefficient=0.1", .. common, "--set", $"tripwires={{action: go_back, kl_factor: 3, most_go_backs: 1, {Always}}}"]);
        Assert.Equal(Rewards(scratch["higher"]), Rewards(scratch["back"]));
    }

    [Theory]
    [InlineData("tripwires={}", "tripwires.action: there is no tripwire")]
    [InlineData("tripwires={judge_fall: 0.1}", "tripwires.judge_fall: there is no judge")]
    [InlineData("tripwires={most_length: 1}", "tripwires.most_length is 1; it must be")]
    [InlineData("tripwires={most_kl: 1, kl_factor: 3}", "tripwires.kl_factor: is for action: go_back")]
    [InlineData("tripwires={action: go_back, most_kl: 1}", "checkpoints.every: a run that goes back has a checkpoint only where it was evaluated")]
    public void Settings_that_can_not_be_are_refused_with_their_key(string setting, string said)
    {
        using var scratch = new Scratch();
        Assert.Contains(said, Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", "evaluation.every=4", "--set", setting).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static string Text(JsonNode row, string key) => row[key]!.GetValue<string>();

    private static string[] Rewards(string run) =>
        [.. Fixtures.Rows(Path.Combine(run, "metrics.jsonl")).Concat(Fixtures.Rows(Path.Combine(run, "evaluation.jsonl"))).Select(row => $"{row["reward/mean"]} {row["kl/start"]} {row["response/length"]}")];
}
