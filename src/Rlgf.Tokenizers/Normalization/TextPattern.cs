using Rlgf.Base;
using Rlgf.Tokenizers.Patterns;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>A text to look for, or a regular expression, as tokenizer files have them.</summary>
internal sealed class TextPattern
{
    private readonly string _literal;
    private readonly OnigurumaPattern? _expression;

    private TextPattern(string literal, OnigurumaPattern? expression) => (_literal, _expression) = (literal, expression);

    /// <summary>Whether it is a text of one UTF-16 unit.</summary>
    public bool IsOneCharacter => _expression is null && _literal.Length == 1;

    /// <summary>Finds a text as it stands; the empty one is between all characters.</summary>
    public static TextPattern Literal(string text) => text.Length == 0 ? Expression(text) : new(text, null);

    /// <summary>Finds what a regular expression matches.</summary>
    /// <exception cref="PatternException">It can't be used.</exception>
    public static TextPattern Expression(string expression) => new("", new OnigurumaPattern(expression));

    /// <summary>The matches in order, start inclusive, end exclusive. One may be empty, but not where the one before it ends; there is none in the empty text.</summary>
    /// <exception cref="InputException">The expression takes too long.</exception>
    public List<(int Start, int End)> Matches(string text)
    {
        if (text.Length == 0)
            return [];
        if (_expression is not null)
            return _expression.Matches(text);
        var matches = new List<(int, int)>();
        for (var at = 0; (at = text.IndexOf(_literal, at, StringComparison.Ordinal)) >= 0; at += _literal.Length)
            matches.Add((at, at + _literal.Length));
        return matches;
    }
}
