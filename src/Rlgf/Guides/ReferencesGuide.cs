using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Rewards;

namespace Rlgf.Guides;

/// <summary>
/// Reference responses of the data as guide: prefixes of a text that somebody wrote are the states to start from. Of several references each response draws one. It can't go on from what the policy
/// wrote, so it can't roll out.
/// </summary>
public sealed class ReferencesGuide : ILocalGuide, IReadsRows
{
    /// <inheritdoc/>
    public string Name => "references";

    /// <inheritdoc/>
    public bool CanRollOut => false;

    /// <inheritdoc/>
    public bool GivesReferences => true;

    /// <inheritdoc/>
    public IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => [.. requests.Select(request =>
    {
        if (request.ResponseTokens.Length > 0)
            throw new InputException("the guide 'references' was asked to go on from a response that it did not begin: references can roll in only. Use ppo_plus_plus or adaptive, or a guide that writes.");
        return new GuideContinuation(Drawn(request, Name), Ended: true);
    })];

    FailureRule IReadsRows.Failures => new();

    void IReadsRows.Require(Prompt prompt) => Require(prompt);

    /// <summary>That a prompt has a reference.</summary>
    /// <exception cref="RowFailure">It has none.</exception>
    internal static void Require(Prompt prompt)
    {
        if (prompt.References.Count == 0) throw new RowFailure("there is no reference response");
    }

    /// <summary>The reference that a request draws.</summary>
    /// <exception cref="InputException">The prompt has none.</exception>
    internal static string Drawn(GuideRequest request, string guide)
    {
        var references = request.Prompt.References;
        return references.Count > 0
            ? references[(int)(RandomStream.Uniform(request.Stream, 0, 0) * references.Count)]
            : throw new InputException($"{OwnCode.Place(request.Prompt)}: there is no reference response, which the guide '{guide}' needs.");
    }
}
