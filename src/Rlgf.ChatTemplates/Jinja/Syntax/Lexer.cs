using System.Text.RegularExpressions;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>
/// Cuts a template into tokens, with white space as the transformers library has it: <c>trim_blocks</c> and <c>lstrip_blocks</c> on, the newline at the very end
/// dropped.
/// </summary>
internal sealed partial class Lexer
{
    private static readonly string[] Operators =
        ["**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", ";", "|", "(", ")", "[", "]", "{", "}"];

    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private readonly Stack<string> _closing = new();
    private int _at;
    private int _line = 1;
    private bool _startsLine = true;

    private Lexer(string source) => _source = source;

    /// <summary>Cuts a template up.</summary>
    /// <exception cref="TemplateException">It isn't a template.</exception>
    public static IReadOnlyList<Token> Cut(string source)
    {
        source = Normalized(source);
        var lexer = new Lexer(source.EndsWith('\n') ? source[..^1] : source);
        while (lexer._at < lexer._source.Length)
            lexer.ReadData();
        lexer.Add(TokenKind.End, "");
        return lexer._tokens;
    }

    /// <summary>A text whose line breaks are all of one character.</summary>
    public static string Normalized(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');

    private void Add(TokenKind kind, string text, object? value = null) => _tokens.Add(new Token(kind, text, _line, value));

    /// <summary>Reads text up to the next tag, and that.</summary>
    private void ReadData()
    {
        var tag = NextTag();
        if (tag == _source.Length)
        {
            Add(TokenKind.Data, _source[_at..]);
            _at = tag;
            return;
        }
        var raw = RawBegin().Match(_source, tag);
        var kind = _source[tag + 1];
        var sign = tag + 2 < _source.Length && _source[tag + 2] is '-' or '+' ? _source[tag + 2] : '\0';
        AddData(tag, sign, isStripped: kind != '{');
        if (raw.Success)
        {
            Step(raw.Length);
            ReadRaw();
            return;
        }
        Step(sign == '\0' ? 2 : 3);
        if (kind == '#')
            ReadComment();
        else
            ReadTag(kind == '{');
    }

    private int NextTag()
    {
        for (var at = _at; (at = _source.IndexOf('{', at)) >= 0 && at + 1 < _source.Length; at++)
        {
            if (_source[at + 1] is '{' or '%' or '#')
                return at;
        }
        return _source.Length;
    }

    /// <summary>Adds the text before a tag, without the white space that goes with the tag.</summary>
    private void AddData(int end, char sign, bool isStripped)
    {
        var text = _source[_at..end];
        var kept = text;
        if (sign == '-')
        {
            kept = WhiteSpace.TrimEnd(text);
        }
        else if (sign != '+' && isStripped)
        {
            var start = text.LastIndexOf('\n') + 1;
            if ((start > 0 || _startsLine) && text.AsSpan(start).ToString().All(WhiteSpace.Is))
                kept = text[..start];
        }
        if (kept.Length > 0)
            Add(TokenKind.Data, kept);
        Step(text.Length);
    }

    /// <summary>Goes over some characters.</summary>
    private void Step(int count)
    {
        _line += _source.AsSpan(_at, count).Count('\n');
        _at += count;
        if (count > 0)
            _startsLine = _source[_at - 1] == '\n';
    }

    private void ReadRaw()
    {
        var line = _line;
        var end = RawEnd().Match(_source, _at);
        if (!end.Success && _at < _source.Length)
            throw new TemplateException("has a raw block that doesn't end", line);
        // As in Jinja one that begins at the very end needs no end.
        if (!end.Success)
            return;
        AddData(end.Index, end.Groups[1].Value is [var sign] ? sign : '\0', isStripped: true);
        Step(end.Length);
    }

    private void ReadComment()
    {
        var end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0 && _at == _source.Length)
            return;
        if (end < 0)
            throw new TemplateException("has a comment that doesn't end", _line);
        if (end > _at && _source[end - 1] is '+' or '-')
            end--;
        Step(end - _at);
        Step(CommentEnd().Match(_source, _at).Length);
    }

