using System.CommandLine;
using System.Globalization;
using Rlgf.App.Report;
using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Training;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf train</c>: trains a policy by a recipe.</summary>
internal static class TrainCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest checkpoint in the run's folder; the result is the same as that of a run that was never stopped." };
        var command = new Command("train", CommonOptions.Describe(
            "Trains a policy by a recipe. The run's folder (output: in the recipe, runs/NAME by default) gets the resolved recipe, metrics, samples, checkpoints and report.html. " +
            "Ctrl-C saves and stops.",
            "rlgf train recipes/quickstart/ppo_plus_plus.yaml --set seed=1"))
        {
            recipe, set, resume,
        };
        command.SetAction(parsed =>
        {
            Run(RecipeOptions.Read<TrainRecipe>(parsed.GetRequiredValue(recipe), parsed.GetValue(set)!), parsed.GetValue(resume), terminal);
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

        using var run = TrainingRun.Own(recipe);
        terminal.Tell(run.Recipe.Model.Path, run.Policy.Model.LoadingNotes);
        RequireSound(run, terminal);

        TrainingOutcome outcome;
        try
        {
            outcome = Train(run, resume, terminal);
        }
        catch (OperationCanceledException)
        {
            throw new StoppedException($"stopped before the first iteration; begin again with: rlgf train {run.Folder.Path} --resume");
        }

        if (run.Folder.ReadMetrics().Count > 0) HtmlReport.Write(run.Folder.ReportPath, new ReportData(run.Recipe.Name, [ReportRun.Read(run.Folder)]));
        if (!outcome.Finished)
        {
            throw new StoppedException($"stopped after {outcome.State.Iteration} of {run.Setup.Iterations} iterations, which are saved; go on with: rlgf train {run.Folder.Path} --resume");
        }

        terminal.Error.WriteLine($"{run.Folder.ReportPath} shows the run; the trained model is in {Path.Combine(run.Folder.CheckpointsFolder, $"iteration-{outcome.State.Iteration:00000}", "policy")}");
        return run.Folder;
    }

    private static TrainingOutcome Train(TrainingRun run, bool resume, Terminal terminal)
    {
        ProgressLine? progress = null;
        try
        {
            var outcome = run.Train(
                resume,
                start =>
                {
                    foreach (var note in start.Notes) terminal.Error.WriteLine($"warning: {note}");
                    terminal.Error.WriteLine(start.IsResumed
                        ? $"{run.Recipe.Name}: resumed at iteration {start.Done} of {run.Setup.Iterations} in {run.Folder.Path}"
                        : $"{run.Recipe.Name}: begins anew in {run.Folder.Path}");
                    progress = new ProgressLine(terminal, run.Recipe.Name, "iterations", run.Setup.Iterations, start.Done);
                },
                record => progress?.Report(record.Iteration + 1, Figures(record.Metrics)),
                record => progress?.Note($"{run.Recipe.Name}: after {record.Iteration} iterations {Figures(record.Metrics)}"),
                terminal.Stop);
            progress?.Done();
            return outcome;
        }
        finally
        {
            progress?.Dispose();
        }
    }

    private static void RequireSound(TrainingRun run, Terminal terminal)
    {
        var findings = run.Check(terminal.Stop);
        foreach (var warning in findings.Where(finding => finding.Severity == Severity.Warning)) terminal.Error.WriteLine(CheckCommand.Line(warning));
        if (findings.FirstOrDefault(finding => finding.Severity == Severity.Error) is { } error) throw new InputException(error.Message);
    }

    /// <summary>The figures that tell most, on one line.</summary>
    private static string Figures(IReadOnlyDictionary<string, double> metrics)
    {
        (string Metric, string Name)[] shown = [("reward/mean", "reward"), ("judge/mean", "judge"), ("kl/start", "KL"), ("response/length", "tokens")];
        return string.Join(" · ", shown.Where(one => metrics.TryGetValue(one.Metric, out var value) && double.IsFinite(value))
            .Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Name} {Number.Fixed(metrics[one.Metric], 3)}")));
    }
}
