namespace Rlgf.Tokenizers.Patterns;

/// <summary>How many characters a part of a lowered expression can match.</summary>
internal static class PatternLength
{
    private const int Longest = 1 << 24;

    /// <summary>The fewest and the most; null where there is no most.</summary>
    public static (int Least, int? Most) Of(PatternNode node)
    {
        switch (node)
        {
            case SetNode:
                return (1, 1);
            case SequenceNode sequence:
                var parts = sequence.Parts.Select(Of).ToList();
                return (Clip(parts.Sum(part => (long)part.Least)), Sum(parts.Select(part => part.Most)));
            case AlternationNode alternation:
                var alternatives = alternation.Parts.Select(Of).ToList();
                return (alternatives.Min(part => part.Least), alternatives.Any(part => part.Most is null) ? null : alternatives.Max(part => part.Most));
            case RepeatNode repeat:
                var (least, most) = Of(repeat.Body);
                int? longest = most == 0 || repeat.Most == 0 ? 0 : most is null || repeat.Most is null ? null : Clip((long)most * repeat.Most.Value);
                return (Clip((long)least * repeat.Least), longest);
            case CaptureNode capture:
                return Of(capture.Body);
            case AtomicNode atomic:
                return Of(atomic.Body);
            case ConditionNode condition:
                return Of(new AlternationNode([condition.Then, condition.Else]));
            case ReferenceNode:
                return (0, null);
            default:
                return (0, 0);
        }
    }

    private static int? Sum(IEnumerable<int?> lengths)
    {
        var sum = 0L;
        foreach (var length in lengths)
        {
            if (length is null)
                return null;
            sum += length.Value;
        }
        return Clip(sum);
    }

    private static int Clip(long length) => (int)Math.Min(length, Longest);
}
