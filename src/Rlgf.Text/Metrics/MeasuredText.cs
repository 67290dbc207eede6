namespace Rlgf.Text.Metrics;

/// <summary>A text to measure, with what it is measured against. Tokens are made once for all metrics that read them.</summary>
/// <param name="Text">The text; may be empty.</param>
/// <param name="References">Its references; empty where there are none, which only metrics without references allow.</param>
public sealed record MeasuredText(string Text, IReadOnlyList<string> References)
{
    private readonly Lazy<IReadOnlyList<string>> _captionTokens = new(() => CaptionTokens.Of(Text));
    private readonly Lazy<IReadOnlyList<IReadOnlyList<string>>> _captionReferences = new(() => [.. References.Select(CaptionTokens.Of)]);

    /// <summary>The words that coverage looks for; empty for none.</summary>
    public IReadOnlyList<string> Concepts { get; init; } = [];

    /// <summary>The text's tokens as papers on captions have them.</summary>
    internal IReadOnlyList<string> Captioned => _captionTokens.Value;

    /// <summary>Those of the references.</summary>
    internal IReadOnlyList<IReadOnlyList<string>> CaptionedReferences => _captionReferences.Value;
}
