using System.Text.Json.Nodes;
using Rlgf.Composition;
using Rlgf.Evaluation;
using Rlgf.Recipes;
using Rlgf.Runs;

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

    [Fact]
    public void A_stop_where_nothing_was_evaluated_makes_nothing_good_and_the_good_checkpoint_stays()
    {
        using var scratch = new Scratch();
        string[] settings = Settings("checkpoints={every: 2, keep: 1}", $"tripwires={{action: go_back, kl_factor: 3, most_go_backs: 1, {Always}}}");
        EndAfter(scratch, 1, settings);
        Assert.True(Directory.Exists(scratch["run/checkpoints/iteration-00000"]));
        Assert.True(Directory.Exists(scratch["run/checkpoints/iteration-00001"]));

        // The evaluation after 2 is bad: back to 0, and again to the end.
        Assert.Equal(ExitCode.Failed, Resume(scratch, settings).Code);
        Assert.Equal(["went back to iteration 0 with the KL coefficient 0.3", "stopped"], Actions(scratch));
        Assert.True(Directory.Exists(scratch["run/checkpoints/iteration-00000"]));
        Assert.False(Directory.Exists(scratch["run/checkpoints/iteration-00001"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_that_is_killed_as_it_goes_back_goes_back_no_more_often_than_it_may(bool isDone)
    {
        using var scratch = new Scratch();
        string[] settings = Settings("checkpoints={every: 2, keep: 1}", $"tripwires={{action: go_back, kl_factor: 3, most_go_backs: 1, {Always}}}");
        // A stop before makes a checkpoint that the run must not go on from.
        EndAfter(scratch, 1, settings);
        Assert.ThrowsAny<Exception>(() => Train(scratch, new Ender { InTripwire = !isDone, InWentBack = isDone }, resume: true, settings));
        Assert.Equal(!isDone, Directory.Exists(scratch["run/checkpoints/iteration-00001"]));

        var resumed = Resume(scratch, settings);
        Assert.Equal(ExitCode.Failed, resumed.Code);
        Assert.Contains("the run went back 1 times before", resumed.Error, StringComparison.Ordinal);
        Assert.Equal(["went back to iteration 0 with the KL coefficient 0.3", "stopped"], Actions(scratch));
        Assert.All(Fixtures.Rows(scratch["run/metrics.jsonl"]), row => Assert.Equal(0.3, row["kl/coefficient"]!.GetValue<double>(), 1e-9));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("500")]
    public void What_the_coefficient_was_raised_to_and_how_often_stay_the_run_s_where_the_section_changes_or_goes(string? target)
    {
        using var scratch = new Scratch();
        string[] settings = [.. Settings("checkpoints={every: 2, keep: 1}"), .. target is null ? Array.Empty<string>() : ["--set", $"kl.target={target}"]];
        string Wires(int factor, int most) => $"tripwires={{action: go_back, kl_factor: {factor}, most_go_backs: {most}, {Always}}}";
        Assert.ThrowsAny<Exception>(() => Train(scratch, new Ender { InWentBack = true }, resume: false, [.. settings, "--set", Wires(3, 1)]));
        Assert.Equal(ExitCode.Failed, Resume(scratch, [.. settings, "--set", Wires(5, 2)]).Code);
        Assert.Equal(["went back to iteration 0 with the KL coefficient 0.3", "went back to iteration 0 with the KL coefficient 1.5", "stopped"], Actions(scratch));

        var without = Resume(scratch, settings);
        Assert.True(without.Code == ExitCode.Ok, without.Error);
        var rows = Fixtures.Rows(scratch["run/metrics.jsonl"]);
        Assert.Equal(4, rows.Length);
        Assert.Equal(1.5, rows[0]["kl/coefficient"]!.GetValue<double>(), 1e-9);
        if (target is null) Assert.All(rows, row => Assert.Equal(1.5, row["kl/coefficient"]!.GetValue<double>(), 1e-9));
        // Asked for again, it still knows how often.
        Assert.Contains("the run went back 2 times before", Resume(scratch, [.. settings, "--set", Wires(5, 2)]).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_no_checkpoint_was_found_good_that_is_why_it_stops()
    {
        using var scratch = new Scratch();
        // Begun without tripwires, so that no checkpoint was looked at; the first evaluation that is looked at is bad.
        EndAfter(scratch, 1, Settings("checkpoints={every: 2, keep: 1}"));
        var resumed = Resume(scratch, Settings("checkpoints={every: 2, keep: 1}", $"tripwires={{action: go_back, {Always}}}"));
        Assert.Contains("there is no checkpoint whose evaluation touched nothing", resumed.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Failed, resumed.Code);
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

    private static string[] Settings(params string[] more) =>
        [.. ((string[])[FastLearning, "iterations=4", "kl.coefficient=0.1", "evaluation.guide=false", .. more]).SelectMany(change => (string[])["--set", change])];

    private static CliResult Resume(Scratch scratch, string[] settings) => Cli.Run(["train", TrainTests.Recipe(scratch, "run"), .. settings, "--resume"]);

    private static IEnumerable<string> Actions(Scratch scratch) => Fixtures.Rows(scratch["run/tripwires.jsonl"]).Select(row => Text(row, "action"));

    /// <summary>Begins a run, and stops it after so many iterations as Ctrl-C does.</summary>
    private static void EndAfter(Scratch scratch, int iterations, string[] settings)
    {
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => Train(scratch, new Ender { Stop = stop, After = iterations }, resume: false, settings));
    }

    private static void Train(Scratch scratch, Ender ender, bool resume, string[] settings)
    {
        var recipe = (TrainRecipe)RecipeFile.Load<RunRecipe>(TrainTests.Recipe(scratch, "run"), [.. settings.Where(part => part != "--set")]);
        using var run = TrainingRun.Own(recipe, resume);
        run.Train(resume, ender, ender.Stop?.Token ?? CancellationToken.None);
    }

    /// <summary>Stops a run, or ends it as a kill would: by a failure where nothing is saved any more.</summary>
    private sealed class Ender : IRunLog
    {
        public CancellationTokenSource? Stop { get; init; }

        public int After { get; init; }

        public bool InTripwire { get; init; }

        public bool InWentBack { get; init; }

        public void Iteration(IterationRecord record)
        {
            if (record.Iteration + 1 == After) Stop!.Cancel();
        }

        public void Evaluation(EvaluationRecord record) { }

        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }

        public void Tripwire(TripwireRecord record)
        {
            if (InTripwire) throw new InvalidOperationException("killed");
        }

        public void WentBack(int iteration)
        {
            if (InWentBack) throw new InvalidOperationException("killed");
        }
    }

    private static string Text(JsonNode row, string key) => row[key]!.GetValue<string>();

    private static string[] Rewards(string run) =>
        [.. Fixtures.Rows(Path.Combine(run, "metrics.jsonl")).Concat(Fixtures.Rows(Path.Combine(run, "evaluation.jsonl"))).Select(row => $"{row["reward/mean"]} {row["kl/start"]} {row["response/length"]}")];
}
