namespace Rlgf.Tokenizers.Patterns;

/// <summary>Reads a character class in brackets: ranges, classes within it, intersections, POSIX brackets.</summary>
internal sealed class CharacterClassReader(PatternCursor cursor, EscapeReader escapes)
{
    private enum State
    {
        /// <summary>Nothing yet, here or since an <c>&amp;&amp;</c>.</summary>
        Start,

        /// <summary>One character or set, which a range may begin with.</summary>
        Value,

        /// <summary>A character and a hyphen.</summary>
        Range,

        /// <summary>A whole range or class.</summary>
        Complete,
    }

    private const int DeepestClass = 100;

    private int _depth;

    /// <summary>Reads one; the cursor stands behind its opening bracket.</summary>
    /// <returns>The characters, and whether the class is all others.</returns>
    public (CodePointSet Set, bool IsNegative) Read(PatternOptions options)
    {
        var start = cursor.Position - 1;
        if (++_depth > DeepestClass)
            throw cursor.Error($"classes nested deeper than {DeepestClass}", start);
        var isNegative = cursor.TryTake('^');
        var content = new Content(cursor, start);
        if (cursor.Peek == ']')
        {
            cursor.Position++;
            if (!cursor.HasLater(']'))
                throw cursor.Error("an empty character class", start);
            content.Add(']', isByte: true);
        }
        while (!cursor.TryTake(']'))
            ReadPart(content, options, start);
        _depth--;
        return (content.Finish(), isNegative);
    }

    private void ReadPart(Content content, PatternOptions options, int start)
    {
        var at = cursor.Position;
        var code = cursor.Take("a character class that lacks its closing bracket");
        switch (code)
        {
            case '-':
                content.Hyphen();
                break;
            case '&' when cursor.TryTake('&'):
                content.Intersect();
                break;
            case '[' when IsPosixBracket():
                content.Add(ReadPosixBracket(options, at), at);
                break;
            case '[':
                content.BeginClass();
                var (inner, isNegative) = Read(options);
                content.AddClass(isNegative ? inner.Complement() : inner);
                break;
            case '\\':
                ReadEscape(content, options, at);
                break;
            default:
                content.Add(code, isByte: code < 0x80);
                break;
        }
    }

    private void ReadEscape(Content content, PatternOptions options, int at)
    {
        if (cursor.AtEnd)
            throw cursor.Error("a backslash at its end", at);
        if (escapes.TrySet(options) is { } set)
            content.Add(set, at);
        else if (content.State == State.Range && TryCodeBeyondUnicode())
            content.Add(CodePointSet.End - 1, isByte: false); // Oniguruma lets a range end there.
        else if (escapes.TryCode() is { } code)
            content.Add(code, isByte: code < 0x80);
        else if (escapes.TryByte(octal: true) is { } value)
        {
            // A byte that begins no character is one of the class without ever being met, but a range may begin with it.
            if (value is >= 0x80 and (< 0xC0 or >= 0xF8))
                content.Add(value, isByte: true);
            else if (escapes.Character(value, octal: true, at) is var character)
                content.Add(character, isByte: character < 0x80);
        }
        else
        {
            var control = escapes.Control();
            content.Add(control, isByte: control < 0x80);
        }
    }

    private bool TryCodeBeyondUnicode()
    {
        var start = cursor.Position;
        if (cursor.TryTake("x{") && cursor.Number(16, 8) is >= CodePointSet.End and <= int.MaxValue && cursor.TryTake('}'))
            return true;
        cursor.Position = start;
        return false;
    }

    /// <summary>Whether <c>:name:]</c> comes, be there such a name or not.</summary>
    private bool IsPosixBracket()
    {
        if (cursor.Peek != ':')
            return false;
        var length = 1;
        if (cursor.PeekAt(length) == '^')
            length++;
        while (UnicodeProperties.Find("alphabetic")!.Contains(Math.Max(0, cursor.PeekAt(length))))
            length++;
        return length > 1 && cursor.PeekAt(length) == ':' && cursor.PeekAt(length + 1) == ']';
    }

    private CodePointSet ReadPosixBracket(PatternOptions options, int at)
    {
        cursor.Position++;
        var isNegative = cursor.TryTake('^');
        var start = cursor.Position;
        while (cursor.Peek != ':')
            cursor.Position++;
        var name = cursor.Since(start);
        cursor.Position += 2;
        if (!UnicodeProperties.PosixBrackets.Contains(name))
            throw cursor.Error($"the POSIX bracket [:{name}:], which does not exist", at);
        return isNegative ? options.Posix(name).Complement() : options.Posix(name);
    }

    /// <summary>What was read of a class.</summary>
    private sealed class Content(PatternCursor cursor, int start)
    {
        private CodePointSet _set = CodePointSet.Empty;
        private CodePointSet? _before;

        // The character that a range may begin with; null where a set was last.
        private (int Code, bool IsByte)? _last;

        public State State { get; private set; }

        public void Add(int code, bool isByte)
        {
            if (State == State.Range)
            {
                var (first, firstIsByte) = _last!.Value;
                if (first > code)
                    throw cursor.Error("a range that ends before it begins");
                // Bytes beyond ASCII are never met by themselves.
                _set = _set.Union(CodePointSet.Range(first, firstIsByte && isByte ? Math.Min(code, 0x7F) : code));
                State = State.Complete;
                return;
            }
            Flush();
            (_last, State) = ((code, isByte), State.Value);
        }

        public void Add(CodePointSet set, int at)
        {
            if (State == State.Range)
                throw cursor.Error("a set of characters at the end of a range", at);
            Flush();
            _set = _set.Union(set);
            (_last, State) = (null, State.Value);
        }

        public void Hyphen()
        {
            var isLast = cursor.Peek == ']' || (cursor.Peek == '&' && cursor.PeekAt(1) == '&');
            if (State != State.Value || isLast)
                Add('-', isByte: true);
            else if (_last is null)
                throw cursor.Error("a range that begins with a set of characters");
            else
                State = State.Range;
        }

        public void BeginClass()
        {
            Flush();
            // A range that was begun is forgotten, as Oniguruma does.
            (_last, State) = (null, State.Complete);
        }

        public void AddClass(CodePointSet set) => _set = _set.Union(set);

        public void Intersect()
        {
            Flush();
            _before = _before is null ? _set : _before.Intersect(_set);
            (_set, _last, State) = (CodePointSet.Empty, null, State.Start);
        }

        public CodePointSet Finish()
        {
            if (State == State.Range)
                throw cursor.Error("a range without an end", start);
            Flush();
            return _before is null ? _set : _before.Intersect(_set);
        }

        private void Flush()
        {
            if (State == State.Value && _last is var (code, isByte) && !(isByte && code >= 0x80))
                _set = _set.Union(CodePointSet.Of(code));
        }
    }
}
