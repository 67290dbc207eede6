using System.CommandLine;
using Rlgf.Checks;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf check</c>: what would go wrong silently, before a run.</summary>
internal static class CheckCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var command = new Command("check", CommonOptions.Describe(
            "Checks a recipe for what goes wrong silently. It loads the models and the data and writes a few responses, but trains nothing: the guide is the policy, a KL of zero by accident, a plan " +
            "whose masks would be empty, a guide that may write fewer tokens than the policy, padding by the end token where there is a token for it, a reward without differences, a judge that is the reward, a chat template around what a template wrote. One line each, " +
            "error or warning; the exit code is 1 if there is an error. 'rlgf train' begins with the same.",
            "rlgf check recipes/quickstart/ppo.yaml"))
        {
            recipe, set,
        };
        command.SetAction(parsed =>
        {
            var loaded = RecipeOptions.Read<TrainRecipe>(parsed.GetRequiredValue(recipe), parsed.GetValue(set)!);
            loaded.RequireOutput();
            using var run = new TrainingRun(loaded);
            var findings = run.Check(terminal.Stop);
            foreach (var finding in findings) terminal.Out.WriteLine(Line(finding));
            if (findings.Count == 0) terminal.Out.WriteLine($"{run.Recipe.Name}: nothing found");
            return findings.Any(finding => finding.Severity == Severity.Error) ? ExitCode.Failed : ExitCode.Ok;
        });
        return command;
    }

    /// <summary>A finding as a line.</summary>
    public static string Line(Finding finding) => $"{(finding.Severity == Severity.Error ? "error" : "warning")}: {finding.Message}";
}
