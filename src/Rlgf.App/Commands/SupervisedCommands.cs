using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Composition;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Supervised;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf sft</c> and <c>rlgf classifier train</c>: models learned from examples.</summary>
internal static class SupervisedCommands
{
    /// <summary><c>rlgf sft</c>.</summary>
    public static Command CreateSft(Terminal terminal, PartKinds kinds) => Create<SftRecipe>(
        "sft",
        "Trains a language model on texts, or on responses to prompts. The output folder gets the model with the lowest held-out loss, in the Hugging Face format, with its tokenizer. " +
        "Ctrl-C saves and stops.",
        "rlgf sft recipes/imdb-small/policy.yaml --set data.path=data/imdb/train.jsonl.gz",
        SupervisedRun.Train, terminal, kinds);

    /// <summary><c>rlgf classifier train</c>.</summary>
    public static Command CreateClassifierTrain(Terminal terminal, PartKinds kinds) => Create<ClassifierRecipe>(
        "train",
        "Trains a sequence classifier, for a reward or a judge. The output folder gets the classifier with the lowest held-out loss, in the Hugging Face format, with its tokenizer. " +
        "Ctrl-C saves and stops.",
        "rlgf classifier train recipes/imdb-small/reward.yaml --set data.path=data/imdb/train.jsonl.gz",
        SupervisedRun.Train, terminal, kinds);

    private delegate SupervisedResult Training<T>(T recipe, bool resume, IRunLog? log, CancellationToken cancellationToken);

    private static Command Create<T>(string name, string what, string example, Training<T> train, Terminal terminal, PartKinds kinds) where T : RunRecipe
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
            Run(loaded, parsed.GetValue(resume), train, terminal);
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
            terminal.Error.WriteLine($"{recipe.Output}: the model after {result.BestStep} of {result.Steps} steps, held-out {RunProgress.HeldOutFigures(result.BestHeldOut)}");
        }
        catch (OperationCanceledException)
        {
            throw progress.Stopped();
        }
    }
}
