using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Checks;
using Rlgf.Composition;
using Rlgf.Recipes;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf check</c>: what would go wrong silently, before a run.</summary>
internal static class CheckCommand
{
    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal, PartKinds kinds)
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var command = new Command("check", CommonOptions.Describe(
            "Checks a recipe for what goes wrong silently. It loads the models and the data and writes a few responses, but trains nothing: the guide is the policy, a KL of zero by accident, a plan " +
            "whose masks would be empty, a guide that may write fewer tokens than the policy, padding by the end token where there is a token for it, a reward without differences, a judge that is the reward, a chat template around what a template wrote, " +
            "rows, held-out ones too, that reward or guide can't read, references longer than a response may be, guidance that a number switches off. One line each, " +
            "error or warning; the exit code is 1 if there is an error. 'rlgf train' begins with the same. Of a recipe for sft, dpo, a classifier or a reward model: held-out rows that are learned too, labels without a text, pairs that are left out.",
            "rlgf check recipes/quickstart/ppo.yaml"))
        {
            recipe, set, device,
        };
        command.SetAction(parsed =>
        {
            var loaded = RecipeOptions.Read<RunRecipe>(parsed.GetRequiredValue(recipe), RecipeOptions.Changes(parsed, set, device), kinds);
            loaded.RequireOutput();
            var findings = Check(loaded, terminal);
            foreach (var finding in findings) terminal.Out.WriteLine(Line(finding));
            if (findings.Count == 0) terminal.Out.WriteLine($"{loaded.Name}: nothing found");
            return findings.Any(finding => finding.Severity == Severity.Error) ? ExitCode.Failed : ExitCode.Ok;
        });
        return command;
    }

    private static IReadOnlyList<Finding> Check(RunRecipe recipe, Terminal terminal)
    {
        switch (recipe)
        {
            case SftRecipe sft:
                return SupervisedRun.Check(sft, terminal.Stop);
            case ClassifierRecipe classifier:
                return SupervisedRun.Check(classifier, terminal.Stop);
            case RewardModelRecipe reward:
                return RewardModelRun.Check(reward, terminal.Stop);
            case DpoRecipe dpo:
                return PreferenceRun.Check(dpo, terminal.Stop);
            case PairsRecipe pairs:
                throw pairs.Refusal("kind", "pairs are checked by making some: rlgf pairs make with --set prompts=10 and another output");
            default:
                using (var run = new TrainingRun((TrainRecipe)recipe, terminal.Error.WriteLine, terminal.Stop)) return run.Check(terminal.Stop);
        }
    }

    /// <summary>A finding as a line.</summary>
    public static string Line(Finding finding) => $"{(finding.Severity == Severity.Error ? "error" : "warning")}: {finding.Message}";
}
