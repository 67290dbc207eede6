using System.CommandLine;
using System.Globalization;
using Rlgf.App.Terminals;
using Rlgf.Composition;
using Rlgf.Recipes;
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

    private delegate SupervisedResult Training<T>(T recipe, bool resume, Action<SupervisedProgress>? progress, CancellationToken cancellationToken);

    private static Command Create<T>(string name, string what, string example, Training<T> train, Terminal terminal, PartKinds kinds) where T : RunRecipe
    {
        var recipe = RecipeOptions.Recipe();
        var set = RecipeOptions.Set();
        var resume = new Option<bool>("--resume") { Description = "Go on from the checkpoint in the output folder." };
        var command = new Command(name, CommonOptions.Describe(what, example)) { recipe, set, resume };
        command.SetAction(parsed =>
        {
            var path = parsed.GetRequiredValue(recipe);
            var loaded = (T)RecipeOptions.Read<T>(path, parsed.GetValue(set)!, kinds).Resolved();
            Run(loaded, parsed.GetValue(resume), train, terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Run<T>(T recipe, bool resume, Training<T> train, Terminal terminal) where T : RunRecipe
    {
        ProgressLine? progress = null;
        var last = 0;
        try
        {
            var result = train(recipe, resume, now =>
            {
                if (now.IsStart) Started(recipe, now, terminal);
                progress ??= new ProgressLine(terminal, recipe.Name, "steps", now.Steps, now.Step);
                last = now.Step;
                if (now.IsStart) return;
                progress.Report(now.Step, string.Create(CultureInfo.InvariantCulture, $"loss {now.Loss:0.000} · {now.TokensPerSecond:#,0} tokens/s"));
                if (now.HeldOut is { } measured) progress.Note($"{recipe.Name}: after {now.Step} steps held-out {Figures(measured)}");
            }, terminal.Stop);
            progress?.Done();
            terminal.Error.WriteLine($"{recipe.Output}: the model after {result.BestStep} of {result.Steps} steps, held-out {Figures(result.BestHeldOut)}");
        }
        catch (OperationCanceledException)
        {
            throw new StoppedException(last > 0 ? $"stopped after {last} steps, which are saved; go on with --resume" : "stopped before the first step");
        }
        finally
        {
            progress?.Dispose();
        }
    }

    private static void Started(RunRecipe recipe, SupervisedProgress start, Terminal terminal)
    {
        foreach (var note in start.Notes) terminal.Error.WriteLine($"warning: {note}");
        terminal.Error.WriteLine(start.Step > 0 ? $"{recipe.Name}: resumed at step {start.Step} of {start.Steps} in {recipe.Output}" : $"{recipe.Name}: begins anew in {recipe.Output}");
    }

    private static string Figures(IReadOnlyDictionary<string, double> metrics) =>
        string.Join(" · ", metrics.Select(metric => string.Create(CultureInfo.InvariantCulture, $"{metric.Key.Replace('_', ' ')} {metric.Value:0.000}")));
}
