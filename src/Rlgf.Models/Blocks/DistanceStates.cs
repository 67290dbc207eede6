using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>How far apart tokens are as attention sees it: distances that are told apart one by one up to half of the buckets, and by their logarithm beyond.</summary>
/// <param name="Buckets">S: a distance is one of 2S kinds, S of them for each direction.</param>
/// <param name="Longest">The distance whose kind is the last one.</param>
/// <param name="QueriesSeeDistance">Whether a query is compared with the key of the distance.</param>
/// <param name="KeysSeeDistance">Whether a key is compared with the query of the distance.</param>
internal sealed record DistanceSettings(int Buckets, int Longest, bool QueriesSeeDistance, bool KeysSeeDistance)
{
    /// <summary>The kind of a query's position less a key's: a row of the table.</summary>
    public int Kind(int distance)
    {
        var (away, middle) = (Math.Abs(distance), Buckets / 2);
        var kind = distance;
        // In single precision, as where such models are trained: a distance at a border must not fall to the other side.
        if (away > middle) kind = Math.Sign(distance) * ((int)MathF.Ceiling(MathF.Log((float)away / middle) / MathF.Log((Longest - 1f) / middle) * (middle - 1)) + middle);
        return Math.Clamp(kind + Buckets, 0, 2 * Buckets - 1);
    }
}

/// <summary>States of distances, which queries and keys are compared with as they are with each other: disentangled attention (He et al. 2021, "DeBERTa", section 3.1, equation 4).</summary>
internal sealed class DistanceStates
{
    private readonly DistanceSettings _settings;
    private readonly Tensor _kinds;

    /// <summary>Prepares a pass; what it makes belongs to the caller's scope.</summary>
    /// <param name="settings">The distances.</param>
    /// <param name="states">[2S, D]: the table.</param>
    /// <param name="columns">T.</param>
    public DistanceStates(DistanceSettings settings, Tensor states, int columns)
    {
        (_settings, States) = (settings, states);
        var kindOf = new long[2 * columns - 1];
        for (var i = 0; i < kindOf.Length; i++) kindOf[i] = settings.Kind(columns - 1 - i);
        var kinds = new long[columns * columns];
        // A query's distances from the keys, the first key first.
        for (var q = 0; q < columns; q++) kindOf.AsSpan(columns - 1 - q, columns).CopyTo(kinds.AsSpan(q * columns));
        _kinds = tensor(kinds, [1, 1, columns, columns], device: states.device);
    }

    /// <summary>[2S, D].</summary>
    public Tensor States { get; }

    /// <summary>Scores of which each of n terms has a part: (q · k + q · k(distance) + k · q(distance)) / √(n · D/H).</summary>
    /// <param name="query">[B, H, T, D/H].</param>
    /// <param name="key">[B, H, T, D/H].</param>
    /// <param name="distanceQuery">[1, H, 2S, D/H]: the layer's queries of <see cref="States"/>.</param>
    /// <param name="distanceKey">[1, H, 2S, D/H]: its keys of them.</param>
    public Scores Scores(Tensor query, Tensor key, Tensor distanceQuery, Tensor distanceKey)
    {
        using var scope = NewDisposeScope();
        long[] shape = [query.size(0), query.size(1), query.size(2), query.size(2)];
        List<Tensor> terms = [];
        if (_settings.QueriesSeeDistance) terms.Add(query.matmul(distanceKey.transpose(2, 3)).to_type(ScalarType.Float32).gather(3, _kinds.expand(shape)));
        if (_settings.KeysSeeDistance) terms.Add(key.matmul(distanceQuery.transpose(2, 3)).to_type(ScalarType.Float32).gather(3, _kinds.transpose(2, 3).expand(shape)).transpose(2, 3));
        var scale = 1 / Math.Sqrt((1 + terms.Count) * query.size(3));
        var bias = terms.Count == 2 ? terms[0].Add(terms[1]) : terms.Count == 1 ? terms[0] : null;
        return new Scores(Scale: scale, Bias: bias?.Multiply(scale).MoveToOuterDisposeScope());
    }
}
