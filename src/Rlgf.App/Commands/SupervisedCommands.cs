using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Composition;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Supervised;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf sft</c>, <c>rlgf dpo</c>, <c>rlgf classifier train</c> and <c>rlgf reward train</c>: models learned from examples.</summary>
internal static class SupervisedCommands
{
    /// <summary><c>rlgf sft</c>.</summary>
    public static Command CreateSft(Terminal terminal, PartKinds kinds) => Create<SftRecipe>(
        "sft",
        "Trains a language model on texts, or on responses to prompts. The output folder gets the model with the lowest held-out loss, in the Hugging Face format, with its tokenizer. " +
        "Ctrl-C saves and stops.",
        "rlgf sft recipes/imdb-small/policy.yaml --set data.path=data/imdb/train.jsonl.gz",
        SupervisedRun.Train, terminal, kinds);

    /// <summary><c>rlgf dpo</c>.</summary>
    public static Command CreateDpo(Terminal terminal, PartKinds kinds) => Create<DpoRecipe>(
        "dpo",
        "Trains a language model on pairs of answers of which one was preferred, without a reward: DPO and its family (IPO, hinge, length-normalised), against the model that it starts from. The output folder gets the model with " +
        "the lowest held-out loss, in the Hugging Face format, with its tokenizer, and what the reference makes of all pairs (reference.jsonl), which is computed once. Ctrl-C saves and stops.",
        "rlgf dpo recipes/preferences/dpo.yaml --set loss.beta=0.05",
        PreferenceRun.Train, terminal, kinds);

    /// <summary><c>rlgf classifier train</c>.</summary>
    public static Command CreateClassifierTrain(Terminal terminal, PartKinds kinds) => Create<ClassifierRecipe>(
        "train",
        "Trains a sequence classifier, for a reward or a judge. The output folder gets the classifier with the lowest held-out loss, in the Hugging Face format, with its tokenizer. " +
        "Ctrl-C saves and stops.",
        "rlgf classifier train recipes/imdb-small/reward.yaml --set data.path=data/imdb/train.jsonl.gz",
        SupervisedRun.Train, terminal, kinds);

    /// <summary><c>rlgf reward train</c>.</summary>
    public static Command CreateRewardTrain(Terminal terminal, PartKinds kinds) => Create<RewardModelRecipe>(
        "train",
        "Trains a reward model on pairs of answers of which one was preferred. The output folder gets the model with the lowest held-out loss, a Hugging Face sequence classifier with one label, with its tokenizer, what its " +
        "scores are normalised by, the held-out pairs with their scores (held-out-scores.jsonl) and what was measured on them (assessment.json). Of several members each gets a folder in it. Ctrl-C saves and stops.",
        "rlgf reward train recipes/preferences/reward.yaml",
        terminal, kinds, (recipe, resume) => RewardModels(recipe, resume, terminal));

    private static void RewardModels(RewardModelRecipe recipe, bool resume, Terminal terminal)
    {
        var members = recipe.OfMembers();
        foreach (var (number, member) in members.Index())
        {
            // A member that was not begun when the ensemble was stopped begins.
            using var progress = new RunProgress(terminal, member, "step");
            try
            {
                var (result, assessment) = RewardModelRun.Train(member, resume, progress, terminal.Stop);
                progress.Ended();
                terminal.Error.WriteLine(Trained(member, result));
                foreach (var line in AssessmentLines.Of(assessment)) terminal.Error.WriteLine($"{member.Output}: {line}");
            }
            catch (OperationCanceledException) when (members.Count > 1)
            {
                throw new StoppedException($"stopped in member {number + 1} of {members.Count}; the same command with --resume goes on");
            }
            catch (OperationCanceledException)
            {
                throw progress.Stopped();
            }
        }

        if (members.Count == 1) return;
        foreach (var line in AssessmentLines.Of(RewardModelRun.AssessEnsemble(recipe, terminal.Stop))) terminal.Error.WriteLine($"{recipe.Output}: {line}");
    }

    private delegate SupervisedResult Training<T>(T recipe, bool resume, IRunLog? log, CancellationToken cancellationToken);

    private static Command Create<T>(string name, string what, string example, Training<T> train, Terminal terminal, PartKinds kinds) where T : RunRecipe =>
        Create<T>(name, what, example, terminal, kinds, (loaded, resume) => Run(loaded, resume, train, terminal));

    private static Command Create<T>(string name, string what, string example, Terminal terminal, PartKinds kinds, Action<T, bool> run) where T : RunRecipe
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var device = CommonOptions.Device();
        var resume = new Option<bool>("--resume") { Description = "Go on from the newest checkpoint in the output folder; the result is the same as that of a training that was never stopped." };
        var command = new Command(name, CommonOptions.Describe(what, example)) { recipe, set, device, resume };
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(recipe);
            var loaded = (T)RecipeOptions.Read<T>(path, RecipeOptions.Changes(parsed, set, device), kinds).Resolved();
            run(loaded, parsed.GetValue(resume));
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Run<T>(T recipe, bool resume, Training<T> train, Terminal terminal) where T : RunRecipe
    {
        using var progress = new RunProgress(terminal, recipe, "step");
        try
        {
            var result = train(recipe, resume, progress, terminal.Stop);
            progress.Ended();
            terminal.Error.WriteLine(Trained(recipe, result));
        }
        catch (OperationCanceledException)
        {
            throw progress.Stopped();
        }
    }

    private static string Trained(RunRecipe recipe, SupervisedResult result) =>
        $"{recipe.Output}: the model after {result.BestStep} of {result.Steps} steps, held-out {RunProgress.HeldOutFigures(result.BestHeldOut)}";
}
