using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf quickstart</c>: every algorithm once on the small model that comes with the project, then one table and one report.</summary>
internal static class QuickstartCommand
{
    private const int PromptsToShow = 6;

    /// <summary>The algorithms in the order in which they run; each has a recipe of its name.</summary>
    private static readonly string[] Algorithms = ["ppo", "ppo_plus_plus", "aggrevated", "lols", "d2lols", "adaptive"];

    /// <summary>What a short quickstart changes: the same road, too short to learn much.</summary>
    private static readonly string[] Short = ["iterations=3", "rows_per_iteration=32", "evaluation.prompts=48"];

    /// <summary>What it changes of one algorithm: the switch comes within its iterations.</summary>
    private static readonly Dictionary<string, string[]> ShortOf = new() { ["d2lols"] = ["algorithm.switch_iteration=1"] };

    private const string ShortNote = "This was the short form: 3 iterations each, to see that everything works. It is too short to learn much; the numbers say nothing about the algorithms.";

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var isShort = new Option<bool>("--short") { Description = "The same road in under a minute, too short to learn much." };
        var output = new Option<string?>("--output") { HelpName = "DIR", Description = "Where the runs and the report go; runs/quickstart by default, runs/quickstart-short with --short." };
        var set = RecipeOptions.Set();
        var command = new Command("quickstart", CommonOptions.Describe(
            "Tunes the small language model that comes with the project to continue film reviews positively: once with PPO and once with each guided algorithm. Ends with a table, " +
            "what the models write, and report.html. About 3 minutes on 2 cores. Ctrl-C saves and stops; the same command goes on.",
            "rlgf quickstart"))
        {
            isShort, output, set,
        };
        command.SetAction(parsed =>
        {
            var isShortRun = parsed.GetValue(isShort);
            Run(isShortRun, parsed.GetValue(output) ?? (isShortRun ? "runs/quickstart-short" : "runs/quickstart"), parsed.GetValue(set)!, kinds, terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Run(bool isShort, string output, string[] changes, PartKinds kinds, Terminal terminal)
    {
        var recipes = RecipesFolder();
        Outputs.RequireFolder(output);
        var started = Stopwatch.GetTimestamp();
        List<RunFolder> runs = [];
        foreach (var algorithm in Algorithms)
        {
            var name = RunGroup.DisplayName(algorithm);
            terminal.Error.WriteLine($"[{runs.Count + 1}/{Algorithms.Length}] {name}{TimeLeft(Stopwatch.GetElapsedTime(started), runs.Count)}");
            string[] all = [.. isShort ? Short : [], .. isShort ? ShortOf.GetValueOrDefault(algorithm, []) : [], .. changes];
            var recipe = RecipeOptions.Read<TrainRecipe>(Path.Combine(recipes, algorithm + ".yaml"), all, kinds) with { Output = Path.Combine(output, algorithm) };
            runs.Add(TrainCommand.Run(recipe, resume: true, terminal));
        }

        var data = new ReportData("Quickstart: film reviews, continued positively", [.. runs.Select(ReportRun.Read)], isShort ? ShortNote : null);
        var groups = RunGroup.Of(data.Runs);
        var table = ResultsTable.Of(groups);
        ResultsFolder.Write(output, data);
        try
        {
            Print(recipes, output, isShort, groups, table, terminal);
            terminal.Out.Flush();
        }
        catch (IOException failure)
        {
            terminal.Error.WriteLine($"warning: the table could not be printed ({failure.Message}); it is in {Path.Combine(output, ResultsFolder.ReportName)}");
        }
    }

    private static void Print(string recipes, string output, bool isShort, IReadOnlyList<RunGroup> groups, ResultsTable table, Terminal terminal)
    {
        terminal.Out.WriteLine();
        ResultsText.Print(terminal.Out, table, terminal.OutColumns);
        ResultsText.PrintAnswers(terminal.Out, Answers.Drawn(groups, PromptsToShow));
        if (isShort) terminal.Out.WriteLine(ShortNote);
        terminal.Out.WriteLine($"Everything above, with curves and every token's author: {Path.Combine(output, ResultsFolder.ReportName)}");
        terminal.Out.WriteLine(
            $"Go on: these were the recipes in {Display(recipes)}; change one (rlgf train {Display(recipes)}/adaptive.yaml --set kl.coefficient=0.1), " +
            "or name your own model, reward and guide in it (model.path, reward, guide).");
        terminal.Out.Flush();
    }

    private static string TimeLeft(TimeSpan elapsed, int done) =>
        done == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" · about {ProgressLine.Duration(elapsed / done * (Algorithms.Length - done))} left of all");

    /// <summary>The recipes beside the project, found from the current folder or from the program's own.</summary>
    private static string RecipesFolder()
    {
        foreach (var start in new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory })
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                var recipes = Path.Combine(folder.FullName, "recipes", "quickstart");
                if (File.Exists(Path.Combine(recipes, Algorithms[0] + ".yaml"))) return recipes;
            }
        throw new InputException("recipes/quickstart is not beside or above the current folder: run the quickstart from the project's own folder");
    }

    private static string Display(string path)
    {
        var relative = Path.GetRelativePath(Directory.GetCurrentDirectory(), path);
        return relative.StartsWith("..", StringComparison.Ordinal) ? path : relative;
    }
}
