using System.Globalization;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Rewards;

namespace Rlgf.Guides;

/// <summary>
/// Reference responses as somebody would give them who is right in a stated share of whole answers: each character is the reference's with probability right^(1 / length), else another one. It goes on from
/// whatever stands there, at the place that was reached. For finding out how good a guide must be, where references exist.
/// </summary>
/// <param name="right">The share of whole answers that are the reference, in (0, 1].</param>
/// <param name="alphabet">The characters that a wrong one is drawn from; null: those of the reference and of its prompt.</param>
public sealed class ImperfectReferencesGuide(double right, string? alphabet = null) : ILocalGuide, IReadsRows
{
    /// <inheritdoc/>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"references, {right:G3} right");

    /// <inheritdoc/>
    public bool CanRollOut => true;

    /// <inheritdoc/>
    public IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => [.. requests.Select(request =>
    {
        var reference = ReferencesGuide.Drawn(request, Name);
        var others = (alphabet ?? reference + request.Prompt.Text).EnumerateRunes().Distinct().ToArray();
        // Characters as a reader counts them: half of a surrogate pair is no text.
        var (wanted, reached) = (reference.EnumerateRunes().ToArray(), request.ResponseSoFar.EnumerateRunes().Count());
        var each = Math.Pow(right, 1.0 / wanted.Length);
        var text = string.Concat(wanted.Skip(reached).Select((rune, i) =>
        {
            var place = (ulong)(reached + i + 1);
            if (RandomStream.Uniform(request.Stream, 1, place) < each) return rune;
            var wrong = Array.FindAll(others, other => other != rune);
            if (wrong.Length == 0) throw new InputException($"{OwnCode.Place(request.Prompt)}: prompt and reference hold one character only, so that the guide '{Name}' has no wrong one to give; set guide.alphabet.");
            return wrong[(int)(RandomStream.Uniform(request.Stream, 2, place) * wrong.Length)];
        }));
        return new GuideContinuation(text, Ended: true);
    })];

    FailureRule IReadsRows.Failures => new();

    void IReadsRows.Require(Prompt prompt) => ReferencesGuide.Require(prompt);
}
