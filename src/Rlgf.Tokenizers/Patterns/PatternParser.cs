namespace Rlgf.Tokenizers.Patterns;

/// <summary>
/// Reads a regular expression in the syntax that Hugging Face's tokenizers use: that of Oniguruma 6.9.10 by default (ONIG_SYNTAX_ONIGURUMA, no options).
/// What Oniguruma refuses is refused, and what can't be said to .NET.
/// </summary>
internal sealed partial class PatternParser
{
    /// <summary>Oniguruma's own limit.</summary>
    private const int MostRepeats = 100_000;

    private const int DeepestGroup = 200;

    private readonly PatternCursor _cursor;
    private readonly EscapeReader _escapes;
    private readonly CharacterClassReader _classes;
    private readonly List<(string Name, int Number)> _names = [];
    private int _groups;
    private int _depth;
    private (int Group, int Position)? _highestNumber;
    private PatternOptions _options;

    private PatternParser(string pattern)
    {
        _cursor = new PatternCursor(pattern);
        _escapes = new EscapeReader(_cursor);
        _classes = new CharacterClassReader(_cursor, _escapes);
    }

    /// <summary>Reads a whole expression.</summary>
    /// <exception cref="PatternException">It can't be used.</exception>
    public static PatternNode Parse(string pattern)
    {
        var parser = new PatternParser(pattern);
        var whole = parser.Alternatives();
        if (!parser._cursor.AtEnd)
            throw parser._cursor.Error("a closing parenthesis that opens nowhere", parser._cursor.Position);
        if (parser._highestNumber is { } highest)
        {
            if (parser._names.Count > 0)
                throw parser._cursor.Error("a reference by number though there are named groups", highest.Position);
            if (highest.Group > parser._groups)
                throw parser._cursor.Error($"a reference to group {highest.Group}, which does not exist", highest.Position);
        }
        return whole;
    }

    /// <summary>Reads up to the parenthesis that closes, or the end; options that are switched in it end with it.</summary>
    private PatternNode Alternatives()
    {
        if (++_depth > DeepestGroup)
            throw _cursor.Error($"groups nested deeper than {DeepestGroup}");
        var options = _options;
        var branches = new List<PatternNode> { Branch() };
        while (_cursor.TryTake('|'))
            branches.Add(Branch());
        _options = options;
        _depth--;
        return PatternNode.Alternation(branches);
    }

    private PatternNode Branch()
    {
        var parts = new List<PatternNode>();
        for (SkipWhatMeansNothing(); !_cursor.AtEnd && _cursor.Peek is not ('|' or ')'); SkipWhatMeansNothing())
            parts.Add(Repeated());
        return PatternNode.Sequence(parts);
    }

    /// <summary>Comments, and in extended mode white space and the rest of a line from <c>#</c> on.</summary>
    private void SkipWhatMeansNothing()
    {
        while (true)
        {
            if (_options.Extended && _cursor.Peek is (' ' or '\t' or '\n' or '\r' or '\f'))
                _cursor.Position++;
            else if (_options.Extended && _cursor.TryTake('#'))
            {
                while (!_cursor.AtEnd && !_cursor.TryTake('\n'))
                    _cursor.Position++;
            }
            else if (_cursor.TryTake("(?#"))
            {
                const string NoEnd = "a comment without an end";
                for (var code = _cursor.Take(NoEnd); code != ')'; code = _cursor.Take(NoEnd))
                {
                    if (code == '\\' && !_cursor.AtEnd)
                        _cursor.Position++;
                }
            }
            else
                return;
        }
    }

    /// <summary>One part with the quantifiers after it.</summary>
    private PatternNode Repeated()
    {
        var isGroup = _cursor.Peek == '(';
        var node = Single();
        PatternNode? before = null;
        while (true)
        {
            SkipWhatMeansNothing();
            var at = _cursor.Position;
            if (TryQuantifier() is not var (least, most, isGreedy, isPossessive))
                return before is null ? node : PatternNode.Sequence(before, node);
            if (CannotRepeat(node))
                throw _cursor.Error("a quantifier of what takes no character", at);
            if ((least, most) == (1, 1))
            {
                isGroup = false;
                continue;
            }
            // Of a text only the last character is repeated. (A group is meant whole, but for Oniguruma not behind a {1}.)
            if (!isGroup && node is LiteralNode { Codes.Count: > 1 } text)
            {
                before = new LiteralNode([.. text.Codes.SkipLast(1)], text.IgnoreCase);
                node = new LiteralNode([text.Codes[^1]], text.IgnoreCase);
            }
            isGroup = false;
            node = new RepeatNode(node, least, most, isGreedy);
            if (isPossessive)
                node = new AtomicNode(node);
        }
    }

    private static bool CannotRepeat(PatternNode node) =>
        node is AnchorNode or LookNode or KeepNode || (node is AlternationNode alternation && alternation.Parts.Any(CannotRepeat));

