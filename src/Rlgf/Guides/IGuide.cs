using Rlgf.Prompts;

namespace Rlgf.Guides;

/// <summary>
/// Any fixed source of continuations: a local model, a model with another tokenizer, an endpoint, reference texts, a function. Only sampling is assumed:
/// no log-probabilities, no weights, no shared vocabulary.
/// </summary>
/// <remarks>
/// Called with whole batches from one thread; a guide that waits for a network parallelises inside. It is never given the policy, so what it writes cannot
/// come from the weights being trained.
/// </remarks>
public interface IGuide
{
    /// <summary>Name for logs and reports.</summary>
    string Name { get; }

    /// <summary>Whether it can go on from a response that somebody else began. A guide that can't may roll in only.</summary>
    bool CanRollOut { get; }

    /// <summary>
    /// Whether it reads and answers in the policy's own tokens (<see cref="Prompts.Prompt.Tokens"/>, <see cref="GuideRequest.ResponseTokens"/>, <see cref="GuideContinuation.Tokens"/>). If not, it is handed
    /// and answers text, and roll-ins are cut where a character ends.
    /// </summary>
    bool UsesPolicyTokens => false;

    /// <summary>Continues each text, to its end or to the limit. The same requests (streams included) give the same texts where the guide can promise it.</summary>
    IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken);
}

/// <summary>A text to go on with.</summary>
public sealed record GuideRequest
{
    /// <summary>The prompt, with its conversation, references and data row where it has them; its tokens are for guides that share the policy's vocabulary.</summary>
    public required Prompt Prompt { get; init; }

    /// <summary>The response so far as text that goes on from the prompt's; empty for a roll-in. It ends on a character boundary.</summary>
    public required string ResponseSoFar { get; init; }

    /// <summary>The response so far in the policy's tokens, for guides that share its vocabulary.</summary>
    public required int[] ResponseTokens { get; init; }

    /// <summary>The most tokens, as the policy counts them, that will be kept of the answer.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>Names the random numbers of this request.</summary>
    public required ulong Stream { get; init; }
}

/// <summary>What a guide wrote.</summary>
/// <param name="Text">The continuation alone, with the space before its first word where there is one.</param>
/// <param name="Ended">Whether the guide ended its response there; false if it was cut at a limit.</param>
/// <param name="Tokens">The continuation in the policy's tokens, end token included where it ended, from guides that share the policy's vocabulary; null otherwise.</param>
public sealed record GuideContinuation(string Text, bool Ended, int[]? Tokens = null);
