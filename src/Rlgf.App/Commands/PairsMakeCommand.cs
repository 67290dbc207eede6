using System.CommandLine;
using System.Globalization;
using Rlgf.App.Terminals;
using Rlgf.Composition;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf pairs make</c>: a model's answers, ordered by a reward, as pairs to learn from.</summary>
internal static class PairsMakeCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var resume = new Option<bool>("--resume") { Description = "Go on where the output folder's rows end; the result is the same as if it was never stopped. With more prompts, a folder that is complete is made longer." };
        var command = new Command("make", CommonOptions.Describe(
            "Lets a model, and a guide where the recipe names one, answer prompts, orders the answers by the recipe's reward, and writes pairs: {\"prompt\", \"chosen\", \"rejected\"} with the rewards, their difference (margin) and who wrote " +
            "which, into pairs.jsonl of the output folder. Ties and prompts without a pair are counted. Ctrl-C stops; whole batches are saved.",
            "rlgf pairs make recipes/preferences/pairs.yaml"))
        {
            recipe, set, device, resume,
        };
        command.SetAction(parsed =>
        {
            var read = (PairsRecipe)RecipeOptions.Read<PairsRecipe>(parsed.GetRequiredValue(recipe), RecipeOptions.Changes(parsed, set, device), kinds).Resolved();
            read.RequireOutput();
            return Run(read, parsed.GetValue(resume), terminal);
        });
        return command;
    }

    private static int Run(PairsRecipe recipe, bool resume, Terminal terminal)
    {
        ProgressLine? progress = null;
        PairCounts? last = null;
        try
        {
            var counts = PairsRun.Make(recipe, resume, terminal.Error.WriteLine, (counts, prompts) =>
            {
                progress ??= new ProgressLine(terminal, recipe.Name, "prompts", prompts, last?.Prompts ?? 0);
                progress.Report(counts.Prompts, string.Create(CultureInfo.InvariantCulture, $"{counts.Pairs:#,0} pairs"));
                last = counts;
            }, terminal.Stop);
            string[] dropped = [.. counts.Dropped];
            terminal.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{new RunFolder(recipe.Output!).PairsPath}: {counts.Pairs:#,0} pairs of {counts.Prompts:#,0} prompts{(dropped.Length == 0 ? "" : $"; of the others {string.Join(", ", dropped)}")}"));
            return ExitCode.Ok;
        }
        catch (OperationCanceledException)
        {
            throw new StoppedException($"stopped after {last?.Prompts ?? 0} prompts of this command, which are saved; go on with: {terminal.Program} pairs make {recipe.Output} --resume");
        }
        finally
        {
            progress?.Dispose();
        }
    }
}
