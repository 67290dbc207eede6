using Rlgf.Rewards;

namespace Rlgf.Guides;

/// <summary>A C# function as guide.</summary>
/// <param name="name">Name for logs and reports.</param>
/// <param name="continueText">Continues one text; the same request should give the same text.</param>
/// <param name="canRollOut">Whether it can go on from a response that somebody else began.</param>
public sealed class FunctionGuide(string name, Func<GuideRequest, GuideContinuation> continueText, bool canRollOut = true) : IGuide
{
    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public bool CanRollOut { get; } = canRollOut;

    /// <inheritdoc/>
    public IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) =>
        [.. requests.Select(request =>
        {
            cancellationToken.ThrowIfCancellationRequested();
            return OwnCode.Run($"the guide '{Name}'", OwnCode.Place(request.Prompt), () => continueText(request), cancellationToken);
        })];
}
