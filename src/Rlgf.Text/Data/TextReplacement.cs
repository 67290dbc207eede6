using System.Text.RegularExpressions;

namespace Rlgf.Text.Data;

/// <summary>Cleans the texts of a data set: each match of a pattern is replaced, such as line breaks of HTML by a space.</summary>
public sealed class TextReplacement
{
    private readonly Regex _pattern;
    private readonly string _with;

    /// <summary>A replacement.</summary>
    /// <param name="pattern">A .NET regular expression; without look-around and back-references, so that no text can make it slow.</param>
    /// <param name="with">What takes a match's place, with <c>$1</c> for a group.</param>
    /// <exception cref="InputException">The pattern is no such expression.</exception>
    public TextReplacement(string pattern, string with)
    {
        _pattern = PatternProblem(pattern) is { } problem
            ? throw new InputException($"the pattern '{pattern}': {problem}")
            : new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        _with = with;
    }

    /// <summary>What is wrong with a pattern, in one line; null where nothing is.</summary>
    public static string? PatternProblem(string pattern)
    {
        try
        {
            _ = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
            return null;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return e.Message.ReplaceLineEndings(" ");
        }
    }

    /// <summary>The text with every match replaced.</summary>
    public string Apply(string text) => _pattern.Replace(text, _with);
}
