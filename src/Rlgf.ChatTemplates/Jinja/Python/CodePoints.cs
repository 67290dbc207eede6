using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Positions in texts, which Python counts by code points and .NET by UTF-16 units.</summary>
internal static class CodePoints
{
    /// <summary>How many code points a text has.</summary>
    public static int Count(string text)
    {
        if (IsPlain(text))
            return text.Length;
        var count = 0;
        for (var at = 0; at < text.Length; at += Width(text, at))
            count++;
        return count;
    }

    /// <summary>The code points, each as a text.</summary>
    public static IEnumerable<string> Each(string text)
    {
        for (var at = 0; at < text.Length; at += Width(text, at))
            yield return text.Substring(at, Width(text, at));
    }

    /// <summary>The code point at an offset in UTF-16 units; half of a pair stands for itself.</summary>
    public static int At(string text, int offset) => Width(text, offset) == 2 ? char.ConvertToUtf32(text, offset) : text[offset];

    /// <summary>UTF-16 units of the code point at an offset.</summary>
    public static int Width(string text, int offset) => char.IsHighSurrogate(text[offset]) && offset + 1 < text.Length && char.IsLowSurrogate(text[offset + 1]) ? 2 : 1;

    /// <summary>The offset in UTF-16 units of a position in code points.</summary>
    public static int ToOffset(string text, int position)
    {
        if (IsPlain(text))
            return Math.Min(position, text.Length);
        var at = 0;
        for (; position > 0 && at < text.Length; position--)
            at += Width(text, at);
        return at;
    }

    /// <summary>The position in code points of an offset in UTF-16 units.</summary>
    public static int ToPosition(string text, int offset) => IsPlain(text) ? offset : Count(text[..offset]);

    /// <summary>A code point as text; half of a pair too.</summary>
    public static string Text(int codePoint) => Rune.IsValid(codePoint) ? new Rune(codePoint).ToString() : ((char)codePoint).ToString();

    /// <summary>Python's order of texts, by code points.</summary>
    public static int Compare(string left, string right)
    {
        var same = left.AsSpan().CommonPrefixLength(right);
        if (same == left.Length || same == right.Length)
            return left.Length.CompareTo(right.Length);
        // Units of pairs lie below some single ones that stand for smaller code points.
        var (a, b) = (left[same], right[same]);
        return (a + (char.IsSurrogate(a) ? 0x10000 : 0)).CompareTo(b + (char.IsSurrogate(b) ? 0x10000 : 0));
    }

    private static bool IsPlain(string text) => !text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF');
}
