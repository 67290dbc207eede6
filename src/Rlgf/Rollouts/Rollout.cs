using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Prompts;

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

    /// <summary>How it was written: that of the draw, or the policy alone where the guide left it to it.</summary>
    public required RolloutPlan Plan { get; init; }

    /// <summary>Rows that are compared with each other bear the same number; see <see cref="PlannedRow.Group"/>.</summary>
    public int Group { get; init; }

    /// <summary>Who wrote the roll-in.</summary>
    public Actor RollIn => Plan.RollIn;

    /// <summary>Who wrote the rest.</summary>
    public Actor RollOut => Plan.RollOut;

    /// <summary>The guide's response before it was cut to r tokens, where the guide rolled in; null otherwise.</summary>
    public Written? WholeGuideResponse { get; init; }

    /// <summary>Whether the policy wrote it whole, in a row where the guide was not asked to begin: what the guide's whole responses are compared with.</summary>
    public bool IsByPolicyAlone => this is { RollInLength: 0, WholeGuideResponse: null, RollOut: Actor.Policy };

    /// <summary>Whether the policy wrote all of its tokens.</summary>
    public bool IsUnguided => RollOut == Actor.Policy && (RollIn == Actor.Policy || RollInLength == 0);

    /// <summary>Whether the guide was asked for a part of it and left that to the policy.</summary>
    public bool GuideDeclined { get; init; }

    /// <summary>Which of several guides wrote the guide's part; null where there is one, or none wrote.</summary>
    public string? GuidedBy { get; init; }

    /// <summary>Tokens that the guide wrote for it, those that were cut off included.</summary>
    internal long GuideTokens => (RollOut == Actor.Guide ? Tokens.Length - RollInLength : 0) + (WholeGuideResponse?.Tokens.Length ?? 0);

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

    /// <summary>One past the last token that the policy wrote; 0 where it wrote none.</summary>
    internal int PolicyEnd => RollOut == Actor.Policy && Tokens.Length > RollInLength ? Tokens.Length : RollIn == Actor.Policy ? RollInLength : 0;

    /// <summary>The row as models take it.</summary>
    public TokenRow TokenRow => new(Prompt.Tokens, Tokens);

    /// <summary>The row with what could have been drawn.</summary>
    public SampledRow Sample => new(TokenRow, Choices);

    /// <summary>Whether the response is a text of its own, as an encoder–decoder's is.</summary>
    public bool StandsAlone { get; init; }

    /// <summary>The row as rewards take it.</summary>
    public Response Response => new(Prompt, Text, Tokens, Ended) { StandsAlone = StandsAlone };
}
