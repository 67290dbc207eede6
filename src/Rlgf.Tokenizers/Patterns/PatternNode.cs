namespace Rlgf.Tokenizers.Patterns;

/// <summary>A part of a regular expression.</summary>
internal abstract record PatternNode
{
    /// <summary>Matches the empty text.</summary>
    public static readonly PatternNode Nothing = new SequenceNode([]);

    /// <summary>Matches nowhere.</summary>
    public static readonly PatternNode Fail = new SetNode(CodePointSet.Empty);

    /// <summary>Any one character.</summary>
    public static readonly PatternNode Any = new SetNode(CodePointSet.All);

    /// <summary>The parts of this one.</summary>
    public virtual IEnumerable<PatternNode> Children => [];

    /// <summary>This one and all parts of it, at any depth.</summary>
    public IEnumerable<PatternNode> All => Children.SelectMany(child => child.All).Prepend(this);

    /// <summary>Parts in a row; those of a sequence within it become its own, and texts that follow each other one text.</summary>
    public static PatternNode Sequence(params IEnumerable<PatternNode> parts)
    {
        var flat = new List<PatternNode>();
        foreach (var part in parts.SelectMany(part => part is SequenceNode inner ? inner.Parts : [part]))
        {
            if (part is LiteralNode next && flat is [.., LiteralNode last] && last.IgnoreCase == next.IgnoreCase)
                flat[^1] = new LiteralNode([.. last.Codes, .. next.Codes], last.IgnoreCase);
            else
                flat.Add(part);
        }
        return flat is [var only] ? only : new SequenceNode(flat);
    }

    /// <summary>The first of the parts that matches.</summary>
    public static PatternNode Alternation(params IReadOnlyList<PatternNode> parts) => parts is [var only] ? only : new AlternationNode(parts);

    /// <summary>A part as often as it matches, or not at all.</summary>
    public static PatternNode Many(PatternNode body) => new RepeatNode(body, 0, null, IsGreedy: true);

    public static PatternNode Optional(PatternNode body) => new RepeatNode(body, 0, 1, IsGreedy: true);

    public static PatternNode Ahead(PatternNode body, bool isNegative = false) => new LookNode(body, IsBehind: false, isNegative);

    public static PatternNode Behind(PatternNode body, bool isNegative = false) => new LookNode(body, IsBehind: true, isNegative);
}

/// <summary>A text.</summary>
internal sealed record LiteralNode(IReadOnlyList<int> Codes, bool IgnoreCase) : PatternNode;

/// <summary>One character of a set.</summary>
internal sealed record SetNode(CodePointSet Set) : PatternNode;

/// <summary>One after the other.</summary>
internal sealed record SequenceNode(IReadOnlyList<PatternNode> Parts) : PatternNode
{
    public override IEnumerable<PatternNode> Children => Parts;
}

/// <summary>The first that matches, the others where what follows does not match then.</summary>
internal sealed record AlternationNode(IReadOnlyList<PatternNode> Parts) : PatternNode
{
    public override IEnumerable<PatternNode> Children => Parts;
}

/// <summary>One part several times.</summary>
/// <param name="Body">What.</param>
/// <param name="Least">How often at least.</param>
/// <param name="Most">How often at most; null: without end.</param>
/// <param name="IsGreedy">Whether more is tried before less.</param>
internal sealed record RepeatNode(PatternNode Body, int Least, int? Most, bool IsGreedy) : PatternNode
{
    public override IEnumerable<PatternNode> Children => [Body];
}

/// <summary>A group that is referred to by its number, counted from 1.</summary>
internal sealed record CaptureNode(PatternNode Body, int Number, bool IsNamed) : PatternNode
{
    public override IEnumerable<PatternNode> Children => [Body];
}

/// <summary>A part with options of its own: texts in it are not joined to those around it.</summary>
internal sealed record ScopeNode(PatternNode Body) : PatternNode
{
    public override IEnumerable<PatternNode> Children => [Body];
}

/// <summary>A part that is not tried in another way once it matched.</summary>
internal sealed record AtomicNode(PatternNode Body) : PatternNode
{
    public override IEnumerable<PatternNode> Children => [Body];
}

/// <summary>Look-ahead or look-behind.</summary>
internal sealed record LookNode(PatternNode Body, bool IsBehind, bool IsNegative, int Position = 0) : PatternNode
{
    public override IEnumerable<PatternNode> Children => [Body];
}

/// <summary>The same text again as one of these groups took; the first that took one and is met again.</summary>
internal sealed record ReferenceNode(IReadOnlyList<int> Groups) : PatternNode;

/// <summary>One of two parts, depending on whether a test matches (and is then passed), or one of several groups did.</summary>
internal sealed record ConditionNode(PatternNode? Test, IReadOnlyList<int> Groups, PatternNode Then, PatternNode Else) : PatternNode
{
    public override IEnumerable<PatternNode> Children => Test is null ? [Then, Else] : [Test, Then, Else];
}

/// <summary>The longest text in which a part begins nowhere, or a shorter one.</summary>
internal sealed record AbsentNode(PatternNode Body, int Position) : PatternNode
{
    public override IEnumerable<PatternNode> Children => [Body];
}

/// <summary>An extended grapheme cluster.</summary>
internal sealed record GraphemeNode : PatternNode;

/// <summary>The match begins here, whatever came before.</summary>
internal sealed record KeepNode(int Position) : PatternNode;

/// <summary>A place between characters.</summary>
internal sealed record AnchorNode(AnchorKind Kind, bool AsciiWord = false) : PatternNode;

internal enum AnchorKind
{
    TextStart,
    TextEnd,

    /// <summary>The end, or before a newline at the end.</summary>
    TextEndOrLastNewline,

    LineStart,
    LineEnd,

    /// <summary>Where the search began.</summary>
    SearchStart,

    WordBoundary,
    NoWordBoundary,
    GraphemeBoundary,
    NoGraphemeBoundary,
}
