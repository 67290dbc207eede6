using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Rollouts;
using Rlgf.Runs;

namespace Rlgf.Tests.Runs;

public sealed class FolderRunLogTests : IDisposable
{
    private static readonly RunDescription Description = new("tiny", "ppo++", 7, "the guide");

    private static readonly RunEnvironment Machine = new("0.1.0", "an OS", "x64", "a processor", 2, 4, ".NET", "0.107.0", "2.10.0", 2, "highest", false,
        new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    private readonly TemporaryFolder _temporary = new();

    private RunFolder Folder => new(_temporary.File("run"));

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void What_is_logged_is_read_back_equal()
    {
        var iteration = Iteration(0, double.NaN);
        var evaluation = Evaluation(0, "quoted \"text\"\nwith lines, ünï, 🎬 and \u2028");
        var guide = Evaluation(0, "guide's");
        var sample = new SampleRecord("prompt", 1, 0.5, new Dictionary<string, double> { ["length"] = 2 },
            [new SampleToken("a\uFFFD", Actor.Guide, -0.25, double.NaN, double.NaN, -1.5), new SampleToken(" b", Actor.Policy, 0.25, 0.125, 0.0625, -2.5)]);
        using (var log = FolderRunLog.Begin(Folder, Description, Machine))
        {
            log.Iteration(iteration);
            log.Evaluation(evaluation);
            log.GuideEvaluation(guide);
            log.Samples(0, [sample]);
        }

        Assert.Equal(Description, Folder.ReadDescription());
        Assert.Equal(Machine, Folder.ReadEnvironment());
        Assert.Equivalent(iteration, Assert.Single(Folder.ReadMetrics()), strict: true);
        Assert.Equivalent(evaluation, Assert.Single(Folder.ReadEvaluations()), strict: true);
        Assert.Equivalent(guide, Folder.ReadGuideEvaluation(), strict: true);
        Assert.Equal([0], Folder.SampleIterations());
        Assert.Equivalent(sample, Assert.Single(Folder.ReadSamples(0)), strict: true);
    }

    [Fact]
    public void A_row_of_metrics_is_flat_and_NaN_is_null()
    {
        using (var log = FolderRunLog.Begin(Folder, Description, Machine)) log.Iteration(Iteration(3, double.NaN));

        Assert.Equal(
            """{"iteration":3,"roll_in":"guide","roll_out":"policy","roll_in_probability":0.6,"roll_in_lengths":"inside","guide_credit":0,"reward/mean":3,"loss/value":null}""" + "\n",
            File.ReadAllText(Folder.MetricsPath));
    }

    [Fact]
    public void Every_row_is_on_file_before_the_log_is_closed()
    {
        using var log = FolderRunLog.Begin(Folder, Description, Machine);
        log.Iteration(Iteration(0));
        Assert.Single(Folder.ReadMetrics());
        log.Iteration(Iteration(1));
        Assert.Equal(2, Folder.ReadMetrics().Count);
    }

    [Fact]
    public void Resuming_drops_what_lies_beyond_the_checkpoint()
    {
        using (var log = FolderRunLog.Begin(Folder, Description, Machine))
        {
            for (var i = 0; i < 6; i++)
            {
                if (i % 2 == 0) log.Evaluation(Evaluation(i, "old"));
                log.Iteration(Iteration(i));
                log.Samples(i, []);
            }
            log.GuideEvaluation(Evaluation(0, "guide"));
        }
        // As a killed process leaves it.
        File.AppendAllText(Folder.MetricsPath, """{"iteration":6,"roll_in":"gui""");

        using (var log = FolderRunLog.Resume(Folder, 2))
        {
            Assert.Equal([0, 1], Folder.ReadMetrics().Select(r => r.Iteration));
            Assert.Equal([0, 1, 2], Folder.SampleIterations());
            Assert.Equal([0, 2], Folder.ReadEvaluations().Select(e => e.Iteration));
            Assert.False(File.Exists(Folder.EvaluationRowsPath(4)));
            Assert.NotNull(Folder.ReadGuideEvaluation());
            log.Evaluation(Evaluation(2, "new"));
            log.Iteration(Iteration(2));
        }

        Assert.Equal([0, 1, 2], Folder.ReadMetrics().Select(r => r.Iteration));
        Assert.Equal(["old", "new"], Folder.ReadEvaluations().Select(e => Assert.Single(e.Rows).Response));
        Assert.Empty(Directory.GetFiles(Folder.Path, "*" + AtomicFile.TemporaryEnding, SearchOption.AllDirectories));
    }

    [Fact]
    public void A_cut_last_line_is_left_out_and_a_broken_line_before_it_is_an_error_with_its_number()
    {
        using (var log = FolderRunLog.Begin(Folder, Description, Machine))
        {
            log.Iteration(Iteration(0));
            log.Iteration(Iteration(1));
        }
        var whole = File.ReadAllText(Folder.MetricsPath);

        File.WriteAllText(Folder.MetricsPath, whole[..^10]);
        Assert.Equal([0], Folder.ReadMetrics().Select(r => r.Iteration));

        File.WriteAllText(Folder.MetricsPath, whole[..20] + "\n" + whole);
        var error = Assert.Throws<InputException>(() => Folder.ReadMetrics());
        Assert.StartsWith($"{Folder.MetricsPath}:1: ", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("""{"iteration":0,"roll_in":"guide","roll_out":"policy","roll_in_probability":0.6,"roll_in_lengths":"inside"}""", "'guide_credit' is missing")]
    [InlineData("""{"iteration":0,"roll_in":"me","roll_out":"policy","roll_in_probability":0.6,"roll_in_lengths":"inside","guide_credit":0}""", "'roll_in' is 'me', not one of policy, guide")]
    [InlineData("""{"iteration":"0","roll_in":"guide","roll_out":"policy","roll_in_probability":0.6,"roll_in_lengths":"inside","guide_credit":0}""", "a field has the wrong type")]
    [InlineData("""{"iteration":0,"roll_in":"guide","roll_out":"policy","roll_in_probability":0.6,"roll_in_lengths":"inside","guide_credit":0,"x":"y"}""", "'x' is neither a number nor null")]
    [InlineData("[]", "not a JSON object")]
    public void A_row_that_is_not_one_of_metrics_is_an_error(string line, string message)
    {
        Directory.CreateDirectory(Folder.Path);
        File.WriteAllText(Folder.MetricsPath, line + "\n");
        Assert.Equal($"{Folder.MetricsPath}:1: {message}", Assert.Throws<InputException>(() => Folder.ReadMetrics()).Message);
    }

    [Fact]
    public void An_evaluation_row_with_an_unknown_or_a_missing_name_is_an_error()
    {
        using (var log = FolderRunLog.Begin(Folder, Description, Machine)) log.Evaluation(Evaluation(0, "text"));
        var path = Folder.EvaluationRowsPath(0);
        var row = File.ReadAllText(path);

        File.WriteAllText(path, row.Replace("\"judge\"", "\"judgement\"", StringComparison.Ordinal));
        Assert.StartsWith($"{path}:1: ", Assert.Throws<InputException>(() => Folder.ReadEvaluations()).Message, StringComparison.Ordinal);

        File.Delete(path);
        Assert.StartsWith($"{path}: no such file", Assert.Throws<InputException>(() => Folder.ReadEvaluations()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_holds_a_run_is_not_begun_again()
    {
        using (var log = FolderRunLog.Begin(Folder, Description, Machine)) log.Iteration(Iteration(0));
        var error = Assert.Throws<InputException>(() => FolderRunLog.Begin(Folder, Description, Machine));
        Assert.Contains("--resume", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_metric_may_not_take_the_name_of_a_field()
    {
        using var log = FolderRunLog.Begin(Folder, Description, Machine);
        var record = Iteration(0) with { Metrics = new Dictionary<string, double> { ["iteration"] = 1 } };
        Assert.Throws<ArgumentException>(() => log.Iteration(record));
    }

    [Fact]
    public void The_environment_tells_no_names_or_paths()
    {
        var environment = RunEnvironment.Capture();
        var text = environment.ToString();
        Assert.NotEmpty(environment.Libtorch);
        Assert.InRange(environment.Threads, 1, 1024);
        Assert.DoesNotContain(AppContext.BaseDirectory, text, StringComparison.Ordinal);
        if (Environment.MachineName.Length > 5) Assert.DoesNotContain(Environment.MachineName, text, StringComparison.OrdinalIgnoreCase);
    }

    private static IterationRecord Iteration(int i, double valueLoss = 0.5) => new(i,
        new RolloutPlan(Actor.Guide, Actor.Policy, 0.6, RollInLengths.Inside), new Dictionary<string, double> { ["reward/mean"] = i, ["loss/value"] = valueLoss });

    private static EvaluationRecord Evaluation(int i, string response) => new(i, new Dictionary<string, double> { ["reward/mean"] = 0.5 },
        [new EvaluationRow("prompt", response, 3, true, 0.5, new Dictionary<string, double> { ["classifier"] = 0.5 }, double.NaN, 1.5, -12)]);
}
