using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>Small letters for capital ones, by each character's own full mapping; the sigma at the end of a word is one like any other.</summary>
internal sealed class LowercaseNormalizer : INormalizer
{
    private static readonly Rune CapitalIWithDot = new(0x130), SmallI = new('i'), DotAbove = new(0x307);

    public Word Normalize(Word text)
    {
        var lower = new Rewriting(text);
        while (lower.HasMore)
        {
            // The one letter whose mapping has two characters, which .NET's invariant mapping leaves alone.
            if (lower.Next == CapitalIWithDot)
            {
                lower.Replace(SmallI);
                lower.Insert(DotAbove);
            }
            else
            {
                lower.Replace(Rune.ToLowerInvariant(lower.Next));
            }
        }
        return lower.Finish();
    }
}

/// <summary>Leaves out combining marks; what they stood on stays. Precomposed letters keep theirs unless form D comes first.</summary>
internal sealed class StripAccentsNormalizer : INormalizer
{
    public Word Normalize(Word text)
    {
        var kept = new Rewriting(text);
        while (kept.HasMore)
        {
            if (Rune.GetUnicodeCategory(kept.Next) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark)
                kept.Drop();
            else
                kept.Keep();
        }
        return kept.Finish();
    }
}

/// <summary>Leaves out the white space at the ends.</summary>
internal sealed class StripNormalizer(bool left, bool right) : INormalizer
{
    public Word Normalize(Word text)
    {
        // All white space is in the basic plane.
        var span = text.Span;
        var (start, end) = (0, span.Length);
        while (left && start < end && char.IsWhiteSpace(span[start]))
            start++;
        while (right && end > start && char.IsWhiteSpace(span[end - 1]))
            end--;
        return text.Part(start, end);
    }
}

/// <summary>Leaves out spaces at the ends, and all but the first of those in a row, as sentencepiece does.</summary>
internal sealed class ExtraSpacesNormalizer : INormalizer
{
    private static readonly Rune Space = new(' ');

    public Word Normalize(Word text)
    {
        var end = text.Span.TrimEnd(' ').Length;
        var kept = new Rewriting(text.Part(0, end));
        // A text that goes on from another keeps a space between them.
        var dropsSpace = !text.Continues;
        while (kept.HasMore)
        {
            var isSpace = kept.Next == Space;
            if (isSpace && dropsSpace)
                kept.Drop();
            else
                kept.Keep();
            dropsSpace = isSpace;
        }
        return kept.Finish();
    }
}

/// <summary>Puts a text before every stretch that isn't empty.</summary>
internal sealed class PrependNormalizer(string prefix) : INormalizer
{
    public Word Normalize(Word text) => text.Continues ? text : text.WithBefore(prefix);
}

/// <summary>Writes one text in the place of another, or of what a regular expression matches.</summary>
internal sealed class ReplaceNormalizer(TextPattern pattern, string content) : INormalizer
{
    public Word Normalize(Word text)
    {
        var span = text.Span;
        var matches = pattern.Matches(span.ToString());
        if (matches.Count == 0)
            return text;
        var rewritten = new StringBuilder(span.Length);
        var sources = new List<(int, int)>(span.Length);
        var done = 0;
        foreach (var (start, end) in matches)
        {
            Copy(done, start);
            rewritten.Append(content);
            for (var i = 0; i < content.Length; i++)
                sources.Add(SourceBefore(end));
            done = end;
        }
        Copy(done, span.Length);
        return new Word(new NormalizedText(rewritten.ToString(), [.. sources]), 0, rewritten.Length, text.Continues);

        // What is put in stands for the last character of what it replaces, or, where that is nothing, for the one before; at the start for no part of the text.
        (int, int) SourceBefore(int end)
        {
            if (end == 0)
            {
                var start = text.SourceOf(0, 1).Start;
                return (start, start);
            }
            var last = end > 1 && char.IsSurrogatePair(text.Text.Text, text.Start + end - 2) ? end - 2 : end - 1;
            return text.SourceOf(last, end);
        }

        void Copy(int from, int to)
        {
            rewritten.Append(text.Text.Text, text.Start + from, to - from);
            for (var i = from; i < to; i++)
                sources.Add(text.SourceOf(i, i + 1));
        }
    }
}

/// <summary>Leaves out controls and turns odd spaces into plain ones, as sentencepiece's <c>nmt</c> rules do.</summary>
internal sealed class NmtNormalizer : INormalizer
{
    public Word Normalize(Word text)
    {
        var cleaned = new Rewriting(text);
        while (cleaned.HasMore)
        {
            switch (cleaned.Next.Value)
            {
                case (>= 0x1 and <= 0x8) or 0xB or (>= 0xE and <= 0x1F) or 0x7F or 0x8F or 0x9F:
                    cleaned.Drop();
                    break;
                case 0x9 or 0xA or 0xC or 0xD or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD:
                    cleaned.Replace(new Rune(' '));
                    break;
                default:
                    cleaned.Keep();
                    break;
            }
        }
        return cleaned.Finish();
    }
}
