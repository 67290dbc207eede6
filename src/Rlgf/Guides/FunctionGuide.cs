using Rlgf.Rewards;

namespace Rlgf.Guides;

/// <summary>A C# function as guide.</summary>
/// <param name="name">Name for logs and reports.</param>
/// <param name="continueText">Continues one text; the same request should give the same text. Null leaves the request to the policy, where <paramref name="mayDecline"/>.</param>
/// <param name="canRollOut">Whether it can go on from a response that somebody else began.</param>
/// <param name="mayDecline">Whether it may leave a request unanswered.</param>
public sealed class FunctionGuide(string name, Func<GuideRequest, GuideContinuation?> continueText, bool canRollOut = true, bool mayDecline = false) : ILocalGuide
{
    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public bool CanRollOut { get; } = canRollOut;

    /// <inheritdoc/>
    public bool MayDecline { get; } = mayDecline;

    /// <inheritdoc/>
    public IReadOnlyList<GuideContinuation?> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) =>
        [.. requests.Select(request =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            return OwnCode.Run($"the guide '{Name}'", OwnCode.Place(request.Prompt), () => continueText(request), cancellationToken);
        })];
}
