using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf quickstart</c>: two tasks that come with the project, one whose reward the policy alone never finds and one whose reward is everywhere; a table and a report of each.</summary>
internal static class QuickstartCommand
{
    private const int PromptsToShow = 6;

    /// <summary>A task: a folder of recipes below recipes/quickstart, and of runs below the output.</summary>
    /// <param name="Folder">Its name; the film reviews lie in the folders themselves.</param>
    /// <param name="Title">Of its report.</param>
    /// <param name="Says">What it shows, in a line.</param>
    /// <param name="Algorithms">In the order in which they run; each has a recipe of its name.</param>
    private sealed record Side(string Folder, string Title, string Says, string[] Algorithms);

    private static readonly Side[] Sides =
    [
        new("sums", "Quickstart: running sums, a reward that the policy alone never finds",
            "Running sums: 291417= is answered by 212674, and only a right answer is rewarded. The start has none right, the guide 5 of 100.", ["ppo", "ppo_plus_plus", "adaptive"]),
        new("", "Quickstart: film reviews, continued positively",
            "Film reviews, continued positively: every batch holds something that the reward likes, so that there is little that only a guide could show.",
            ["ppo", "ppo_plus_plus", "aggrevated", "lols", "d2lols", "adaptive"]),
    ];

    /// <summary>What a short quickstart changes: the same road, too short to learn much.</summary>
    private static readonly string[] Short = ["iterations=3", "rows_per_iteration=32", "evaluation.prompts=48"];

    /// <summary>What it changes of one algorithm: the switch comes within its iterations.</summary>
    private static readonly Dictionary<string, string[]> ShortOf = new() { ["d2lols"] = ["algorithm.switch_iteration=1"] };

    private static readonly int Runs = Sides.Sum(side => side.Algorithms.Length);

    private const string ShortNote = "This was the short form: 3 iterations each, to see that everything works. It is too short to learn much; the numbers say nothing about the algorithms.";

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var isShort = new Option<bool>("--short") { Description = "The same road in under a minute, too short to learn much." };
        var output = new Option<string?>("--output") { HelpName = "DIR", Description = "Where the runs and the report go; runs/quickstart by default, runs/quickstart-short with --short." };
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var command = new Command("quickstart", CommonOptions.Describe(
            "Tunes two small language models that come with the project: one to add up, where the policy alone never finds a right answer, and one to continue film reviews positively. PPO and the guided " +
            "algorithms, each once. Ends with a table for each, what the models write, and report.html. Under 6 minutes on 2 cores. Ctrl-C saves and stops; the same command goes on.",
            "rlgf quickstart"))
        {
            isShort, output, set, device,
        };
        command.SetAction(parsed =>
        {
            var isShortRun = parsed.GetValue(isShort);
            Run(isShortRun, parsed.GetValue(output) ?? (isShortRun ? "runs/quickstart-short" : "runs/quickstart"), RecipeOptions.Changes(parsed, set, device), kinds, terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Run(bool isShort, string output, RecipeChange[] changes, PartKinds kinds, Terminal terminal)
    {
        var recipes = RecipesFolder();
        Outputs.RequireFolder(output);
        var started = Stopwatch.GetTimestamp();
        var done = 0;
        List<(Side Side, ReportData Data)> results = [];
        foreach (var side in Sides)
        {
            terminal.Error.WriteLine(side.Says);
            List<RunFolder> runs = [];
            foreach (var algorithm in side.Algorithms)
            {
                var name = RunGroup.DisplayName(algorithm);
                terminal.Error.WriteLine($"[{done + 1}/{Runs}] {name}{TimeLeft(Stopwatch.GetElapsedTime(started), done)}");
                RecipeChange[] all = [.. isShort ? Short : [], .. isShort ? ShortOf.GetValueOrDefault(algorithm, []) : [], .. changes];
                var recipe = RecipeOptions.Read<TrainRecipe>(Path.Combine(recipes, side.Folder, algorithm + ".yaml"), all, kinds) with { Output = Path.Combine(output, side.Folder, algorithm) };
                runs.Add(TrainCommand.Run(recipe, resume: true, terminal, isPart: true));
                done++;
            }

            var data = new ReportData(side.Title, [.. runs.Select(ReportRun.Read)], isShort ? ShortNote : null);
            ResultsFolder.Write(Path.Combine(output, side.Folder), data);
            results.Add((side, data));
        }

        try
        {
            foreach (var (side, data) in results) Print(side, data, terminal);
            if (isShort) terminal.Out.WriteLine(ShortNote);
            terminal.Out.WriteLine("Everything above, with curves and every token's author: " + string.Join(" and ", Sides.Select(side => Path.Combine(output, side.Folder, ResultsFolder.ReportName))));
            terminal.Out.WriteLine(
                $"Go on: these were the recipes in {Display(recipes)}; change one (rlgf train {Display(recipes)}/adaptive.yaml --set kl.coefficient=0.1), " +
                "or name your own model, reward and guide in it (model.path, reward, guide).");
            terminal.Out.Flush();
        }
        catch (IOException failure)
        {
            terminal.Error.WriteLine($"warning: the tables could not be printed ({failure.Message}); they are in {Path.Combine(output, ResultsFolder.ReportName)} and beside it");
        }
    }

    private static void Print(Side side, ReportData data, Terminal terminal)
    {
        var groups = RunGroup.Of(data.Runs);
        terminal.Out.WriteLine();
        terminal.Out.WriteLine(side.Says);
        ResultsText.Print(terminal.Out, ResultsTable.Of(groups), terminal.OutColumns);
        ResultsText.PrintAnswers(terminal.Out, Answers.Drawn(groups, PromptsToShow));
    }

    private static string TimeLeft(TimeSpan elapsed, int done) =>
        done == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" · about {ProgressLine.Duration(elapsed / done * (Runs - done))} left of all");

    /// <summary>The recipes beside the project, found from the current folder or from the program's own.</summary>
    private static string RecipesFolder()
    {
        foreach (var start in new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory })
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                var recipes = Path.Combine(folder.FullName, "recipes", "quickstart");
                if (File.Exists(Path.Combine(recipes, Sides[^1].Algorithms[0] + ".yaml"))) return recipes;
            }
        throw new InputException("recipes/quickstart is not beside or above the current folder: run the quickstart from the project's own folder");
    }

    private static string Display(string path)
    {
        var relative = Path.GetRelativePath(Directory.GetCurrentDirectory(), path);
        return relative.StartsWith("..", StringComparison.Ordinal) ? path : relative;
    }
}
