using System.Text.RegularExpressions;

namespace Rlgf.Endpoints;

/// <summary>
/// Takes what continues a text out of an answer to a request to continue it. Chat models say the text again, exactly or otherwise, put quotation marks around what they wrote, or say first that they will; a response
/// that holds such words would be rewarded or punished for them.
/// </summary>
/// <param name="rule">What becomes of such an answer.</param>
/// <param name="counts">Counts what was found.</param>
internal sealed partial class AnswerCleaner(UncleanAnswers rule, KindCounts counts)
{
    /// <summary>Kinds of what is found.</summary>
    public const string Preamble = "answers with words before the continuation", Quotes = "answers in quotation marks", Echo = "answers that say the text again", Changed = "answers that say the text again, changed";

    /// <summary>Fewer letters and digits of the text's end may stand at the beginning of an answer by chance.</summary>
    private const int LeastEcho = 12;

    /// <summary>The continuation in an answer.</summary>
    /// <param name="text">The text that was to be continued.</param>
    /// <param name="answer">The answer.</param>
    /// <returns>The continuation; null where there was something else and such answers are refused.</returns>
    public string? Clean(string text, string answer)
    {
        var (clean, found) = (answer, false);
        // Words first, as they stand before the quotes, and those around what was said again.
        found |= Cut(ref clean, Preamble, PreambleLine().Match(clean) is { Success: true } line ? line.Length : 0);
        if (Quoted().Match(clean) is { Success: true } quoted)
        {
            clean = quoted.Groups["inside"].Value;
            counts.Add(Quotes);
            found = true;
        }

        var echo = EchoLength(text, clean);
        found |= Cut(ref clean, Echo, echo);
        if (echo == 0) found |= Cut(ref clean, Changed, ChangedLength(text, clean));
        if (found && rule == UncleanAnswers.Refuse) return null;
        // Chats begin with a word; the blank before it belongs to the continuation.
        return clean.Length > 0 && text.Length > 0 && !char.IsWhiteSpace(text[^1]) && (char.IsLetterOrDigit(clean[0]) || clean[0] is '(' or '"' or '“') ? " " + clean : clean;
    }

    private bool Cut(ref string answer, string kind, int length)
    {
        if (length == 0) return false;
        answer = answer[length..];
        counts.Add(kind);
        return true;
    }

    /// <summary>How much of an answer's beginning is the text, or its end from a word on.</summary>
    private static int EchoLength(string text, string answer)
    {
        var end = text.TrimEnd();
        for (var from = 0; from < end.Length; from++)
        {
            if (from > 0 && !char.IsWhiteSpace(end[from - 1])) continue;
            if (end[from..].Count(char.IsLetterOrDigit) < LeastEcho && from > 0) return 0;
            if (answer.AsSpan().TrimStart().StartsWith(end.AsSpan(from), StringComparison.Ordinal)) return answer.Length - answer.AsSpan().TrimStart().Length + end.Length - from;
        }

        return 0;
    }

    /// <summary>How much of an answer's beginning has the text's letters and digits, all of them in their order and nothing between, whatever their case and what stands around them.</summary>
    private static int ChangedLength(string text, string answer)
    {
        char[] letters = [.. text.Where(char.IsLetterOrDigit).Select(char.ToLowerInvariant)];
        if (letters.Length < LeastEcho) return 0;
        var (found, at) = (0, 0);
        for (; at < answer.Length && found < letters.Length; at++)
        {
            if (!char.IsLetterOrDigit(answer[at])) continue;
            if (char.ToLowerInvariant(answer[at]) != letters[found++]) return 0;
        }

        return found == letters.Length ? at : 0;
    }

    [GeneratedRegex(@"^\s*(?:sure|certainly|of course|okay|ok|absolutely|here(?:'s| is| are| it is)|the continuation|continuation|continuing|continued)\b[^\n]{0,120}?:\s*(?:\n\s*|(?=[""“]))", RegexOptions.IgnoreCase)]
    private static partial Regex PreambleLine();

    [GeneratedRegex(@"^\s*(?:```[a-z]*\n(?<inside>.*?)\n?```|""(?<inside>[^""]*)""|“(?<inside>[^“”]*)”|«(?<inside>[^«»]*)»)\s*$", RegexOptions.Singleline)]
    private static partial Regex Quoted();
}
