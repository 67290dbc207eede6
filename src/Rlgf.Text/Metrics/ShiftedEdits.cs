namespace Rlgf.Text.Metrics;

/// <summary>The fewest edits between texts, moves of runs of words included, found greedily: the move that saves most is made until none saves any.</summary>
/// <param name="reference">The reference's words.</param>
internal sealed class ShiftedEdits(string[] reference)
{
    // Tercom's limits, but for the number of moves, which is sacreBLEU's.
    private const int LongestMove = 10;
    private const int FarthestMove = 50;
    private const int BeamWidth = 25;
    private const int MostMoves = 1000;

    private const int Unreached = int.MaxValue / 2;

    private enum Edit : byte
    {
        None,
        Keep,
        Replace,
        Delete,
        Insert,
    }

    private int _tried;

    /// <summary>Number of edits that a text needs.</summary>
    public int Count(string[] words)
    {
        if (reference.Length == 0) return words.Length;
        var moves = 0;
        _tried = 0;
        while (BestMove(words) is var (saved, moved) && _tried < MostMoves && saved > 0) (words, moves) = (moved, moves + 1);
        return moves + Distance(words, out _);
    }

    /// <summary>The move that saves most; of those that save the same the longest, then the one from the earliest place, then the one to the earliest place.</summary>
    private (int Saved, string[] Moved) BestMove(string[] words)
    {
        var before = Distance(words, out var edits);
        var alignment = new Alignment(edits, words.Length, reference.Length);
        (int Saved, int Length, int NegatedStart, int NegatedTarget)? best = null;
        var result = words;
        foreach (var (start, startOfReference, length) in CommonRuns(words))
        {
            // A move is tried where both places are wrong now, and not into the run itself.
            if (!alignment.IsWrong.AsSpan(start, length).Contains(true) || !alignment.IsReferenceWrong.AsSpan(startOfReference, length).Contains(true)) continue;
            if (alignment.PlaceOf[startOfReference] is var at && start <= at && at < start + length) continue;
            var last = -1;
            for (var offset = -1; offset < length; offset++)
            {
                var target = startOfReference + offset == -1 ? 0 : alignment.PlaceOf[startOfReference + offset] + 1;
                if (target == last) continue;
                last = target;
                var moved = Move(words, start, length, target);
                var candidate = (before - Distance(moved, out _), length, -start, -target);
                _tried++;
                if (best is { } other && candidate.CompareTo(other) <= 0) continue;
                (best, result) = (candidate, moved);
            }

            if (_tried >= MostMoves) break;
        }

        return (best?.Saved ?? 0, result);
    }

    /// <summary>Runs of words that both have, from every pair of places that are not too far apart, of each length.</summary>
    private IEnumerable<(int Start, int StartOfReference, int Length)> CommonRuns(string[] words)
    {
        for (var i = 0; i < words.Length; i++)
        {
            for (var j = Math.Max(0, i - FarthestMove); j < reference.Length && j <= i + FarthestMove; j++)
            {
                for (var length = 1; length <= LongestMove && i + length <= words.Length && j + length <= reference.Length && words[i + length - 1] == reference[j + length - 1]; length++)
                    yield return (i, j, length);
            }
        }
    }

    private static string[] Move(string[] words, int start, int length, int target)
    {
        var run = words[start..(start + length)];
        string[] rest = [.. words[..start], .. words[(start + length)..]];
        // Before the run, behind it, or by so many words on.
        var at = target < start ? target : target > start + length ? target - length : Math.Min(rest.Length, target);
        return [.. rest[..at], .. run, .. rest[at..]];
    }

    /// <summary>The edit distance within a beam around the diagonal, and the edits by which the reference would be made.</summary>
    private int Distance(string[] words, out List<Edit> edits)
    {
        var (rows, columns) = (words.Length, reference.Length);
        var costs = new int[rows + 1, columns + 1];
        var steps = new Edit[rows + 1, columns + 1];
        for (var j = 0; j <= columns; j++) (costs[0, j], steps[0, j]) = (j, Edit.Insert);
        var ratio = rows > 0 ? columns / (double)rows : 1;
        var width = BeamWidth < ratio / 2 ? (int)Math.Ceiling(ratio / 2 + BeamWidth) : BeamWidth;
        for (var i = 1; i <= rows; i++)
        {
            for (var j = 0; j <= columns; j++) costs[i, j] = Unreached;
            var diagonal = (int)Math.Floor(i * ratio);
            var end = i == rows ? columns + 1 : Math.Min(columns + 1, diagonal + width);
            for (var j = Math.Max(0, diagonal - width); j < end; j++)
            {
                if (j == 0)
                {
                    (costs[i, 0], steps[i, 0]) = (costs[i - 1, 0] + 1, Edit.Delete);
                    continue;
                }

                var isSame = words[i - 1] == reference[j - 1];
                Try(costs[i - 1, j - 1] + (isSame ? 0 : 1), isSame ? Edit.Keep : Edit.Replace);
                Try(costs[i - 1, j] + 1, Edit.Delete);
                Try(costs[i, j - 1] + 1, Edit.Insert);

                void Try(int cost, Edit edit)
                {
                    if (cost < costs[i, j]) (costs[i, j], steps[i, j]) = (cost, edit);
                }
            }
        }

        edits = [];
        for (var (i, j) = (rows, columns); i > 0 || j > 0;)
        {
            var edit = steps[i, j];
            edits.Add(edit);
            if (edit != Edit.Insert) i--;
            if (edit != Edit.Delete) j--;
        }

        edits.Reverse();
        return costs[rows, columns];
    }

    /// <summary>Where each word of the reference lies in the text, and which words are wrong.</summary>
    private sealed class Alignment
    {
        public Alignment(List<Edit> edits, int words, int reference)
        {
            (PlaceOf, IsWrong, IsReferenceWrong) = (new int[reference], new bool[words], new bool[reference]);
            var (i, j) = (-1, -1);
            foreach (var edit in edits)
            {
                if (edit != Edit.Insert) IsWrong[++i] = edit != Edit.Keep;
                if (edit == Edit.Delete) continue;
                IsReferenceWrong[++j] = edit != Edit.Keep;
                PlaceOf[j] = i;
            }
        }

        public int[] PlaceOf { get; }

        public bool[] IsWrong { get; }

        public bool[] IsReferenceWrong { get; }
    }
}
