namespace Rlgf.Tokenizers.Patterns;

/// <content>What stands in parentheses, and what refers to groups.</content>
internal sealed partial class PatternParser
{
    private PatternNode Group(int start)
    {
        if (_cursor.TryTake("?<="))
            return new LookNode(Body(start), IsBehind: true, IsNegative: false, start + 1);
        if (_cursor.TryTake("?<!"))
            return new LookNode(Body(start), IsBehind: true, IsNegative: true, start + 1);
        if (_cursor.TryTake("?<"))
            return NamedGroup('>', start);
        if (_cursor.TryTake("?'"))
            return NamedGroup('\'', start);
        if (_cursor.TryTake("?:"))
            return Body(start);
        if (_cursor.TryTake("?="))
            return new LookNode(Body(start), IsBehind: false, IsNegative: false, start + 1);
        if (_cursor.TryTake("?!"))
            return new LookNode(Body(start), IsBehind: false, IsNegative: true, start + 1);
        if (_cursor.TryTake("?>"))
            return new AtomicNode(Body(start));
        if (_cursor.TryTake("?~"))
            return _cursor.Peek == '|'
                ? throw _cursor.Error("(?~|…), a limit to where may be read, which isn't supported", start)
                : new AbsentNode(Body(start), start + 1);
        if (_cursor.TryTake("?("))
            return Condition(start);
        if (_cursor.Peek == '*' || (_cursor.Peek == '?' && _cursor.PeekAt(1) == '{'))
            throw _cursor.Error("a callout, which isn't supported", start);
        if (_cursor.TryTake('?'))
            return Options(start);
        var number = ++_groups;
        return new CaptureNode(Body(start), number, IsNamed: false);
    }

    private PatternNode Body(int start)
    {
        var body = Alternatives();
        return _cursor.TryTake(')') ? body : throw _cursor.Error("a parenthesis that nothing closes", start);
    }

    private CaptureNode NamedGroup(int end, int start)
    {
        var name = Name(end, start);
        if (name[0] is '+' or '-' || char.IsAsciiDigit(name[0]))
            throw _cursor.Error($"a group's name that is a number, \"{name}\"", start);
        var number = ++_groups;
        _names.Add((name, number));
        return new CaptureNode(Body(start), number, IsNamed: true);
    }

    /// <summary>Reads a group's name or number up to what ends it.</summary>
    private string Name(int end, int start)
    {
        var from = _cursor.Position;
        while (_cursor.Peek is not -1 && _cursor.Peek != end && _cursor.Peek != ')')
            _cursor.Position++;
        var name = _cursor.Since(from);
        if (name.Length == 0 || _cursor.Peek != end)
            throw _cursor.Error("a group's name without an end", start);
        _cursor.Position++;
        var word = UnicodeProperties.WordOutsideClass;
        if (name.EnumerateRunes().Skip(name[0] is '+' or '-' ? 1 : 0).Any(rune => !word.Contains(rune.Value)))
        {
            throw _cursor.Error(
                name.IndexOfAny(['+', '-'], 1) > 0 ? "a reference to a level of recursion, which isn't supported" : $"a group's name that isn't one, \"{name}\"", start);
        }
        return name;
    }

    /// <summary>The groups that a name or a number refers to, the one that was last first.</summary>
    private List<int> GroupsOf(string name, int start)
    {
        if (name[0] is not ('+' or '-') && !char.IsAsciiDigit(name[0]))
        {
            List<int> named = [.. _names.Where(entry => entry.Name == name).Select(entry => entry.Number).Reverse()];
            return named.Count > 0 ? named : throw _cursor.Error($"a reference to the group \"{name}\", which does not exist before it", start);
        }
        if (!int.TryParse(name.AsSpan(name[0] is '+' or '-' ? 1 : 0), out var number) || number > MostRepeats)
            throw _cursor.Error($"a group's number that isn't one, \"{name}\"", start);
        var group = name[0] switch { '-' => _groups + 1 - number, '+' => _groups + number, _ => number };
        if (group < 1 || (number == 0 && name[0] is '+' or '-'))
            throw _cursor.Error($"a reference to group {name}, which does not exist", start);
        return [Numbered(group, start)];
    }

    private int Numbered(int group, int start)
    {
        if (_highestNumber is null || group > _highestNumber.Value.Group)
            _highestNumber = (group, start);
        return group;
    }

