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

    /// <summary>The same with a space put before it, unless it begins with one. The space stands for the same part of the original as the first character.</summary>
    public Word WithSpaceBefore() =>
        Start == End || Span[0] == ' ' ? this : new Word(Text.WithSpaceBefore(Start, End), 0, End - Start + 1);
}