    private void ReadTag(bool isOutput)
    {
        var line = _line;
        Add(isOutput ? TokenKind.OutputBegin : TokenKind.BlockBegin, isOutput ? "{{" : "{%");
        _closing.Clear();
        while (_at < _source.Length)
        {
            // Within brackets }} closes those.
            if (_closing.Count == 0 && (isOutput ? OutputEnd() : BlockEnd()).Match(_source, _at) is { Success: true } end)
            {
                Add(isOutput ? TokenKind.OutputEnd : TokenKind.BlockEnd, isOutput ? "}}" : "%}");
                Step(end.Length);
                return;
            }
            ReadToken();
        }
        throw new TemplateException($"has a tag that doesn't end with {(isOutput ? "}}" : "%}")}", line);
    }

    private void ReadToken()
    {
        var character = _source[_at];
        if (WhiteSpace.Is(character))
            Step(1);
        else if (char.IsAsciiDigit(character))
            ReadNumber();
        else if (Characters.IsNamePart(CodePoints.At(_source, _at)))
            ReadName();
        else if (character is '"' or '\'')
            ReadText(character);
        else
            ReadOperator();
    }

    private void ReadNumber()
    {
        var match = Float().Match(_source, _at);
        var isFloat = match.Success;
        match = isFloat ? match : Integer().Match(_source, _at);
        object? value = isFloat ? Numbers.ParseFloat(match.Value) : Numbers.Parse(match.Value, 0);
        Add(TokenKind.Literal, match.Value, value ?? throw new TemplateException("has a number that is too large", _line));
        Step(match.Length);
    }

    private void ReadName()
    {
        var end = _at;
        while (end < _source.Length && Characters.IsNamePart(CodePoints.At(_source, end)))
            end += CodePoints.Width(_source, end);
        if (!Characters.IsNameStart(CodePoints.At(_source, _at)))
            throw new TemplateException($"has the name '{_source[_at..end]}', which isn't one", _line);
        Add(TokenKind.Name, _source[_at..end]);
        Step(end - _at);
    }

    private void ReadText(char quote)
    {
        var end = _at + 1;
        while (end < _source.Length && _source[end] != quote)
            end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length)
            throw new TemplateException("has a text in quotes that doesn't end", _line);
        Add(TokenKind.Literal, _source[_at..(end + 1)], TextLiteral.Read(_source[(_at + 1)..end], _line));
        Step(end + 1 - _at);
    }

    private void ReadOperator()
    {
        var found = Array.Find(Operators, text => string.CompareOrdinal(_source, _at, text, 0, text.Length) == 0)
            ?? throw new TemplateException($"has the character '{_source.AsSpan(_at, CodePoints.Width(_source, _at))}', which means nothing there", _line);
        if (found is "(" or "[" or "{")
            _closing.Push(found == "(" ? ")" : found == "[" ? "]" : "}");
        else if (found is ")" or "]" or "}" && (!_closing.TryPop(out var expected) || expected != found))
            throw new TemplateException(expected is null ? $"has '{found}' without its opening bracket" : $"has '{found}' where '{expected}' is needed", _line);
        Add(TokenKind.Operator, found);
        Step(found.Length);
    }

    // White space as Python's: .NET's \s lacks the separators of ASCII.
    private const string Space = @"[\s\x1c-\x1f]*";

    [GeneratedRegex(@"\G\{%(?:-|\+|)" + Space + "raw" + Space + @"(?:-%\}" + Space + @"|%\})")]
    private static partial Regex RawBegin();

    [GeneratedRegex(@"\{%(-|\+|)" + Space + "endraw" + Space + @"(?:\+%\}|-%\}" + Space + @"|%\}\n?)")]
    private static partial Regex RawEnd();

    [GeneratedRegex(@"\G(?:\+\#\}|-\#\}" + Space + @"|\#\}\n?)")]
    private static partial Regex CommentEnd();

    [GeneratedRegex(@"\G(?:\+%\}|-%\}" + Space + @"|%\}\n?)")]
    private static partial Regex BlockEnd();

    [GeneratedRegex(@"\G(?:-\}\}" + Space + @"|\}\})")]
    private static partial Regex OutputEnd();

    [GeneratedRegex(@"\G(?<!\.)(?:[0-9]+_)*[0-9]+(?:(?:\.(?:[0-9]+_)*[0-9]+)?[eE][+\-]?(?:[0-9]+_)*[0-9]+|\.(?:[0-9]+_)*[0-9]+)")]
    private static partial Regex Float();

    [GeneratedRegex(@"\G(?:0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?[0-9])*|0(?:_?0)*)")]
    private static partial Regex Integer();
}