    /// <summary><c>\1</c> and <c>\k&lt;name&gt;</c>; a number of more than one digit that is no group's is a character in octal digits.</summary>
    private ReferenceNode? TryReference(int start)
    {
        if (_cursor.Peek == 'g' && _cursor.PeekAt(1) is '<' or '\'')
            throw _cursor.Error("a call of a group, \\g, which isn't supported", start);
        if (_cursor.Peek is >= '1' and <= '9')
        {
            var before = _cursor.Position;
            var number = _cursor.Number(10);
            if (number <= 9 || number <= _groups)
                return Reference([Numbered((int)number!.Value, start)], start);
            _cursor.Position = before;
            return null;
        }
        if (_cursor.Peek != 'k' || _cursor.PeekAt(1) is not ('<' or '\''))
            return null;
        _cursor.Position += 2;
        return Reference(GroupsOf(Name(_cursor.PeekAt(-1) == '<' ? '>' : '\'', start), start), start);
    }

    private ReferenceNode Reference(List<int> groups, int start) =>
        _options.IgnoreCase ? throw _cursor.Error("a reference to a group where case is ignored, which isn't supported", start) : new ReferenceNode(groups);

    /// <summary><c>(?(test)then|else)</c>; the test is a group, or an expression that is passed where it matches.</summary>
    private ConditionNode Condition(int start)
    {
        PatternNode? test = null;
        List<int> groups = [];
        if (TryGroupTest(start) is { } tested)
            groups = tested;
        else
            test = Body(start);
        if (_cursor.TryTake(')'))
        {
            return test is null
                ? new ConditionNode(null, groups, PatternNode.Nothing, PatternNode.Fail)
                : throw _cursor.Error("a condition without what depends on it", start);
        }
        if (_cursor.TryTake('|'))
            return new ConditionNode(test, groups, PatternNode.Nothing, Body(start));
        var parts = Body(start);
        return parts is AlternationNode alternation
            ? new ConditionNode(test, groups, alternation.Parts[0], PatternNode.Alternation([.. alternation.Parts.Skip(1)]))
            : new ConditionNode(test, groups, parts, PatternNode.Nothing);
    }

    private List<int>? TryGroupTest(int start)
    {
        var before = _cursor.Position;
        var end = _cursor.Peek switch { '<' => '>', '\'' => '\'', _ => ')' };
        if (end != ')')
        {
            _cursor.Position++;
            var groups = GroupsOf(Name(end, start), start);
            return _cursor.TryTake(')') ? groups : throw _cursor.Error("a condition that nothing closes", start);
        }
        if (_cursor.Peek is '+' or '-')
            _cursor.Position++;
        if (_cursor.Number(10) is not null && _cursor.TryTake(')'))
            return GroupsOf(_cursor.Since(before)[..^1], start);
        _cursor.Position = before;
        return null;
    }

    /// <summary><c>(?i-m:…)</c> and <c>(?i-m)</c>, which is about all up to the parenthesis that closes around it.</summary>
    private ScopeNode Options(int start)
    {
        var (options, isOn) = (_options, true);
        while (true)
        {
            var code = _cursor.Take("a parenthesis that nothing closes");
            switch (code)
            {
                case '-': isOn = false; break;
                case 'i': options = options with { IgnoreCase = isOn }; break;
                case 'm': options = options with { DotMatchesNewline = isOn }; break;
                case 'x': options = options with { Extended = isOn }; break;
                case 'W': options = options with { AsciiWord = isOn }; break;
                case 'D': options = options with { AsciiDigit = isOn }; break;
                case 'S': options = options with { AsciiSpace = isOn }; break;
                case 'P': options = options with { AsciiPosix = isOn }; break;
                case 'y' when isOn && _cursor.TryTake("{g}"): break;
                case 'y' when isOn && _cursor.TryTake("{w}"): throw _cursor.Error("the option y{w}, which isn't supported", start);
                case 'C' or 'I' or 'L' when isOn: throw _cursor.Error($"the option {(char)code}, which isn't supported", start);
                case ')' or ':':
                    var before = _options;
                    _options = options;
                    var body = code == ':' ? Body(start) : Alternatives();
                    _options = before;
                    return new ScopeNode(body);
                default:
                    throw _cursor.Error($"the option \"{char.ConvertFromUtf32(code)}\", which Oniguruma does not have", start);
            }
        }
    }
}
