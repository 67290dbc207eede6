using System.Text.RegularExpressions;
using Rlgf.Base;

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
        _pattern = UserPattern.TryParse(pattern, out var problem) ?? throw new InputException($"the pattern '{pattern}': {problem}");
        _with = with;
    }

    /// <summary>The text with every match replaced.</summary>
    public string Apply(string text) => _pattern.Replace(text, _with);
}
