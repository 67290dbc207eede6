using System.Text.RegularExpressions;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Breaks lines as Python's <c>textwrap.wrap</c> does.</summary>
internal static partial class WordWrap
{
    /// <summary>The lines of a text, none wider than a number of characters where that can be.</summary>
    /// <param name="text">The text.</param>
    /// <param name="width">Characters in a line.</param>
    /// <param name="breakWords">Whether words that are wider are broken.</param>
    /// <param name="breakAtHyphens">Whether lines may end behind hyphens.</param>
    public static List<string> Lines(string text, int width, bool breakWords, bool breakAtHyphens)
    {
        var chunks = new Stack<string>((breakAtHyphens ? AtHyphens() : AtSpaces()).Split(text).Where(chunk => chunk.Length > 0).Reverse());
        var lines = new List<string>();
        while (chunks.Count > 0)
        {
            if (lines.Count > 0 && IsBlank(chunks.Peek()))
                chunks.Pop();
            var line = new List<string>();
            var left = width;
            while (chunks.TryPeek(out var chunk) && CodePoints.Count(chunk) <= left)
            {
                line.Add(chunks.Pop());
                left -= CodePoints.Count(chunk);
            }
            if (chunks.TryPeek(out var wide) && CodePoints.Count(wide) > width && (breakWords || line.Count == 0))
                BreakWord(chunks, line, breakWords ? left : int.MaxValue, breakAtHyphens);
            if (line.Count > 0 && IsBlank(line[^1]))
                line.RemoveAt(line.Count - 1);
            if (line.Count > 0)
                lines.Add(string.Concat(line));
        }
        return lines;
    }

    private static bool IsBlank(string chunk) => chunk.All(WhiteSpace.Is);

    private static void BreakWord(Stack<string> chunks, List<string> line, int left, bool breakAtHyphens)
    {
        var word = chunks.Pop();
        var end = CodePoints.ToOffset(word, left);
        var hyphen = breakAtHyphens && end < word.Length && end > 0 ? word.LastIndexOf('-', end - 1) : -1;
        if (hyphen > 0 && word.AsSpan(0, hyphen).ContainsAnyExcept('-'))
            end = hyphen + 1;
        line.Add(word[..end]);
        if (end < word.Length)
            chunks.Push(word[end..]);
    }

    // Spaces; dashes between words; words, up to a hyphen between letters, a space, the end or a dash.
    [GeneratedRegex(
        @"([\t\n\v\f\r ]+|(?<=[\w!""'&.,?])-{2,}(?=\w)|[^\t\n\v\f\r ]+?(?:-(?:(?<=[^\d\W]{2}-)|(?<=[^\d\W]-[\w!""'&.,?]-))(?=[^\d\W]-?[^\d\W])" +
        @"|(?=[\t\n\v\f\r ]|\z)|(?<=[\w!""'&.,?])(?=-{2,}\w)))")]
    private static partial Regex AtHyphens();

    [GeneratedRegex(@"([\t\n\v\f\r ]+)")]
    private static partial Regex AtSpaces();
}
