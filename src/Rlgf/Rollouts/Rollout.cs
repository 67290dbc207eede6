using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Rewards;
using Rlgf.Text.Data;
using Rlgf.Text.Tokenization;

namespace Rlgf.Rollouts;

/// <summary>A finished row: a prompt, a response, and who wrote which part of it.</summary>
/// <remarks>Masks are not stored. They follow from the roll-in's length and from the actors: see <see cref="AuthorOf"/>.</remarks>
public sealed record Rollout
{
    /// <summary>The prompt.</summary>
    public required Prompt Prompt { get; init; }

    /// <summary>The response's A ids, end token included where there is one.</summary>
    public required int[] Tokens { get; init; }

    /// <summary>The response as text, without the end token.</summary>
    public required string Text { get; init; }

    /// <summary>r: the first r tokens are the roll-in; 0 for none.</summary>
    public required int RollInLength { get; init; }

    /// <summary>Who wrote the roll-in.</summary>
    public required Actor RollIn { get; init; }

    /// <summary>Who wrote the rest.</summary>
    public required Actor RollOut { get; init; }

    /// <summary>Whether the response ended by itself; false if it was cut at the limit.</summary>
    public required bool Ended { get; init; }

    /// <summary>[A]: log π_θ(a_t|s_t, S_t) when the token was drawn, under the distribution that was sampled, nats; NaN where the guide wrote.</summary>
    public required float[] LogProbs { get; init; }

    /// <summary>[A]: S_t, the tokens that could be drawn; all where the guide wrote.</summary>
    public required TokenSet[] Choices { get; init; }

    /// <summary>Who wrote token <paramref name="t"/>.</summary>
    public Actor AuthorOf(int t) => t < RollInLength ? RollIn : RollOut;

    /// <summary>Whether the policy wrote token <paramref name="t"/> and could have written another: what was forced is no choice, and there is nothing to learn from it.</summary>
    public bool IsChoice(int t) => AuthorOf(t) == Actor.Policy && !Choices[t].IsSingle;

    /// <summary>The row as models take it.</summary>
    public TokenRow TokenRow => new(Prompt.Tokens, Tokens);

    /// <summary>The row with what could have been drawn.</summary>
    public SampledRow Sample => new(TokenRow, Choices);

    /// <summary>Whether the response is a text of its own, as an encoder–decoder's is.</summary>
    public bool StandsAlone { get; init; }

    /// <summary>The row as rewards take it.</summary>
    public Response Response => new(Prompt.Text, Text, Tokens, Ended, Prompt.Row) { StandsAlone = StandsAlone };
}

/// <summary>A prompt x: what the policy is given.</summary>
/// <param name="Text">As text.</param>
/// <param name="Tokens">As ids of the policy's tokenizer.</param>
/// <param name="Reference">A reference response as text, where the data has one.</param>
/// <param name="Row">The data row it came from, where it came from data.</param>
public sealed record Prompt(string Text, int[] Tokens, string? Reference = null, DataRow? Row = null)
{
    /// <summary>The prompts of a data set's rows.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="tokenizer">The policy's tokenizer.</param>
    /// <param name="column">The column that holds the text.</param>
    /// <param name="settings">How a text becomes a prompt; what is cut off is its reference.</param>
    /// <param name="referenceColumn">The column that holds the reference, where it is not the rest of the text.</param>
    public static IReadOnlyList<Prompt> FromRows(IEnumerable<DataRow> rows, ITokenizer tokenizer, string column, PromptSettings settings, string? referenceColumn = null) =>
        [.. from row in rows
            let cut = PromptCutter.Cut(tokenizer, row, column, settings)
            where cut is not null
            select new Prompt(cut.Prompt, cut.PromptIds, referenceColumn is not null ? row.GetString(referenceColumn) : cut.Rest.Length > 0 ? cut.Rest : null, row)];
}
