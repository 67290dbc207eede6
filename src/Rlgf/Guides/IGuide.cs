using Rlgf.Prompts;

namespace Rlgf.Guides;

/// <summary>
/// Any fixed source of continuations: a local model, a model with another tokenizer, an endpoint, reference texts, a function. Only sampling is assumed:
/// no log-probabilities, no weights, no shared vocabulary. One that answers on the spot is shorter as <see cref="ILocalGuide"/>, and a function of one request as <see cref="FunctionGuide"/>.
/// </summary>
/// <remarks>
/// Asked for whole batches, one after another; a guide that waits for a network parallelises inside. It is never given the policy, so what it writes cannot
/// come from the weights being trained.
/// </remarks>
public interface IGuide
{
    /// <summary>Name for logs and reports.</summary>
    string Name { get; }

    /// <summary>Whether it can go on from a response that somebody else began. A guide that can't may roll in only; an algorithm that needs more is refused before anything is written.</summary>
    bool CanRollOut { get; }

    /// <summary>Why it can't, as a sentence, where that isn't plain from what it is; null otherwise.</summary>
    string? RollOutProblem => null;

    /// <summary>
    /// Whether it reads and answers in the policy's own tokens (<see cref="Prompts.Prompt.Tokens"/>, <see cref="GuideRequest.ResponseTokens"/>, <see cref="GuideContinuation.Tokens"/>). If not, it is handed
    /// and answers text, and roll-ins are cut where a character ends.
    /// </summary>
    bool UsesPolicyTokens => false;

    /// <summary>Whether it may leave a request unanswered, by null in the place of a continuation. The policy then writes that response itself, as in a row without guidance.</summary>
    bool MayDecline => false;

    /// <summary>Whether what it answers are the data's own references, as they stand there.</summary>
    bool GivesReferences => false;

    /// <summary>
    /// Whether its work is done elsewhere, by an endpoint for example. It is then asked on another thread, while the policy computes, and evaluated at the start of a run only where the recipe says so,
    /// as answers may cost money.
    /// </summary>
    bool IsRemote => false;

    /// <summary>Continues each text, to its end or to the limit. The same requests (streams included) give the same texts where the guide can promise it. Ask by <see cref="CheckedContinuations"/>.</summary>
    /// <param name="requests">The texts.</param>
    /// <param name="cancellationToken">Asks for a stop. A run that ends waits until it is obeyed, so that nothing goes on behind it.</param>
    /// <returns>One continuation for each request, in their order; null, where <see cref="MayDecline"/>, leaves the request unanswered.</returns>
    Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken);
}

/// <summary>A guide that answers on the thread that asks, and waits for nobody.</summary>
public interface ILocalGuide : IGuide
{
    /// <summary>Continues each text, as <see cref="IGuide.ContinueAsync"/>.</summary>
    /// <param name="requests">The texts.</param>
    /// <param name="cancellationToken">Asks for a stop.</param>
    /// <returns>One continuation for each request, in their order.</returns>
    IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken);

    /// <inheritdoc/>
    Task<IReadOnlyList<GuideContinuation?>> IGuide.ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => Task.FromResult(Continue(requests, cancellationToken));
}

/// <summary>A guide whose answers depend on what it did before, beyond the request: the state is part of a checkpoint, so that a run that goes on gives the same answers.</summary>
public interface IStatefulGuide : IGuide
{
    /// <summary>
    /// Whether answers depend on the state. Where they don't, as where it only counts what was spent, a remote guide is asked for the next roll-ins as soon as those of an iteration are there,
    /// and its state is saved while that is open.
    /// </summary>
    bool AnswersDependOnState => true;

    /// <summary>The state as bytes, asked for when no request is open, unless answers don't depend on it.</summary>
    byte[] SaveState();

    /// <summary>Goes on from a state that <see cref="SaveState"/> gave.</summary>
    /// <param name="state">The bytes.</param>
    void RestoreState(byte[] state);
}

/// <summary>A guide that costs something: what it has cost so far belongs to what is measured of each iteration, and is said when a run ends.</summary>
public interface IMeteredGuide : IGuide
{
    /// <summary>What was spent since the run began, and what is left: metrics by name, each of which begins with <c>guide/</c>.</summary>
    IReadOnlyDictionary<string, double> Metrics { get; }

    /// <summary>The same in lines, with what went wrong on the way, a line for each kind.</summary>
    IReadOnlyList<string> Summary { get; }
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
public sealed record GuideContinuation(string Text, bool Ended, int[]? Tokens = null)
{
    /// <summary>Which of several guides wrote it; null where there is one.</summary>
    public string? By { get; init; }
}
