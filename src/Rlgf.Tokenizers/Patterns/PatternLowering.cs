using static Rlgf.Tokenizers.Patterns.PatternNode;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>
/// Says an expression in the few parts that .NET's regular expressions have with the same meaning: sets of characters, sequences, alternations, repetitions,
/// atomic and captured groups, look-around, the text's start and end, references, tests of groups.
/// </summary>
internal sealed class PatternLowering
{
    /// <summary>Oniguruma's own limit.</summary>
    private const int LongestLookBehind = 65_535;

    private static readonly PatternNode Newline = new SetNode(CodePointSet.Of('\n'));
    private static readonly PatternNode Start = new AnchorNode(AnchorKind.TextStart);
    private static readonly PatternNode End = new AnchorNode(AnchorKind.TextEnd);

    private readonly bool _hasNames;
    private readonly IReadOnlySet<int> _referred;

    private PatternLowering(bool hasNames, IReadOnlySet<int> referred) => (_hasNames, _referred) = (hasNames, referred);

    /// <summary>Lowers a whole expression.</summary>
    /// <exception cref="PatternException">It has a part that can't be said.</exception>
    public static PatternNode Lower(PatternNode whole)
    {
        List<PatternNode> all = [.. whole.All];
        var referred = all.SelectMany(node => node switch { ReferenceNode reference => reference.Groups, ConditionNode condition => condition.Groups, _ => [] }).ToHashSet();
        foreach (var capture in all.OfType<CaptureNode>().Where(capture => referred.Contains(capture.Number)))
        {
            if (capture.Body.All.Any(node => node is ReferenceNode reference && reference.Groups.Contains(capture.Number)))
                throw new PatternException("a reference to a group within that group, which isn't supported", 0);
        }
        foreach (var node in all.Where(node => node is LookNode or AbsentNode))
        {
            if (node.All.OfType<KeepNode>().FirstOrDefault() is { } keep)
                throw new PatternException("\\K within look-around or an absent operator, which isn't supported", keep.Position);
        }
        return new PatternLowering(all.Any(node => node is CaptureNode { IsNamed: true }), referred).Lower(whole, isBehind: false);
    }

    private PatternNode Lower(PatternNode node, bool isBehind) => node switch
    {
        LiteralNode { IgnoreCase: true } text => CaseVariants.OfText(text.Codes, isBehind),
        LiteralNode text => Sequence(text.Codes.Select(code => new SetNode(CodePointSet.Of(code)))),
        SequenceNode sequence => Sequence(sequence.Parts.Select(part => Lower(part, isBehind))),
        AlternationNode alternation => Alternation([.. alternation.Parts.Select(part => Lower(part, isBehind))]),
        RepeatNode repeat => repeat with { Body = Lower(repeat.Body, isBehind) },
        AtomicNode atomic => new AtomicNode(Lower(atomic.Body, isBehind)),
        CaptureNode capture when _referred.Contains(capture.Number) => capture with { Body = Lower(capture.Body, isBehind) },
        CaptureNode capture => Lower(capture.Body, isBehind),
        ScopeNode scope => Lower(scope.Body, isBehind),
        LookNode { IsBehind: true } look => LookBehind(look),
        LookNode look => look with { Body = Lower(look.Body, isBehind) },
        ConditionNode condition => Condition(condition, isBehind),
        AbsentNode absent => Absent(absent),
        AnchorNode anchor => Anchor(anchor),
        GraphemeNode => GraphemeClusters.One,
        _ => node,
    };

    private static PatternNode Anchor(AnchorNode anchor)
    {
        var word = new SetNode(new PatternOptions { AsciiWord = anchor.AsciiWord }.WordOutsideClass);
        return anchor.Kind switch
        {
            AnchorKind.TextEndOrLastNewline => Alternation(End, Ahead(Sequence(Newline, End))),
            // Not at the very end, even where a newline is last.
            AnchorKind.LineStart => Alternation(Start, Sequence(Behind(Newline), Ahead(Any))),
            AnchorKind.LineEnd => Alternation(End, Ahead(Newline)),
            AnchorKind.WordBoundary => Alternation(
                Sequence(Behind(word), Ahead(word, isNegative: true)), Sequence(Behind(word, isNegative: true), Ahead(word))),
            AnchorKind.NoWordBoundary => Alternation(
                Sequence(Behind(word), Ahead(word)), Sequence(Behind(word, isNegative: true), Ahead(word, isNegative: true))),
            AnchorKind.GraphemeBoundary => Ahead(GraphemeClusters.Within, isNegative: true),
            AnchorKind.NoGraphemeBoundary => GraphemeClusters.Within,
            _ => anchor,
        };
    }

    /// <summary>Oniguruma passes the test for good where it matches; .NET's own conditions only look ahead.</summary>
    private PatternNode Condition(ConditionNode condition, bool isBehind)
    {
        var (then, otherwise) = (Lower(condition.Then, isBehind), Lower(condition.Else, isBehind));
        if (condition.Test is null)
            return condition with { Then = then, Else = otherwise };
        var test = Lower(condition.Test, isBehind);
        return Alternation(Sequence(new AtomicNode(test), then), Sequence(Ahead(test, isNegative: true), otherwise));
    }

    private PatternNode LookBehind(LookNode look)
    {
        if (IsRefusedBehind(look.Body, look.IsNegative))
            throw new PatternException("a look-behind with a part that Oniguruma does not allow there", look.Position);
        if (look.Body.All.Any(node => node is AbsentNode))
            throw new PatternException("an absent operator in a look-behind, which isn't supported", look.Position);
        var body = Lower(look.Body, isBehind: true);
        var (least, most) = PatternLength.Of(body);
        if (Math.Max(least, most ?? 0) > LongestLookBehind)
            throw new PatternException($"a look-behind of more than {LongestLookBehind} characters", look.Position);
        // .NET reads a look-behind backwards, so that what depends on the direction is looked at forwards from where it begins.
        if (!body.All.Any(node => node is AtomicNode or CaptureNode or ReferenceNode or ConditionNode))
            return look with { Body = body };
        var looks = new List<PatternNode>();
        foreach (var part in body is AlternationNode alternation ? alternation.Parts : [body])
        {
            if (PatternLength.Of(part) is not (var length, { } longest) || length != longest)
                throw new PatternException("an atomic group or a reference in a look-behind of varying length, which isn't supported", look.Position);
            looks.Add(Behind(Sequence(Ahead(part), new RepeatNode(Any, length, length, IsGreedy: true)), look.IsNegative));
        }
        return look.IsNegative ? Sequence(looks) : Alternation(looks);
    }

    private bool IsRefusedBehind(PatternNode node, bool isNegative) => node switch
    {
        AnchorNode anchor => anchor.Kind is AnchorKind.TextEnd or AnchorKind.TextEndOrLastNewline,
        LookNode look when !look.IsBehind || (look.IsNegative && !isNegative) => true,
        CaptureNode capture when isNegative && (capture.IsNamed || !_hasNames) => true,
        _ => node.Children.Any(child => IsRefusedBehind(child, isNegative)),
    };

    /// <summary>The operator <c>(?~ab)</c>: characters at which what is named does not begin. Oniguruma stops at the first such place, not one before its end.</summary>
    private PatternNode Absent(AbsentNode absent) =>
        absent.Body.All.Any(node => node is AbsentNode)
            ? throw new PatternException("an absent operator in another, which isn't supported", absent.Position)
            : Many(Sequence(Ahead(Lower(absent.Body, isBehind: false), isNegative: true), Any));
}
