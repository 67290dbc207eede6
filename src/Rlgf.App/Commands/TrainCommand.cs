using System.CommandLine;
using System.Globalization;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Composition;
using Rlgf.Evaluation;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Training;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf train</c>: trains a policy by a recipe.</summary>
internal static class TrainCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest checkpoint in the run's folder; the result is the same as that of a run that was never stopped." };
        var command = new Command("train", CommonOptions.Describe(
            "Trains a policy by a recipe. The run's folder (output: in the recipe, runs/NAME by default) gets the resolved recipe, metrics, samples, checkpoints and report.html. " +
            $"Ctrl-C saves and stops. {RecipeOptions.Kinds(kinds)}",
            "rlgf train recipes/quickstart/ppo_plus_plus.yaml --set seed=1"))
        {
            recipe, set, resume,
        };
        command.SetAction(parsed =>
        {
            Run(RecipeOptions.Read<TrainRecipe>(parsed.GetRequiredValue(recipe), parsed.GetValue(set)!, kinds), parsed.GetValue(resume), terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Checks a run, trains it and writes its report.</summary>
    /// <exception cref="InputException">Something can't be loaded or written, or the checks found an error.</exception>
    /// <exception cref="StoppedException">It was stopped; everything is saved.</exception>
    public static RunFolder Run(TrainRecipe recipe, bool resume, Terminal terminal)
    {
        if (recipe.Precision.HasAuto)
        {
            terminal.Error.WriteLine(
                $"precision: auto is {(PrecisionOfModels.HasBfloat16Products ? "bfloat16 here: the processor has AVX512_BF16" : "float32 here: the processor has no AVX512_BF16")}; the run's recipe.yaml has what was chosen");
        }

        using var run = TrainingRun.Own(recipe, resume);
        terminal.Tell(run.Recipe.Model.Path, run.Policy.Model.LoadingNotes);
        RequireSound(run, terminal);

        using var progress = new TrainingProgress(run, terminal);
        TrainingState state;
        try
        {
            state = run.Train(resume, progress, terminal.Stop);
            progress.Ended();
        }
        catch (OperationCanceledException) when (progress.Done == 0)
        {
            throw new StoppedException($"stopped before the first iteration; begin again with: {terminal.Program} train {run.Folder.Path} --resume");
        }
        catch (OperationCanceledException)
        {
            WriteReport(run);
            throw new StoppedException($"stopped after {progress.Done} of {run.Setup.Iterations} iterations, which are saved; go on with: {terminal.Program} train {run.Folder.Path} --resume");
        }

        WriteReport(run);
        terminal.Error.WriteLine($"{run.Folder.ReportPath} shows the run; the trained model is in {Path.Combine(run.Folder.CheckpointsFolder, $"iteration-{state.Iteration:00000}", "policy")}");
        return run.Folder;
    }

    private static void WriteReport(TrainingRun run)
    {
        if (run.Folder.ReadMetrics().Count > 0) HtmlReport.Write(run.Folder.ReportPath, new ReportData(run.Recipe.Name, [ReportRun.Read(run.Folder)]));
    }

    private static void RequireSound(TrainingRun run, Terminal terminal)
    {
        var findings = run.Check(terminal.Stop);
        foreach (var warning in findings.Where(finding => finding.Severity == Severity.Warning)) terminal.Error.WriteLine(CheckCommand.Line(warning));
        if (findings.FirstOrDefault(finding => finding.Severity == Severity.Error) is { } error) throw new InputException(error.Message);
    }

    /// <summary>The terminal's log of a run.</summary>
    private sealed class TrainingProgress(TrainingRun run, Terminal terminal) : IRunLog, IDisposable
    {
        private ProgressLine? _line;

        /// <summary>Iterations done.</summary>
        public int Done { get; private set; }

        public void Started(RunStart start)
        {
            foreach (var note in start.Notes) terminal.Error.WriteLine($"warning: {note}");
            terminal.Error.WriteLine(start.IsResumed
                ? $"{run.Recipe.Name}: resumed at iteration {start.Done} of {run.Setup.Iterations} in {run.Folder.Path}"
                : $"{run.Recipe.Name}: begins anew in {run.Folder.Path}");
            Done = start.Done;
            _line = new ProgressLine(terminal, run.Recipe.Name, "iterations", run.Setup.Iterations, start.Done);
        }

        public void Iteration(IterationRecord record)
        {
            Done = record.Iteration + 1;
            _line?.Report(Done, Figures(record.Metrics));
        }

        public void Evaluation(EvaluationRecord record) => _line?.Note($"{run.Recipe.Name}: after {record.Iteration} iterations {Figures(record.Metrics)}");

        public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }

        public void Ended() => _line?.Done();

        public void Dispose() => _line?.Dispose();

        /// <summary>The figures that tell most, on one line.</summary>
        private static string Figures(IReadOnlyDictionary<string, double> metrics)
        {
            (string Metric, string Name)[] shown = [("reward/mean", "reward"), ("judge/mean", "judge"), ("kl/start", "KL"), ("response/length", "tokens")];
            return string.Join(" · ", shown.Where(one => metrics.TryGetValue(one.Metric, out var value) && double.IsFinite(value))
                .Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Name} {Number.Fixed(metrics[one.Metric], 3)}")));
        }
    }
}
