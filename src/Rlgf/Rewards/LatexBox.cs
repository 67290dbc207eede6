namespace Rlgf.Rewards;

/// <summary>The box that a written answer to a mathematical problem stands in: <c>\boxed{4}</c>, or <c>\boxed 4</c>.</summary>
public static class LatexBox
{
    private const string Command = @"\boxed";
    private const string Bare = Command + " ";

    /// <summary>
    /// What stands in the last box of a text, nothing trimmed; null where there is none, or where it isn't closed. Braces inside are matched: <c>\boxed{\frac{1}{2}}</c> holds <c>\frac{1}{2}</c>. Where <c>\boxed</c> is
    /// followed by a blank anywhere, it is all that follows the last such place, up to a dollar sign if one follows: the rule that rewards of mathematical data sets have after Hendrycks et al. 2021 (arXiv 2103.03874).
    /// </summary>
    public static string? Last(string text)
    {
        if (text.LastIndexOf(Bare, StringComparison.Ordinal) is >= 0 and var bare)
        {
            var rest = text[(bare + Bare.Length)..];
            return rest.IndexOf('$', StringComparison.Ordinal) is >= 0 and var dollar ? rest[..dollar] : rest;
        }

        var box = text.LastIndexOf(Command, StringComparison.Ordinal);
        if (box < 0) return null;
        var open = box + Command.Length;
        if (open == text.Length || text[open] != '{') return null;
        var depth = 0;
        for (var at = open; at < text.Length; at++)
        {
            if (text[at] == '{') depth++;
            if (text[at] == '}' && --depth == 0) return text[(open + 1)..at];
        }

        return null;
    }
}
