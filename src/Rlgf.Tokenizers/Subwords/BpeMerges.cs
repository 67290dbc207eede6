namespace Rlgf.Tokenizers.Subwords;

/// <summary>A symbol of a word that byte pair encoding merges, linked to its neighbours.</summary>
internal struct Symbol
{
    /// <summary>Id of a symbol that went into the one on its left.</summary>
    public const int Gone = -1;

    public int Id, Start, End, Previous, Next;

    /// <summary>Appends a symbol.</summary>
    public static void Add(List<Symbol> symbols, int id, int start, int end) =>
        symbols.Add(new Symbol { Id = id, Start = start, End = end, Previous = symbols.Count - 1, Next = symbols.Count + 1 });
}

/// <summary>The merges that byte pair encoding learned (Sennrich et al. 2016): which pairs of tokens become one, the first learned before all others.</summary>
internal sealed class BpeMerges
{
    private readonly Dictionary<(int Left, int Right), Merge> _merges;

    private BpeMerges(Dictionary<(int, int), Merge> merges) => _merges = merges;

    /// <summary>Creates merges in the order in which they were learned. A pair that is there twice counts where it comes last.</summary>
    public BpeMerges(IEnumerable<(int Left, int Right, int Merged)> merges)
    {
        _merges = [];
        foreach (var (left, right, merged) in merges)
            _merges[(left, right)] = new Merge(_merges.Count, merged);
    }

    private readonly record struct Merge(int Rank, int Id);

    private readonly record struct Candidate(int Left, int LeftId, int Right, int RightId, int MergedId);

    /// <summary>The same but for those that make one of some tokens.</summary>
    public BpeMerges Without(IReadOnlySet<int> ids) =>
        _merges.Values.Any(merge => ids.Contains(merge.Id)) ? new(_merges.Where(entry => !ids.Contains(entry.Value.Id)).ToDictionary()) : this;

    /// <summary>Merges a word's symbols, pair by pair, until none is left to merge.</summary>
    public WordToken[] Apply(Symbol[] symbols)
    {
        var candidates = new PriorityQueue<Candidate, long>();
        for (var left = 0; left + 1 < symbols.Length; left++)
            AddCandidate(left, left + 1);

        while (candidates.TryDequeue(out var candidate, out _))
        {
            ref var left = ref symbols[candidate.Left];
            // Stale where a neighbour was merged since.
            if (left.Id != candidate.LeftId || left.Next != candidate.Right || symbols[candidate.Right].Id != candidate.RightId)
                continue;
            ref var right = ref symbols[candidate.Right];
            left.Id = candidate.MergedId;
            left.End = right.End;
            left.Next = right.Next;
            right.Id = Symbol.Gone;
            if (left.Next < symbols.Length)
            {
                symbols[left.Next].Previous = candidate.Left;
                AddCandidate(candidate.Left, left.Next);
            }
            if (left.Previous >= 0)
                AddCandidate(left.Previous, candidate.Left);
        }

        var count = 0;
        for (var at = 0; at < symbols.Length; at = symbols[at].Next)
            count++;
        var tokens = new WordToken[count];
        var to = 0;
        for (var at = 0; at < symbols.Length; at = symbols[at].Next)
            tokens[to++] = new WordToken(symbols[at].Id, symbols[at].Start, symbols[at].End);
        return tokens;

        void AddCandidate(int left, int right)
        {
            var (leftId, rightId) = (symbols[left].Id, symbols[right].Id);
            if (_merges.TryGetValue((leftId, rightId), out var merge))
                candidates.Enqueue(new Candidate(left, leftId, right, rightId, merge.Id), ((long)merge.Rank << 32) | (uint)left);
        }
    }
}
