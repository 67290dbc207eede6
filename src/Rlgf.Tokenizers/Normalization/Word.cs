namespace Rlgf.Tokenizers.Normalization;

/// <summary>A stretch of a text, end exclusive: what one step of the pipeline hands to the next.</summary>
/// <param name="Text">The text.</param>
/// <param name="Start">First UTF-16 unit.</param>
/// <param name="End">One after the last unit.</param>
/// <param name="Continues">Whether it goes on from text that has tokens already: then nothing is put before it, and its first characters may belong to a word begun there.</param>
internal readonly record struct Word(NormalizedText Text, int Start, int End, bool Continues = false)
{
    /// <summary>A whole text.</summary>
    public static Word Whole(string text, bool continues = false) => new(new NormalizedText(text), 0, text.Length, continues);

    public ReadOnlySpan<char> Span => Text.Text.AsSpan(Start, End - Start);

    /// <summary>A part of this stretch; positions count from its start.</summary>
    public Word Part(int start, int end) => new(Text, Start + start, Start + end, Continues && start == 0);

    /// <summary>The part of the original text behind positions <paramref name="start"/> to <paramref name="end"/> of this stretch.</summary>
    public (int Start, int End) SourceOf(int start, int end) => Text.SourceOf(Start + start, Start + end);

    /// <summary>The same with text put before it, which stands for the same part of the original as the first character; unchanged where there is no character.</summary>
    public Word WithBefore(string prefix) =>
        Start == End ? this : new Word(Text.WithBefore(prefix, Start, End), 0, End - Start + prefix.Length);
}
