using System.Globalization;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>What a token of an expression is.</summary>
internal enum TokenKind
{
    /// <summary>A name or keyword.</summary>
    Name,

    /// <summary>A text in quotes; the token's text is what it stands for.</summary>
    Text,

    /// <summary>A whole number.</summary>
    Integer,

    /// <summary>A number with a fraction or an exponent.</summary>
    Float,

    /// <summary>An operator or a bracket.</summary>
    Operator,
}

/// <summary>A token of an expression.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Line);

/// <summary>What a part of a template is.</summary>
internal enum SegmentKind
{
    /// <summary>Text that is written as it stands.</summary>
    Data,

    /// <summary><c>{{ … }}</c>.</summary>
    Output,

    /// <summary><c>{% … %}</c>.</summary>
    Block,
}

/// <summary>A part of a template.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Data">The text of data.</param>
/// <param name="Tokens">The tokens between the braces of the other kinds.</param>
/// <param name="Line">Where it begins.</param>
internal sealed record Segment(SegmentKind Kind, string Data, IReadOnlyList<Token> Tokens, int Line);

/// <summary>
/// Cuts a Jinja template into text, outputs and blocks, with white space as the transformers library has it: <c>trim_blocks</c> and <c>lstrip_blocks</c> on,
/// the newline at the very end dropped.
/// </summary>
internal sealed class Lexer
{
    private static readonly string[] Operators =
        ["**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", "|", "(", ")", "[", "]", "{", "}"];

    private readonly string _source;
    private readonly string _name;
    private readonly List<Segment> _segments = [];
    private int _at;
    private int _line = 1;
    private bool _startsLine = true;

    private Lexer(string name, string source) => (_name, _source) = (name, source);

    /// <summary>Cuts a template up.</summary>
    /// <param name="name">How errors call it.</param>
    /// <param name="source">Its text.</param>
    /// <exception cref="InputException">It isn't a template.</exception>
    public static IReadOnlyList<Segment> Cut(string name, string source)
    {
        source = source.ReplaceLineEndings("\n");
        var lexer = new Lexer(name, source.EndsWith('\n') ? source[..^1] : source);
        lexer.Run();
        return lexer._segments;
    }

    private void Run()
    {
        while (_at < _source.Length)
        {
            var tag = NextTag();
            var text = _source[_at..tag];
            if (tag == _source.Length)
            {
                AddData(text);
                return;
            }
            var kind = _source[tag + 1];
            var sign = tag + 2 < _source.Length ? _source[tag + 2] : ' ';
            var startsLine = _startsLine;
            if (text.Length > 0)
                startsLine = text.Contains('\n', StringComparison.Ordinal) || _startsLine;
            if (sign == '-')
                AddData(text.TrimEnd());
            else if (kind != '{' && sign != '+' && startsLine && text[(text.LastIndexOf('\n') + 1)..].AsSpan().IsWhiteSpace())
                AddData(text[..(text.LastIndexOf('\n') + 1)]);
            else
                AddData(text);
            _line += text.Count(character => character == '\n');
            _at = tag + (sign is '-' or '+' ? 3 : 2);
            ReadTag(kind);
        }
    }

    private int NextTag()
    {
        for (var at = _at; ; at++)
        {
            at = _source.IndexOf('{', at);
            if (at < 0 || at + 1 >= _source.Length)
                return _source.Length;
            if (_source[at + 1] is '{' or '%' or '#')
                return at;
        }
    }

    private void AddData(string text)
    {
        if (text.Length > 0)
            _segments.Add(new Segment(SegmentKind.Data, text, [], _line));
    }

    private void ReadTag(char kind)
    {
        var line = _line;
        if (kind == '#')
        {
            var end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
            if (end < 0)
                throw Error(line, "has a comment that doesn't end");
            _line += _source.AsSpan(_at, end - _at).Count('\n');
            _at = end;
            EndTag(_source[end - 1], isOutput: false);
            return;
        }
        var tokens = ReadTokens(kind == '{' ? "}}" : "%}", line, out var sign);
        if (kind == '%' && tokens is [{ Kind: TokenKind.Name, Text: "raw" }])
        {
            EndTag(sign, isOutput: false);
            ReadRaw(line);
            return;
        }
        _segments.Add(new Segment(kind == '{' ? SegmentKind.Output : SegmentKind.Block, "", tokens, line));
        EndTag(sign, isOutput: kind == '{');
    }

    /// <summary>Steps over the two characters that end a tag and what white space goes with them.</summary>
    private void EndTag(char sign, bool isOutput)
    {
        _at += 2;
        var start = _at;
        if (sign == '-')
        {
            while (_at < _source.Length && char.IsWhiteSpace(_source[_at]))
                _at++;
        }
        else if (!isOutput && sign != '+' && _at < _source.Length && _source[_at] == '\n')
        {
            _at++;
        }
        _startsLine = _at > start && _source[_at - 1] == '\n';
        _line += _source.AsSpan(start, _at - start).Count('\n');
    }

