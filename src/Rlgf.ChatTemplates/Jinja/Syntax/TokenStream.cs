namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The tokens of a template while it is parsed, and what the parser has to remember of what it has seen.</summary>
internal sealed class TokenStream(IReadOnlyList<Token> tokens)
{
    private readonly List<(string Message, int Line)> _unknown = [];
    private List<(string Message, int Line)> _maybeUnknown = [];
    private int _at;

    /// <summary>The part of the template that is being parsed.</summary>
    public Scope Scope { get; set; } = new(null);

    /// <summary>The next token.</summary>
    public Token Current => tokens[_at];

    /// <summary>The one after the next.</summary>
    public Token Following => tokens[Math.Min(_at + 1, tokens.Count - 1)];

    /// <summary>The line of the next token.</summary>
    public int Line => Current.Line;

    /// <summary>How many filters and tests are noted.</summary>
    public int Mark => _maybeUnknown.Count;

    /// <summary>Takes the next token.</summary>
    public Token Next() => tokens[_at < tokens.Count - 1 ? _at++ : _at];

    /// <summary>Whether a keyword or a name comes next.</summary>
    public bool IsName(string text) => Current.Kind == TokenKind.Name && Current.Text == text;

    /// <summary>Whether an operator comes next.</summary>
    public bool IsOperator(string text) => Current.Kind == TokenKind.Operator && Current.Text == text;

    /// <summary>Takes a keyword if it comes next.</summary>
    public bool TakeName(string text) => IsName(text) && Next() is not null;

    /// <summary>Takes an operator if it comes next.</summary>
    public bool TakeOperator(string text) => IsOperator(text) && Next() is not null;

    /// <summary>Takes the keyword that must come next.</summary>
    public void RequireKeyword(string text)
    {
        if (!TakeName(text))
            throw Error($"needs '{text}'");
    }

    /// <summary>Takes the name that must come next.</summary>
    public string RequireName() => Current.Kind == TokenKind.Name ? Next().Text : throw Error("needs a name");

    /// <summary>Takes the operator that must come next.</summary>
    public void RequireOperator(string text)
    {
        if (!TakeOperator(text))
            throw Error($"needs '{text}'");
    }

    /// <summary>Takes the end of a tag, which must come next.</summary>
    public void RequireEnd(TokenKind end)
    {
        if (Current.Kind != end)
            throw Error("has a tag that doesn't end");
        Next();
    }

    /// <summary>The error to throw about the next token.</summary>
    public TemplateException Error(string what)
    {
        var isEnd = Current.Kind is TokenKind.OutputEnd or TokenKind.BlockEnd or TokenKind.End;
        return new TemplateException($"{what}{(isEnd ? " before the end of a tag" : $" at '{Current.Text}'")}", Line);
    }

    /// <summary>Notes a filter or test that Jinja doesn't have: an error, unless it stands where it may never be used.</summary>
    public void NoteUnknown(string message, int line) => _maybeUnknown.Add((message, line));

    /// <summary>Forgets what was noted since a mark: it stands in a condition or depends on one.</summary>
    public void ForgiveUnknown(int mark) => _maybeUnknown.RemoveRange(mark, _maybeUnknown.Count - mark);

    /// <summary>Parses a part of a template that has names of its own. Whether it stands under a condition doesn't count within.</summary>
    public T Within<T>(Scope scope, Func<T> parse)
    {
        var (around, noted) = (Scope, _maybeUnknown);
        (Scope, _maybeUnknown) = (scope, []);
        var result = parse();
        _unknown.AddRange(_maybeUnknown);
        (Scope, _maybeUnknown) = (around, noted);
        return result;
    }

    /// <summary>Refuses a template that has noted filters or tests.</summary>
    public void RequireKnown()
    {
        foreach (var (message, line) in _unknown.OrderBy(unknown => unknown.Line))
            throw new TemplateException(message, line);
    }
}
