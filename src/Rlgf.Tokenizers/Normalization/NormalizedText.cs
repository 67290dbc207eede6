namespace Rlgf.Tokenizers.Normalization;

/// <summary>A text after normalising, which knows where in the original each UTF-16 unit came from.</summary>
internal sealed class NormalizedText
{
    private readonly (int Start, int End)[]? _sources;

    /// <summary>A text that is its own original.</summary>
    public NormalizedText(string text) => Text = text;

    /// <summary>A text and, for each of its UTF-16 units, the part of the original that it stands for.</summary>
    public NormalizedText(string text, (int Start, int End)[] sources)
    {
        Text = text;
        _sources = sources;
    }

    public string Text { get; }

    /// <summary>The part of the original behind units <paramref name="start"/> to <paramref name="end"/> (exclusive, at least one unit).</summary>
    public (int Start, int End) SourceOf(int start, int end) => _sources is null
        ? (IsInsidePair(start) ? start - 1 : start, IsInsidePair(end) ? end + 1 : end)
        : (_sources[start].Start, _sources[end - 1].End);

    /// <summary>Whether a position is between the halves of a surrogate pair: a half stands for the whole character.</summary>
    private bool IsInsidePair(int at) => at > 0 && at < Text.Length && char.IsLowSurrogate(Text[at]) && char.IsHighSurrogate(Text[at - 1]);

    /// <summary>The part from <paramref name="start"/> to <paramref name="end"/>, with a text put before it that stands for the same part of the original as the first character.</summary>
    public NormalizedText WithBefore(string prefix, int start, int end)
    {
        var sources = new (int, int)[prefix.Length + end - start];
        for (var i = start; i < end; i++)
            sources[prefix.Length + i - start] = SourceOf(i, i + 1);
        var pair = end - start > 1 && char.IsSurrogatePair(Text, start);
        Array.Fill(sources, SourceOf(start, start + (pair ? 2 : 1)), 0, prefix.Length);
        return new NormalizedText(string.Concat(prefix, Text.AsSpan(start, end - start)), sources);
    }
}
