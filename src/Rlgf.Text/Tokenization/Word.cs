using Rlgf.Text.Tokenization.Normalization;

namespace Rlgf.Text.Tokenization;

/// <summary>A stretch of a text, end exclusive: what one step of the pipeline hands to the next.</summary>
internal readonly record struct Word(NormalizedText Text, int Start, int End)
{
    public ReadOnlySpan<char> Span => Text.Text.AsSpan(Start, End - Start);

    /// <summary>A part of this stretch; positions count from its start.</summary>
    public Word Part(int start, int end) => new(Text, Start + start, Start + end);

    /// <summary>The part of the original text behind positions <paramref name="start"/> to <paramref name="end"/> of this stretch.</summary>
    public (int Start, int End) SourceOf(int start, int end) => Text.SourceOf(Start + start, Start + end);
}
