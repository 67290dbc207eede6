namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Python's <c>str.split</c> and <c>str.rsplit</c>.</summary>
internal static class TextSplitting
{
    /// <summary>The parts between a separator.</summary>
    /// <param name="text">The text.</param>
    /// <param name="separator">What stands between; not empty.</param>
    /// <param name="most">How often it is split at most; any number where that is negative.</param>
    public static List<string> Parts(string text, string separator, int most)
    {
        var parts = new List<string>();
        var start = 0;
        for (int at; most != 0 && (at = text.IndexOf(separator, start, StringComparison.Ordinal)) >= 0; most--)
        {
            parts.Add(text[start..at]);
            start = at + separator.Length;
        }
        parts.Add(text[start..]);
        return parts;
    }

    /// <summary>As <see cref="Parts"/>, from the end.</summary>
    public static List<string> PartsFromEnd(string text, string separator, int most)
    {
        var parts = new List<string>();
        var end = text.Length;
        for (int at; most != 0 && (at = text.AsSpan(0, end).LastIndexOf(separator)) >= 0; most--)
        {
            parts.Add(text[(at + separator.Length)..end]);
            end = at;
        }
        parts.Add(text[..end]);
        parts.Reverse();
        return parts;
    }

    /// <summary>The words between white space; what is left when no more may be split keeps its own.</summary>
    public static List<string> Words(string text, int most)
    {
        var words = new List<string>();
        for (var start = Skip(0, isSpace: true); start < text.Length;)
        {
            if (most-- == 0)
            {
                words.Add(text[start..]);
                break;
            }
            var end = Skip(start, isSpace: false);
            words.Add(text[start..end]);
            start = Skip(end, isSpace: true);
        }
        return words;

        int Skip(int at, bool isSpace)
        {
            while (at < text.Length && WhiteSpace.Is(text[at]) == isSpace)
                at++;
            return at;
        }
    }

    /// <summary>As <see cref="Words"/>, from the end.</summary>
    public static List<string> WordsFromEnd(string text, int most)
    {
        var words = new List<string>();
        for (var end = Skip(text.Length, isSpace: true); end > 0;)
        {
            if (most-- == 0)
            {
                words.Add(text[..end]);
                break;
            }
            var start = Skip(end, isSpace: false);
            words.Add(text[start..end]);
            end = Skip(start, isSpace: true);
        }
        words.Reverse();
        return words;

        int Skip(int at, bool isSpace)
        {
            while (at > 0 && WhiteSpace.Is(text[at - 1]) == isSpace)
                at--;
            return at;
        }
    }
}
