using System.Collections.Concurrent;

namespace Rlgf.Endpoints;

/// <summary>How often what happened, by its kind.</summary>
internal sealed class KindCounts
{
    private readonly ConcurrentDictionary<string, long> _counts = new(StringComparer.Ordinal);

    /// <summary>How often anything did.</summary>
    public long Total => _counts.Values.Sum();

    /// <summary>How often each kind did, by name.</summary>
    public IEnumerable<(string Kind, long Count)> Counts => _counts.OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => (one.Key, one.Value));

    /// <summary>Forgets a kind.</summary>
    public void Forget(string kind) => _counts.TryRemove(kind, out _);

    /// <summary>Counts one.</summary>
    public void Add(string kind) => _counts.AddOrUpdate(kind, 1, (_, count) => count + 1);
}
