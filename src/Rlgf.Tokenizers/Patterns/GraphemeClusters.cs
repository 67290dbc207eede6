using static Rlgf.Tokenizers.Patterns.PatternNode;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>Extended grapheme clusters by the rules of Unicode Standard Annex 29, without GB9c, which Oniguruma 6.9.10 does not have.</summary>
internal static class GraphemeClusters
{
    private static readonly CodePointSet Breaks = Value("control").Union(Value("cr")).Union(Value("lf"));
    private static readonly PatternNode Pictographic = new SetNode(UnicodeProperties.Find("extendedpictographic")!);
    private static readonly PatternNode Regional = Of("regionalindicator");

    /// <summary>A place within a cluster.</summary>
    public static PatternNode Within { get; } = Alternation(
        Between(Of("cr"), Of("lf")), // GB3
        Between(Of("l"), Of("l", "v", "lv", "lvt")), // GB6
        Between(Of("lv", "v"), Of("v", "t")), // GB7
        Between(Of("lvt", "t"), Of("t")), // GB8
        Between(new SetNode(Breaks.Complement()), Of("extend", "zwj", "spacingmark")), // GB4, GB9, GB9a
        Between(Of("prepend"), new SetNode(Breaks.Complement())), // GB5, GB9b
        Between(Sequence(Pictographic, Many(Of("extend")), Of("zwj")), Pictographic), // GB11
        Between(Sequence(Behind(Regional, isNegative: true), Many(Sequence(Regional, Regional)), Regional), Regional)); // GB12, GB13

    /// <summary>A cluster, or what is left of one.</summary>
    public static PatternNode One { get; } = new AtomicNode(Sequence(Any, Many(Sequence(Within, Any))));

    private static CodePointSet Value(string name) => UnicodeProperties.GraphemeBreak(name);

    private static SetNode Of(params IEnumerable<string> names) => new(names.Select(Value).Aggregate((a, b) => a.Union(b)));

    private static PatternNode Between(PatternNode before, PatternNode after) => Sequence(Behind(before), Ahead(after));
}
