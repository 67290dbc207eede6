using System.CommandLine;
using System.Globalization;
using Rlgf.App.Report;
using Rlgf.App.Sweeps;
using Rlgf.App.Terminals;
using Rlgf.Models;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf sweep</c>: every combination of some values and seeds of a recipe, and one table.</summary>
internal static class SweepCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipes = new Argument<string[]>("recipes") { HelpName = "RECIPE", Description = "The recipe, a YAML file. Several are compared with each other, such as one for each algorithm.", Arity = ArgumentArity.OneOrMore };
        var over = new Option<string[]>("--over")
        {
            HelpName = "KEY=VALUE,VALUE,…",
            Description = "A key of the recipe and the values that it is given in turn, such as --over update.epochs=1,2,4; several times for every combination. A value is YAML; commas within brackets, braces or quotes belong to it.",
            DefaultValueFactory = _ => [],
        };
        var seeds = new Option<string?>("--seeds") { HelpName = "SEEDS", Description = "Seeds of each setting, such as 1..5 or 1,2,7; by default the recipe's own." };
        var processes = CommonOptions.Number("--processes", 1, "Runs at a time. The threads of the machine, or OMP_NUM_THREADS of them, are shared out among them.");
        var output = new Option<string?>("--output") { HelpName = "DIR", Description = "The sweep's folder; runs/sweep-NAME by default." };
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var command = new Command("sweep", CommonOptions.Describe(
            "Trains by a recipe with every combination of some values and seeds, each run in its own folder (switch_iteration-5/seed-1) and process, and ends with one table as 'compare' makes it, and with the results " +
            $"against each key that is a number: {SweepFolder.TableName}, {ResultsFolder.NumbersName}, {ResultsFolder.ReportName} and {ResultsFolder.PicturesName}/ in the sweep's folder. All combinations are checked before " +
            "any is run. A run that fails is named, and the others go on. Ctrl-C saves and stops; the same command goes on, also with more values or seeds, and does not repeat what is done.",
            "rlgf sweep recipes/quickstart/d2lols.yaml --over algorithm.switch_iteration=0,5,10,20 --seeds 1..5 --processes 2"))
        {
            recipes, over, seeds, processes, output, set, device,
        };
        command.SetAction(parsed =>
        {
            var count = parsed.GetValue(processes);
            if (count < 1) throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"--processes {count}: at least 1 run at a time"));
            var request = new SweepRequest(
                parsed.GetRequiredValue(recipes), RecipeOptions.Changes(parsed, set, device), [.. parsed.GetValue(over)!.Select(SweptKey.Parse)],
                parsed.GetValue(seeds) is { } given ? SeedList.Parse(given) : null, parsed.GetValue(output));
            return Run(request, count, (file, changes) => RecipeOptions.Read<TrainRecipe>(file, changes, kinds), terminal);
        });
        return command;
    }

    private static int Run(SweepRequest request, int processes, Func<string, RecipeChange[], TrainRecipe> read, Terminal terminal)
    {
        var plan = SweepPlan.Of(request, read);
        foreach (var run in plan.Runs)
        {
            run.Recipe.RequireDevices();
            // One run after the other would find it out by itself.
            run.Recipe.RequireInputs();
        }

        Outputs.RequireFolder(plan.Folder, plan.Runs.SelectMany(run => run.Recipe.Inputs()).Distinct());
        using var owned = RunOwnership.TakeSweep(plan.Folder);
        SweepFolder.RequireSame(plan, request, read);
        SweepFolder.Write(plan);

        bool[] isDone = [.. plan.Runs.Select(run => run.IsDone)];
        var left = isDone.Count(done => !done);
        processes = Math.Min(processes, plan.Runs.Count);
        int? threads = left == 0 || processes == 1 ? null : Math.Max(1, TorchRuntime.Load().Threads / processes);
        terminal.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{plan.Folder}: {plan.Runs.Count} runs, {plan.Runs.Count - left} of them done{(threads is null ? "" : $"; {processes} at a time, {threads} thread{(threads == 1 ? "" : "s")} each")}"));
        IReadOnlyList<(PlannedRun Run, string Message)> failed = [];
        if (left > 0)
        {
            using var running = new SweepProcesses(terminal, processes, threads);
            try
            {
                failed = running.Run(plan.Runs, isDone);
            }
            catch (OperationCanceledException)
            {
                throw new StoppedException(string.Create(CultureInfo.InvariantCulture, $"stopped with {plan.Runs.Count(run => run.IsDone)} of {plan.Runs.Count} runs done; the same command goes on"));
            }
        }

        Report(plan, [.. failed.Select(one => one.Run)], terminal);
        return failed.Count == 0 ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Report(SweepPlan plan, IReadOnlyList<PlannedRun> failed, Terminal terminal)
    {
        var names = failed.Select(run => run.Name).ToHashSet();
        var runs = plan.Runs.Where(run => !names.Contains(run.Name)).ToArray();
        if (runs.Length == 0) return;
        var data = new ReportData(plan.Title, [.. runs.Select(run => ReportRun.Read(run.Folder))], failed.Count == 0 ? null
            : string.Create(CultureInfo.InvariantCulture, $"{failed.Count} of {plan.Runs.Count} runs failed and are not in these numbers: {string.Join(", ", names)}."))
        {
            VariedKeys = [.. plan.Keys.Where(key => key != SweepPlan.RecipeKey)],
        };
        ResultsFolder.Write(plan.Folder, data, SweepFolder.TableName);
        ResultsText.Print(terminal.Out, ResultsTable.Of(RunGroup.Of(data.Runs)), terminal.OutColumns);
        terminal.Out.Flush();
        terminal.Error.WriteLine($"wrote {Path.Combine(plan.Folder, ResultsFolder.ReportName)}, {SweepFolder.TableName}, {ResultsFolder.NumbersName} and {ResultsFolder.PicturesName}/ beside it");
    }
}
