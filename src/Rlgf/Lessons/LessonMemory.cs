using System.Collections.Immutable;
using Rlgf.Base;

namespace Rlgf.Lessons;

/// <summary>The remembered rows, the oldest first. Immutable.</summary>
/// <param name="Rows">The rows.</param>
public sealed record LessonMemory(ImmutableArray<Lesson> Rows)
{
    /// <summary>Nothing remembered.</summary>
    public static LessonMemory Empty { get; } = new([]);

    /// <summary>The prompts that a lesson is remembered of.</summary>
    public IReadOnlySet<string> Prompts => Rows.Select(row => row.PromptId).ToHashSet(StringComparer.Ordinal);

    /// <summary>The memory with more rows, as the newest. One that it holds already takes the place of the older, and beyond the capacity the oldest go.</summary>
    /// <param name="rows">Rows with a lesson.</param>
    /// <param name="capacity">The most rows.</param>
    public LessonMemory With(IEnumerable<Lesson> rows, int capacity)
    {
        var (kept, seen) = (new List<Lesson>(), new HashSet<Lesson>(SameResponse.Instance));
        foreach (var row in Rows.Concat(rows).Reverse())
        {
            if (kept.Count < capacity && seen.Add(row)) kept.Add(row);
        }
        kept.Reverse();
        return new([.. kept]);
    }

    /// <summary>The memory with new levels for the prompts that were drawn again.</summary>
    /// <param name="levels">V(x) by the prompt's identity.</param>
    public LessonMemory WithLevels(IReadOnlyDictionary<string, double> levels) =>
        new([.. Rows.Select(row => levels.TryGetValue(row.PromptId, out var level) ? row with { Level = level } : row)]);

    /// <summary>Draws rows with replacement, each in proportion to its lesson.</summary>
    /// <param name="count">How many draws; fewer than that many rows come back where some are drawn several times.</param>
    /// <param name="level">V(x) for all rows; null for each row's own.</param>
    /// <param name="random">Of the draws.</param>
    /// <returns>Places of the rows and how often each was drawn, in the memory's order; none where no row has a lesson.</returns>
    public IReadOnlyList<(int Place, int Times)> Draw(int count, double? level, RandomStream random)
    {
        var cumulative = new double[Rows.Length];
        var sum = 0.0;
        for (var i = 0; i < Rows.Length; i++) cumulative[i] = sum += Rows[i].Size(level ?? Rows[i].Level);
        if (!(sum > 0)) return [];
        var times = new SortedDictionary<int, int>();
        for (var draw = 0; draw < count; draw++)
        {
            var at = random.NextDouble() * sum;
            // The first whose sum is above: a row without a lesson has its predecessor's sum and is never that.
            var (low, high) = (0, Rows.Length - 1);
            while (low < high)
            {
                var middle = (low + high) / 2;
                if (cumulative[middle] > at) high = middle;
                else low = middle + 1;
            }
            times[low] = times.GetValueOrDefault(low) + 1;
        }
        return [.. times.Select(drawn => (drawn.Key, drawn.Value))];
    }

    /// <summary>The memory with rows as they were found when they were drawn; null takes a row out.</summary>
    /// <param name="found">By place.</param>
    public LessonMemory After(IReadOnlyDictionary<int, Lesson?> found) =>
        new([.. Rows.Select((row, place) => found.TryGetValue(place, out var now) ? now : row).OfType<Lesson>()]);

    /// <summary>Two rows of one prompt with the same response.</summary>
    private sealed class SameResponse : IEqualityComparer<Lesson>
    {
        public static SameResponse Instance { get; } = new();

        public bool Equals(Lesson? x, Lesson? y) =>
            x is not null && y is not null && x.PromptId == y.PromptId && x.Row.Response.AsSpan().SequenceEqual(y.Row.Response) && x.Row.Prompt.AsSpan().SequenceEqual(y.Row.Prompt);

        public int GetHashCode(Lesson obj)
        {
            HashCode hash = default;
            hash.Add(obj.PromptId, StringComparer.Ordinal);
            foreach (var token in obj.Row.Response) hash.Add(token);
            return hash.ToHashCode();
        }
    }
}
