using System.CommandLine;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Composition;
using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Models.NumberTypes;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Training;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf train</c>: trains a policy by a recipe.</summary>
internal static class TrainCommand
{
    /// <summary>What it is called.</summary>
    public const string Name = "train";

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest checkpoint in the run's folder; the result is the same as that of a run that was never stopped." };
        var command = new Command(Name, CommonOptions.Describe(
            "Trains a policy by a recipe. The run's folder (output: in the recipe, runs/NAME by default) gets the resolved recipe, metrics, samples, checkpoints and report.html. " +
            $"Ctrl-C saves and stops. {RecipeOptions.Kinds(kinds)}",
            "rlgf train recipes/quickstart/ppo_plus_plus.yaml --set seed=1"))
        {
            recipe, set, device, resume,
        };
        command.SetAction(parsed =>
        {
            Run(RecipeOptions.Read<TrainRecipe>(parsed.GetRequiredValue(recipe), RecipeOptions.Changes(parsed, set, device), kinds), parsed.GetValue(resume), terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Checks a run, trains it and writes its report.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Whether it goes on with the run that is in its folder.</param>
    /// <param name="terminal">Where it says what happens.</param>
    /// <param name="isPart">Whether it is a part of what the command does.</param>
    /// <exception cref="InputException">Something can't be loaded or written, or the checks found an error.</exception>
    /// <exception cref="StoppedException">It was stopped; everything is saved.</exception>
    public static RunFolder Run(TrainRecipe recipe, bool resume, Terminal terminal, bool isPart = false)
    {
        foreach (var line in terminal.AboutRanks) terminal.Error.WriteLine(line);
        recipe.RequireDevices();
        if (recipe.HasAutoTypes)
        {
            terminal.Error.WriteLine(
                $"precision: auto on the CPU is {(PrecisionOfModels.HasBfloat16Products ? "bfloat16 here: the processor has AVX512_BF16" : "float32 here: the processor has no AVX512_BF16")}; the run's recipe.yaml has what was chosen");
        }

        using var progress = new RunProgress(terminal, (TrainRecipe)recipe.Resolved(), "iteration");
        using var run = Loaded(recipe, resume, progress, terminal, isPart);
        // The others have neither the folder nor a terminal.
        var isFirst = terminal.Ranks.Rank == 0;
        TrainingState state;
        try
        {
            state = run.Train(resume, progress, terminal.Stop);
            progress.Ended();
        }
        catch (OperationCanceledException)
        {
            if (progress.HasBegun) WriteReport(run);
            if (isFirst) TellCost(run, terminal, progress.HasBegun);
            throw progress.Stopped(isPart);
        }
        catch (InputException)
        {
            // What went wrong before says why it ended.
            if (isFirst) TellCost(run, terminal, progress.HasBegun);
            throw;
        }

        if (!isFirst) return run.Folder;
        WriteReport(run);
        TellCost(run, terminal);
        terminal.Error.WriteLine($"{run.Folder.ReportPath} shows the run; the trained model is in {Path.Combine(run.Folder.CheckpointsFolder, $"iteration-{state.Iteration:00000}", "policy")}");
        return run.Folder;
    }

    /// <summary>Loads a run and checks it.</summary>
    private static TrainingRun Loaded(TrainRecipe recipe, bool resume, RunProgress progress, Terminal terminal, bool isPart)
    {
        TrainingRun? run = null;
        try
        {
            run = TrainingRun.Own(recipe, resume, terminal.Error.WriteLine, terminal.Ranks, terminal.Stop);
            terminal.Tell(run.Recipe.Model.Path, run.Policy.Model.LoadingNotes);
            terminal.Ranks.ByFirst(() => RequireSound(run, terminal));
            return run;
        }
        catch (OperationCanceledException)
        {
            run?.Dispose();
            throw progress.Stopped(isPart);
        }
        catch
        {
            run?.Dispose();
            throw;
        }
    }

    private static void WriteReport(TrainingRun run)
    {
        if (run.Folder.ReadMetrics().Count > 0) HtmlReport.Write(run.Folder.ReportPath, new ReportData(run.Recipe.Name, [ReportRun.Read(run.Folder)]));
    }

    /// <summary>What a guide that costs something has cost, and what a guide bought.</summary>
    /// <param name="run">The run.</param>
    /// <param name="terminal">Where it is said.</param>
    /// <param name="hasBegun">Whether an iteration is done; if not, only what was paid for is said.</param>
    private static void TellCost(TrainingRun run, Terminal terminal, bool hasBegun = true)
    {
        if (run.Setup.Guide is IMeteredGuide guide && (hasBegun || guide.Metrics.Any(metric => metric.Key.EndsWith("/requests", StringComparison.Ordinal) && metric.Value > 0)))
            foreach (var line in guide.Summary) terminal.Error.WriteLine(line);
        if (hasBegun && GuidanceGain.Of(run.Folder) is { } gain) terminal.Error.WriteLine(gain.Line);
    }

    private static void RequireSound(TrainingRun run, Terminal terminal)
    {
        var findings = run.Check(terminal.Stop);
        foreach (var warning in findings.Where(finding => finding.Severity == Severity.Warning)) terminal.Error.WriteLine(CheckCommand.Line(warning));
        if (findings.FirstOrDefault(finding => finding.Severity == Severity.Error) is { } error) throw new InputException(error.Message);
    }
}
