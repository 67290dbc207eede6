using System.Globalization;
using System.Text;
using Rlgf.Tokenizers.Normalization;

namespace Rlgf.Tokenizers.Words;

/// <summary>Cuts text where a pattern's matches begin and end.</summary>
internal sealed class PatternPreTokenizer(IWordPattern pattern) : IPreTokenizer
{
    public void Split(Word text, List<Word> into)
    {
        var span = text.Span;
        for (var start = 0; start < span.Length;)
        {
            var end = pattern.EndOfMatch(span, start);
            into.Add(text.Part(start, end));
            start = end;
        }
    }
}

/// <summary>Cuts text at what a text pattern finds.</summary>
internal sealed class SplitPreTokenizer(TextPattern pattern, SplitBehavior behavior, bool invert) : IPreTokenizer
{
    public void Split(Word text, List<Word> into) => Delimiters.Split(text, pattern.Matches(text.Span.ToString()), behavior, invert, into);
}

/// <summary>Cuts text at single characters.</summary>
internal sealed class CharacterPreTokenizer(Func<Rune, bool> isDelimiter, SplitBehavior behavior) : IPreTokenizer
{
    /// <summary>Words are what lies between white space.</summary>
    public static CharacterPreTokenizer WhiteSpace() => new(Rune.IsWhiteSpace, SplitBehavior.Removed);

    /// <summary>Punctuation marks and all of ASCII's symbols are words.</summary>
    public static CharacterPreTokenizer Punctuation(SplitBehavior behavior) => new(IsPunctuation, behavior);

    /// <summary>Digits are words, each by itself or those in a row.</summary>
    public static CharacterPreTokenizer Digits(bool individually) => new(Rune.IsNumber, individually ? SplitBehavior.Isolated : SplitBehavior.Contiguous);

    public void Split(Word text, List<Word> into)
    {
        var delimiters = new List<(int, int)>();
        var at = 0;
        foreach (var rune in text.Span.EnumerateRunes())
        {
            if (isDelimiter(rune))
                delimiters.Add((at, at + rune.Utf16SequenceLength));
            at += rune.Utf16SequenceLength;
        }
        Delimiters.Split(text, delimiters, behavior, invert: false, into);
    }

    private static bool IsPunctuation(Rune rune) =>
        rune.IsAscii ? char.IsPunctuation((char)rune.Value) || char.IsSymbol((char)rune.Value) : Rune.IsPunctuation(rune);
}

/// <summary>Cuts text into pieces of a number of characters; the last may be shorter.</summary>
internal sealed class FixedLengthSplit(int length) : IPreTokenizer
{
    /// <summary>The length where a file doesn't say.</summary>
    public const int DefaultLength = 5;

    public void Split(Word text, List<Word> into)
    {
        var (start, at, count) = (0, 0, 0);
        foreach (var rune in text.Span.EnumerateRunes())
        {
            at += rune.Utf16SequenceLength;
            if (++count % length != 0)
                continue;
            into.Add(text.Part(start, at));
            start = at;
        }
        if (start < at)
            into.Add(text.Part(start, at));
    }
}

/// <summary>Puts a space before every stretch that doesn't begin with one, so that a word at the start of a text is the same token as elsewhere.</summary>
internal sealed class PrefixSpace : IPreTokenizer
{
    public void Split(Word text, List<Word> into) => into.Add(text.Continues || text.Span is [' ', ..] ? text : text.WithBefore(" "));
}

/// <summary>Where <see cref="Metaspace"/> puts a mark before a text.</summary>
internal enum PrependScheme
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>Before the very first character of the text.</summary>
    First,

    /// <summary>Before every stretch.</summary>
    Always,
}

/// <summary>Sentencepiece's spaces: a visible mark in place of each, one before the text, and every word with the mark before it.</summary>
internal sealed class Metaspace(char mark, PrependScheme scheme, bool splits) : IPreTokenizer
{
    private readonly ReplaceNormalizer _replaceSpaces = new(TextPattern.Literal(" "), mark.ToString());

    public void Split(Word text, List<Word> into)
    {
        var marked = _replaceSpaces.Normalize(text);
        var span = marked.Span;
        var wanted = scheme == PrependScheme.Always || (scheme == PrependScheme.First && span.Length > 0 && marked.SourceOf(0, 1).Start == 0);
        if (wanted && !text.Continues && span.Length > 0 && span[0] != mark)
            marked = marked.WithBefore(mark.ToString());
        if (!splits)
        {
            into.Add(marked);
            return;
        }
        span = marked.Span;
        for (var start = 0; start < span.Length;)
        {
            var next = span[(start + 1)..].IndexOf(mark);
            var end = next < 0 ? span.Length : start + 1 + next;
            into.Add(marked.Part(start, end));
            start = end;
        }
    }
}

/// <summary>Several pre-tokenizers in a row, each cutting what the one before it left.</summary>
internal sealed class PreTokenizerSequence(IReadOnlyList<IPreTokenizer> steps) : IPreTokenizer
{
    public void Split(Word text, List<Word> into)
    {
        if (steps.Count == 0)
        {
            into.Add(text);
            return;
        }
        var words = new List<Word> { text };
        for (var i = 0; i < steps.Count; i++)
        {
            var next = i == steps.Count - 1 ? into : new List<Word>(words.Count);
            foreach (var word in words)
            {
                if (word.End > word.Start)
                    steps[i].Split(word, next);
            }
            words = next;
        }
    }
}
