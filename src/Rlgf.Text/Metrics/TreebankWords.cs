using System.Text.RegularExpressions;

namespace Rlgf.Text.Metrics;

/// <summary>
/// Splits English as nltk's <c>NLTKWordTokenizer</c> does, for <see cref="Meteor"/>: punctuation and quotes are tokens of their own, and so are the parts of contractions (<c>do</c> <c>n't</c>).
/// </summary>
/// <remarks>The conventions of the Penn Treebank (Marcus et al. 1993). Sentences are not told apart first, so that a full stop is a token of its own at the text's end alone.</remarks>
public static partial class TreebankWords
{
    /// <summary>The tokens of a text.</summary>
    public static IReadOnlyList<string> Of(string text)
    {
        text = OpeningQuote().Replace(text, " $1 ");
        text = QuoteAtBeginning().Replace(text, "``");
        text = text.Replace("``", " `` ", StringComparison.Ordinal);
        text = QuoteAfterBracket().Replace(text, "$1 `` ");
        text = ApostropheBeforeWord().Replace(text, "$1 $2");

        text = LastFullStop().Replace(text, "$1 $2 $3 ");
        text = MarkBeforeOther().Replace(text, " $1 $2");
        text = MarkAtEnd().Replace(text, " $1 ");
        text = FullStops().Replace(text, " $0 ");
        text = Symbol().Replace(text, " $0 ");
        text = ApostropheAfterWord().Replace(text, "$1 ' ");
        text = Bracket().Replace(text, " $0 ");
        text = text.Replace("--", " -- ", StringComparison.Ordinal);

        text = ClosingQuote().Replace($" {text} ", " $1 ");
        text = text.Replace("''", " '' ", StringComparison.Ordinal).Replace("\"", " '' ", StringComparison.Ordinal);
        text = string.Concat(" ", string.Join(' ', PythonText.Split(text)), " ");
        text = ShortEnding().Replace(text, "$1 $2 ");
        text = LongEnding().Replace(text, "$1 $2 ");
        text = TwoInOne().Replace(text, " $1 $2 ");
        text = ItIs().Replace(text, " $1 $2 ");
        return PythonText.Split(text);
    }

    [GeneratedRegex("([«“‘„]|`+)")]
    private static partial Regex OpeningQuote();

    [GeneratedRegex("^\"")]
    private static partial Regex QuoteAtBeginning();

    [GeneratedRegex(@"([ (\[{<])(""|'{2})")]
    private static partial Regex QuoteAfterBracket();

    [GeneratedRegex(@"(?<!\w)(')(?!(?i:re|ve|ll|m|t|s|d|n)\b)(\w)")]
    private static partial Regex ApostropheBeforeWord();

    [GeneratedRegex(@"([^.])(\.)([\])}>""'»”’ ]*)\s*$")]
    private static partial Regex LastFullStop();

    [GeneratedRegex(@"([:,])(\D)")]
    private static partial Regex MarkBeforeOther();

    [GeneratedRegex("([:,])$")]
    private static partial Regex MarkAtEnd();

    [GeneratedRegex(@"\.{2,}")]
    private static partial Regex FullStops();

    [GeneratedRegex("[;@#$%&?!*]")]
    private static partial Regex Symbol();

    [GeneratedRegex("([^'])' ")]
    private static partial Regex ApostropheAfterWord();

    [GeneratedRegex(@"[\]\[(){}<>]")]
    private static partial Regex Bracket();

    [GeneratedRegex("([»”’])")]
    private static partial Regex ClosingQuote();

    [GeneratedRegex("([^' ])('[sS]|'[mM]|'[dD]|') ")]
    private static partial Regex ShortEnding();

    [GeneratedRegex("([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ")]
    private static partial Regex LongEnding();

    [GeneratedRegex(@"(?:\b(?<1>can)(?<2>not)\b|\b(?<1>gim|lem)(?<2>me)\b|\b(?<1>gon|wan)(?<2>na)\b|\b(?<1>got)(?<2>ta)\b|\b(?<1>d)(?<2>'ye)\b|\b(?<1>more)(?<2>'n)\b)", RegexOptions.IgnoreCase)]
    private static partial Regex TwoInOne();

    [GeneratedRegex(" ('t)(is|was)\\b", RegexOptions.IgnoreCase)]
    private static partial Regex ItIs();
}
