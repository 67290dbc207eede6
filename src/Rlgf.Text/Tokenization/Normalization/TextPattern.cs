using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Rlgf.Text.Tokenization.Normalization;

/// <summary>A text to look for, or a regular expression, as tokenizer files have them.</summary>
/// <remarks>
/// .NET's regular expressions read UTF-16 units, so that <c>\p{L}</c> never matches a letter beyond the basic plane, and a class never a whole one. They are
/// therefore matched against a text in which each such character is one unit of the same general category.
/// </remarks>
internal sealed class TextPattern
{
    /// <summary>How long one text may take: a file's expression may be one that backtracks for ever.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly string? _literal;
    private readonly Regex? _expression;

    private TextPattern(string? literal, Regex? expression) => (_literal, _expression) = (literal, expression);

    /// <summary>Whether it is a text of one UTF-16 unit.</summary>
    public bool IsOneCharacter => _literal?.Length == 1;

    /// <summary>Finds a text as it stands.</summary>
    public static TextPattern Literal(string text) => new(text, null);

    /// <summary>Finds what a regular expression matches.</summary>
    /// <exception cref="ArgumentException">It isn't a regular expression that .NET knows.</exception>
    public static TextPattern Expression(string expression) =>
        new(null, new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Multiline, Patience));

    /// <summary>The matches in order, start inclusive, end exclusive; none is empty.</summary>
    /// <exception cref="InputException">The expression takes too long.</exception>
    public List<(int Start, int End)> Matches(string text)
    {
        var matches = new List<(int, int)>();
        if (_expression is null)
        {
            for (var at = 0; _literal!.Length > 0 && (at = text.IndexOf(_literal, at, StringComparison.Ordinal)) >= 0; at += _literal.Length)
                matches.Add((at, at + _literal.Length));
            return matches;
        }
        var (units, starts) = OneUnitEach(text);
        try
        {
            for (var match = _expression.Match(units); match.Success; match = match.NextMatch())
            {
                if (match.Length > 0)
                    matches.Add(starts is null ? (match.Index, match.Index + match.Length) : (starts[match.Index], starts[match.Index + match.Length]));
            }
        }
        catch (RegexMatchTimeoutException error)
        {
            throw new InputException($"The tokenizer's regular expression \"{_expression}\" takes more than {Patience.TotalSeconds:0} s on a text of {text.Length} characters; use a tokenizer with a simpler one.", error);
        }
        return matches;
    }

    /// <summary>The text with one unit for each character, and where each begins in the original; the text itself where that is so already.</summary>
    private static (string Units, int[]? Starts) OneUnitEach(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
            return (text, null);
        var units = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        for (var at = 0; at < text.Length;)
        {
            starts.Add(at);
            if (char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
            {
                units.Append(StandIn(Rune.GetUnicodeCategory(new Rune(text[at], text[at + 1]))));
                at += 2;
            }
            else
            {
                units.Append(text[at++]);
            }
        }
        starts.Add(text.Length);
        return (units.ToString(), [.. starts]);
    }

    /// <summary>A rare character of the basic plane in each category.</summary>
    private static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\uA722',
        UnicodeCategory.LowercaseLetter => '\uA723',
        UnicodeCategory.TitlecaseLetter => '\u1F88',
        UnicodeCategory.ModifierLetter => '\uA717',
        UnicodeCategory.OtherLetter => '\uA000',
        UnicodeCategory.NonSpacingMark => '\uA806',
        UnicodeCategory.SpacingCombiningMark => '\uA880',
        UnicodeCategory.EnclosingMark => '\uA670',
        UnicodeCategory.DecimalDigitNumber => '\uA8D0',
        UnicodeCategory.LetterNumber => '\uA6E6',
        UnicodeCategory.OtherNumber => '\uA830',
        UnicodeCategory.ConnectorPunctuation => '\u2054',
        UnicodeCategory.DashPunctuation => '\u2E1A',
        UnicodeCategory.OpenPunctuation => '\u2E28',
        UnicodeCategory.ClosePunctuation => '\u2E29',
        UnicodeCategory.InitialQuotePunctuation => '\u2E20',
        UnicodeCategory.FinalQuotePunctuation => '\u2E21',
        UnicodeCategory.OtherPunctuation => '\uA874',
        UnicodeCategory.MathSymbol => '\u2A00',
        UnicodeCategory.CurrencySymbol => '\uA838',
        UnicodeCategory.ModifierSymbol => '\uA700',
        UnicodeCategory.OtherSymbol => '\uA490',
        UnicodeCategory.Format => '\u2060',
        UnicodeCategory.PrivateUse => '\uF000',
        _ => '\uFDD0',
    };
}