    private (int Least, int? Most, bool IsGreedy, bool IsPossessive)? TryQuantifier()
    {
        if (_cursor.Peek == '{')
            return TryInterval();
        (int, int?)? times = _cursor.Peek switch { '*' => (0, null), '+' => (1, null), '?' => (0, 1), _ => null };
        if (times is not var (least, most))
            return null;
        _cursor.Position++;
        if (_cursor.TryTake('?'))
            return (least, most, false, false);
        return (least, most, true, _cursor.TryTake('+'));
    }

    /// <summary><c>{n}</c>, <c>{n,}</c>, <c>{,m}</c>, <c>{n,m}</c>; braces with anything else stand for themselves.</summary>
    private (int Least, int? Most, bool IsGreedy, bool IsPossessive)? TryInterval()
    {
        var start = _cursor.Position;
        _cursor.Position++;
        var low = _cursor.Number(10);
        var hasComma = _cursor.TryTake(',');
        var high = hasComma ? _cursor.Number(10) : low;
        if ((low ?? high) is null || !_cursor.TryTake('}'))
        {
            _cursor.Position = start;
            return null;
        }
        if (Math.Max(low ?? 0, high ?? 0) > MostRepeats)
            throw _cursor.Error($"a repetition of more than {MostRepeats}", start);
        var (least, most) = ((int)(low ?? 0), (int?)high);
        // {5,2} is {2,5} that gives nothing back; {3}? is a {3} that may be left out.
        if (least > most)
            return (most.Value, least, true, true);
        return (least, most, !(hasComma && _cursor.TryTake('?')), false);
    }

    private PatternNode Single()
    {
        var start = _cursor.Position;
        if (TryQuantifier() is not null)
            throw _cursor.Error("a quantifier of nothing", start);
        var code = _cursor.Take("");
        switch (code)
        {
            case '(':
                return Group(start);
            case '[':
                return Class();
            case '\\':
                return Escape(start);
            case '.':
                return new SetNode(_options.DotMatchesNewline ? CodePointSet.All : CodePointSet.Of('\n').Complement());
            case '^':
                return new AnchorNode(AnchorKind.LineStart);
            case '$':
                return new AnchorNode(AnchorKind.LineEnd);
            default:
                return Literal(code);
        }
    }

    private LiteralNode Literal(int code) => new([code], _options.IgnoreCase);

    private PatternNode Class()
    {
        var (set, isNegative) = _classes.Read(_options);
        if (_options.IgnoreCase)
            return CaseVariants.OfClass(set, isNegative);
        return new SetNode(isNegative ? set.Complement() : set);
    }

    private PatternNode Escape(int start)
    {
        if (_cursor.AtEnd)
            throw _cursor.Error("a backslash at its end", start);
        if (TryAnchor() is { } anchor)
            return anchor;
        if (TryWord() is { } word)
            return word;
        if (TryReference(start) is { } reference)
            return reference;
        if (_escapes.TrySet(_options) is { } set)
            return new SetNode(set);
        if (_escapes.TryCode() is { } code)
            return Literal(code);
        if (_escapes.TryByte(octal: true) is { } value)
            return Literal(_escapes.Character(value, octal: true, start));
        return Literal(_escapes.Control());
    }

    private PatternNode? TryAnchor()
    {
        AnchorKind? kind = _cursor.Peek switch
        {
            'A' => AnchorKind.TextStart,
            'z' => AnchorKind.TextEnd,
            'Z' => AnchorKind.TextEndOrLastNewline,
            'G' => AnchorKind.SearchStart,
            'b' => AnchorKind.WordBoundary,
            'B' => AnchorKind.NoWordBoundary,
            'y' => AnchorKind.GraphemeBoundary,
            'Y' => AnchorKind.NoGraphemeBoundary,
            _ => null,
        };
        if (kind is not null)
        {
            _cursor.Position++;
            return new AnchorNode(kind.Value, _options.WordsAreAscii);
        }
        PatternNode? other = _cursor.Peek switch
        {
            'K' => new KeepNode(_cursor.Position + 1),
            'R' => new ConditionNode(new LiteralNode(['\r', '\n'], IgnoreCase: false), [], PatternNode.Nothing, new SetNode(LineBreaks)),
            'N' => new SetNode(CodePointSet.Of('\n').Complement()),
            'O' => PatternNode.Any,
            'X' => new GraphemeNode(),
            _ => null,
        };
        if (other is not null)
            _cursor.Position++;
        return other;
    }

    private static CodePointSet LineBreaks { get; } = CodePointSet.Of('\n', '\v', '\f', '\r', 0x85, 0x2028, 0x2029);

    /// <summary><c>\w</c>, <c>\W</c> and <c>\p{Word}</c>, which take more here than in a class.</summary>
    private SetNode? TryWord()
    {
        var start = _cursor.Position;
        bool? isNegative = null;
        if (_cursor.Peek is 'w' or 'W')
            isNegative = _cursor.Take("") == 'W';
        else if (_escapes.TryProperty(_options) is { Name: "word" } property)
            isNegative = property.IsNegative;
        if (isNegative is null)
            _cursor.Position = start;
        return isNegative switch { null => null, true => new SetNode(_options.WordOutsideClass.Complement()), _ => new SetNode(_options.WordOutsideClass) };
    }
}
