using System.Globalization;
using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Guides;

/// <summary>
/// A guide that gives so many answers and no more: what it is asked beyond them, the policy writes itself, as in a row without guidance. For finding out what a budget of answers is worth, with guides that cost
/// nothing. Evaluations ask <see cref="Guide"/> itself, and don't count.
/// </summary>
public sealed class LimitedGuide : IStatefulGuide, IMeteredGuide
{
    private const string Format = "rlgf limited guide 1";

    private long _given;
    private long _declined;

    /// <summary>Limits a guide.</summary>
    /// <param name="guide">The guide.</param>
    /// <param name="answers">The most answers that it gives, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">No answer is allowed.</exception>
    public LimitedGuide(IGuide guide, long answers)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(answers, 1);
        (Guide, Answers) = (guide, answers);
    }

    /// <summary>The guide that answers.</summary>
    public IGuide Guide { get; }

    /// <summary>The guide that answers in the end: that within a limit, or the guide itself.</summary>
    internal static IGuide Within(IGuide guide) => guide is LimitedGuide limited ? limited.Guide : guide;

    /// <summary>The most answers that it gives.</summary>
    public long Answers { get; }

    /// <inheritdoc/>
    public string Name => Guide.Name;

    /// <inheritdoc/>
    public bool CanRollOut => Guide.CanRollOut;

    /// <inheritdoc/>
    public string? RollOutProblem => Guide.RollOutProblem;

    /// <inheritdoc/>
    public bool UsesPolicyTokens => Guide.UsesPolicyTokens;

    /// <inheritdoc/>
    public bool MayDecline => true;

    /// <inheritdoc/>
    public bool GivesReferences => Guide.GivesReferences;

    /// <inheritdoc/>
    public bool IsRemote => Guide.IsRemote;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Metrics => new Dictionary<string, double> { ["guide/answers"] = _given, ["guide/left"] = (Answers - _given) / (double)Answers };

    /// <inheritdoc/>
    public IReadOnlyList<string> Summary =>
        [string.Create(CultureInfo.InvariantCulture, $"guide '{Name}': {_given:#,0} of its {Answers:#,0} answers given{(_declined > 0 ? $"; {_declined.ToString("#,0", CultureInfo.InvariantCulture)} requests were left to the policy" : "")}")];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
    {
        GuideRequest[] asked = [.. requests.Take((int)Math.Min(requests.Count, Answers - _given))];
        // Whoever asks this guide knows the vocabulary, and checks the ids.
        var given = await CheckedContinuations.OfAsync(Guide, asked, int.MaxValue, cancellationToken).ConfigureAwait(false);
        _given += given.Count(answer => answer is not null);
        _declined += requests.Count - asked.Length;
        return [.. given, .. new GuideContinuation?[requests.Count - asked.Length]];
    }

    /// <inheritdoc/>
    public byte[] SaveState() => JsonSerializer.SerializeToUtf8Bytes(new Saved(Format, _given, _declined, (Guide as IStatefulGuide)?.SaveState()));

    /// <inheritdoc/>
    public void RestoreState(byte[] state)
    {
        if (Read(state) is not { Format: Format, Given: >= 0, Declined: >= 0 } saved || saved.Given > Answers)
            throw new InputException($"the state of the guide '{Name}' is damaged, or of one that had given more answers than guide.answers allows now: resume from another checkpoint, or with the recipe it was made with");
        (_given, _declined) = (saved.Given, saved.Declined);
        if (Guide is IStatefulGuide stateful && saved.Part is { } part) stateful.RestoreState(part);

        static Saved? Read(byte[] state)
        {
            try
            {
                return JsonSerializer.Deserialize<Saved>(state);
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }

    private sealed record Saved(string? Format, long Given, long Declined, byte[]? Part);
}
