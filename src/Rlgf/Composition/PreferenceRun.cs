using Rlgf.Base;
using Rlgf.Checks;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Supervised;
using Rlgf.Text.Conversations;

namespace Rlgf.Composition;

/// <summary>Training on pairs of answers as a recipe says it; like <see cref="SupervisedRun"/>.</summary>
public static class PreferenceRun
{
    /// <summary>Trains a language model.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="resume">Go on from the output folder's checkpoint; where it holds none, and no training that has ended, one begins anew.</param>
    /// <param name="log">Told after the folder's log; null for nobody.</param>
    /// <param name="cancellationToken">Stops after the step at hand and a checkpoint.</param>
    /// <exception cref="InputException">Something can't be loaded or written, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">It was stopped; a checkpoint was written, where a step was done.</exception>
    public static SupervisedResult Train(DpoRecipe recipe, bool resume, IRunLog? log, CancellationToken cancellationToken)
    {
        recipe = (DpoRecipe)recipe.Resolved();
        recipe.RequireDevices();
        using var claim = RunClaim.Take(recipe, resume, "rlgf dpo");
        using var model = recipe.Locations.Of("model", () => SupervisedRun.Start(recipe, recipe.Model, recipe.Precision.Policy));
        var (learned, measured, notes) = Pairs(recipe, model, cancellationToken);
        using var loop = PreferenceTraining.Prepare(model.Model, learned, measured, recipe.Loss, recipe.Training, recipe.Output!, claim.IsResumed, cancellationToken);
        return SupervisedRun.Run(recipe, recipe.Training, claim, loop, model.Tokenizer, [.. notes], log, cancellationToken);
    }

    /// <summary>Loads model and data as a training would, and looks for what goes wrong silently.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="cancellationToken">Stops between parts and rows.</param>
    /// <exception cref="InputException">Something can't be loaded.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<Finding> Check(DpoRecipe recipe, CancellationToken cancellationToken = default)
    {
        recipe = (DpoRecipe)recipe.Resolved();
        recipe.RequireDevices();
        using var model = recipe.Locations.Of("model", () => SupervisedRun.Start(recipe, recipe.Model, recipe.Precision.Policy));
        var (learned, measured, notes) = Pairs(recipe, model, cancellationToken);
        return [.. notes.Select(note => new Finding(Severity.Warning, note)), .. SupervisedChecks.Of(learned, measured)];
    }

    /// <summary>The pairs to learn from, those to measure on, and what was left out.</summary>
    private static (IReadOnlyList<PreferenceRows> Learned, IReadOnlyList<PreferenceRows> Measured, IReadOnlyList<string> Notes) Pairs(DpoRecipe recipe, TextModel model, CancellationToken cancellationToken)
    {
        var shape = model.Model.Shape;
        var write = Writer(recipe, model);
        var rows = new Dictionary<PreferencePair, PreferenceRows>(ReferenceEqualityComparer.Instance);
        var data = recipe.Locations.Of("data", () => PairData.Read(recipe.Data, recipe.Kinds, Problem, cancellationToken));
        return ([.. data.Learned.Select(pair => rows[pair])], [.. data.Measured.Select(pair => rows[pair])], data.Notes);

        string? Problem(PreferencePair pair)
        {
            var (chosen, rejected) = rows[pair] = write(pair);
            if (shape.Room(chosen.Prompt.Length) < 1) return $"the prompt alone fills {shape.Limits}";
            if (!Fits(chosen) || !Fits(rejected)) return $"prompt and answer do not fit {shape.Limits}";
            return chosen.Response.AsSpan().SequenceEqual(rejected.Response) ? "the model reads both answers alike" : null;
        }

        bool Fits(TokenRow row) => row.Response.Length <= shape.Room(row.Prompt.Length);
    }

    /// <summary>What the model reads of a pair.</summary>
    private static Func<PreferencePair, PreferenceRows> Writer(DpoRecipe recipe, TextModel model)
    {
        if (recipe.Chat is not { } chat) return pair => OfTexts(recipe, model, pair);
        var folder = (FolderStartSection)recipe.Model;
        var encoder = recipe.Locations.Of("chat", () => ChatPolicy.EncoderOf(folder.Tokenizer ?? folder.Path, model, chat));
        return pair =>
        {
            try
            {
                var messages = chat.Messages(PairData.PromptOf(pair));
                TokenRow Row((int[] Prompt, int[] Answer) encoded) => new(encoded.Prompt, encoded.Answer);
                return new(Row(encoder.EncodeAnswer(messages, pair.Chosen)), Row(encoder.EncodeAnswer(messages, pair.Rejected)));
            }
            catch (InputException refused)
            {
                throw new InputException($"{pair.Row.Location}: {refused.Message}", refused);
            }
        };
    }

    private static PreferenceRows OfTexts(DpoRecipe recipe, TextModel model, PreferencePair pair)
    {
        if (pair.IsConversation) throw recipe.Refusal("chat", $"{pair.Row.Location}: the row holds messages: set chat: {{}}, so that the model's chat template writes them");
        var end = model.TaughtEnd ?? throw recipe.Refusal("model", "neither the model nor its tokenizer has an end token, which ends answers; name one as eos_token in tokenizer_config.json");
        var prompt = model.Tokenizer.Encode(pair.Prompt[0].Content, addSpecialTokens: true);
        TokenRow Row(string answer) => new(prompt, [.. ResponseText.Encode(model.Tokenizer, model.Model.Shape, answer), end]);
        return new(Row(pair.Chosen.Content), Row(pair.Rejected.Content));
    }
}