    private void ReadRaw(int line)
    {
        for (var at = _at; (at = _source.IndexOf("{%", at, StringComparison.Ordinal)) >= 0; at += 2)
        {
            var inner = at + 2 < _source.Length && _source[at + 2] is '-' or '+' ? at + 3 : at + 2;
            var rest = _source.AsSpan(inner).TrimStart();
            if (!rest.StartsWith("endraw", StringComparison.Ordinal))
                continue;
            var text = _source[_at..at];
            AddData(_source[inner - 1] == '-' ? text.TrimEnd() : text);
            _line += text.Count(character => character == '\n');
            _at = inner;
            ReadTokens("%}", line, out var sign);
            EndTag(sign, isOutput: false);
            return;
        }
        throw Error(line, "has a raw block that doesn't end");
    }

    /// <summary>Reads the tokens up to the end of a tag and stops before its last two characters.</summary>
    private List<Token> ReadTokens(string end, int line, out char sign)
    {
        var tokens = new List<Token>();
        var open = 0;
        while (_at < _source.Length)
        {
            var character = _source[_at];
            if (char.IsWhiteSpace(character))
            {
                _line += character == '\n' ? 1 : 0;
                _at++;
                continue;
            }
            if (open == 0 && At(character is '-' or '+' ? _at + 1 : _at, end))
            {
                sign = character is '-' or '+' ? character : ' ';
                _at += sign == ' ' ? 0 : 1;
                return tokens;
            }
            var token = character is '\'' or '"' ? ReadText(character) : char.IsAsciiDigit(character) ? ReadNumber() : character == '_' || char.IsLetter(character) ? ReadName() : ReadOperator();
            tokens.Add(token);
            open += token.Kind != TokenKind.Operator ? 0 : token.Text is "(" or "[" or "{" ? 1 : token.Text is ")" or "]" or "}" ? -1 : 0;
        }
        throw Error(line, $"has a tag that doesn't end with {end}");
    }

    private bool At(int at, string text) => string.CompareOrdinal(_source, at, text, 0, text.Length) == 0;

    private Token ReadName()
    {
        var start = _at;
        while (_at < _source.Length && (_source[_at] == '_' || char.IsLetterOrDigit(_source[_at])))
            _at++;
        return new Token(TokenKind.Name, _source[start.._at], _line);
    }

    private Token ReadNumber()
    {
        var start = _at;
        while (_at < _source.Length && (char.IsAsciiDigit(_source[_at]) || _source[_at] == '_'))
            _at++;
        var isFloat = _at + 1 < _source.Length && _source[_at] == '.' && char.IsAsciiDigit(_source[_at + 1]);
        if (isFloat)
        {
            _at++;
            while (_at < _source.Length && char.IsAsciiDigit(_source[_at]))
                _at++;
        }
        if (_at < _source.Length && char.IsLetter(_source[_at]))
            throw Error(_line, $"has a number that isn't supported, {_source[start..(_at + 1)]}");
        return new Token(isFloat ? TokenKind.Float : TokenKind.Integer, _source[start.._at].Replace("_", "", StringComparison.Ordinal), _line);
    }

    private Token ReadText(char quote)
    {
        var line = _line;
        var text = new StringBuilder();
        for (_at++; _at < _source.Length; _at++)
        {
            var character = _source[_at];
            if (character == quote)
            {
                _at++;
                return new Token(TokenKind.Text, text.ToString(), line);
            }
            _line += character == '\n' ? 1 : 0;
            if (character == '\\' && _at + 1 < _source.Length)
                text.Append(ReadEscape());
            else
                text.Append(character);
        }
        throw Error(line, "has a text in quotes that doesn't end");
    }

    /// <summary>Reads what follows a backslash, as Python does: one that means nothing stays.</summary>
    private string ReadEscape()
    {
        var character = _source[++_at];
        switch (character)
        {
            case 'n':
                return "\n";
            case 't':
                return "\t";
            case 'r':
                return "\r";
            case 'b':
                return "\b";
            case 'f':
                return "\f";
            case 'v':
                return "\v";
            case 'a':
                return "\a";
            case '\\' or '\'' or '"':
                return character.ToString();
            case '\n':
                _line++;
                return "";
            case 'x' or 'u':
                var digits = character == 'x' ? 2 : 4;
                if (_at + digits < _source.Length
                    && int.TryParse(_source.AsSpan(_at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
                {
                    _at += digits;
                    return ((char)code).ToString();
                }
                throw Error(_line, $"has an escape \\{character} without {digits} hexadecimal digits");
            default:
                return $"\\{character}";
        }
    }

    private Token ReadOperator()
    {
        foreach (var text in Operators)
        {
            if (At(_at, text))
            {
                _at += text.Length;
                return new Token(TokenKind.Operator, text, _line);
            }
        }
        throw Error(_line, $"has the character '{_source[_at]}' where an expression goes");
    }

    private InputException Error(int line, string what) => new($"{_name}: line {line}: the template {what}.");
}
