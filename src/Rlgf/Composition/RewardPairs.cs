using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Rewards;
using Rlgf.Supervised;
using Rlgf.Text.Conversations;
using Rlgf.Tokenizers;

namespace Rlgf.Composition;

/// <summary>A recipe's pairs as a reward model reads them.</summary>
/// <param name="Learned">To learn from.</param>
/// <param name="Measured">Held out.</param>
/// <param name="MeasuredPairs">What the held-out ones were made of.</param>
/// <param name="Notes">What a user should know, one line each.</param>
/// <param name="Tokens">An answer's length.</param>
internal sealed record RewardPairs(
    IReadOnlyList<PairOfAnswers> Learned, IReadOnlyList<PairOfAnswers> Measured, IReadOnlyList<PreferencePair> MeasuredPairs, IReadOnlyList<string> Notes, Func<ChatMessage, int> Tokens)
{
    /// <summary>Share of pairs from which on it is said that the longer answer wins.</summary>
    private const double LongerWins = 0.9;

    /// <summary>Reads them.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="context">The most tokens that the model reads.</param>
    /// <param name="cancellationToken">Stops between rows.</param>
    /// <exception cref="InputException">A row is malformed, or none is left.</exception>
    public static RewardPairs Read(RewardModelRecipe recipe, ITokenizer tokenizer, int context, CancellationToken cancellationToken)
    {
        var input = InputOf(recipe, tokenizer);
        var data = recipe.Locations.Of("data", () => PairData.Read(recipe.Data, recipe.Kinds, Problem, cancellationToken));
        var lengths = data.Learned.Select(pair => (Chosen: Tokens(pair.Chosen), Rejected: Tokens(pair.Rejected))).ToArray();
        var longer = lengths.Count(pair => pair.Chosen > pair.Rejected) / (double)lengths.Length;
        string[] lengthNote = longer < LongerWins ? [] : [FormattableString.Invariant($"{recipe.Data.Path}: the chosen answer is the longer one in {longer:0.00} of {lengths.Length} pairs: a model that learns nothing but length would be right as often")];
        return new([.. data.Learned.Select(Encoded)], [.. data.Measured.Select(Encoded)], data.Measured, [.. data.Notes, .. lengthNote], Tokens);

        int Tokens(ChatMessage answer) => tokenizer.Encode(answer.Content).Length;
        PairOfAnswers Encoded(PreferencePair pair) => new(Ids(pair, pair.Chosen), Ids(pair, pair.Rejected), pair.Margin);
        int[] Ids(PreferencePair pair, ChatMessage answer)
        {
            try
            {
                return input.Whole(new Response(PairData.PromptOf(pair), answer.Content, [], Ended: true));
            }
            catch (InputException refused) when (recipe.Chat is not null)
            {
                throw new InputException($"{pair.Row.Location}: {refused.Message}", refused);
            }
        }

        string? Problem(PreferencePair pair)
        {
            if (recipe.Chat is null && pair.Prompt.Count > 1)
                throw recipe.Refusal("chat", $"{pair.Row.Location}: the prompt has {pair.Prompt.Count} messages, of which a text has only the last: set chat: {{}}, so that the model's chat template writes all of them");
            var (chosen, rejected) = (Ids(pair, pair.Chosen), Ids(pair, pair.Rejected));
            return Math.Max(chosen.Length, rejected.Length) > context ? FormattableString.Invariant($"prompt and answer have more than the model's {context} tokens")
                : chosen.AsSpan().SequenceEqual(rejected) ? "the model reads both answers alike" : null;
        }
    }

    private static ClassifierInput InputOf(RewardModelRecipe recipe, ITokenizer tokenizer) => recipe.Chat is not { } chat
        ? new ClassifierInput(tokenizer)
        : recipe.Locations.Of("chat", () => ChatPolicy.InputOf(recipe.Model is FolderStartSection folder ? folder.Tokenizer ?? folder.Path : ((Gpt2StartSection)recipe.Model).Tokenizer, tokenizer, chat));
}
