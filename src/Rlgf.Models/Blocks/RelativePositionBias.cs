using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A number for each head and distance that is added to attention's scores (Raffel et al. 2020, section 2.1): near distances each have their own, far ones share it on a logarithmic scale.</summary>
internal sealed class RelativePositionBias : nn.Module
{
    private readonly int _buckets;
    private readonly int _maxDistance;
    private readonly bool _looksAhead;
    private readonly Parameter _weight;

    /// <summary>Makes the table.</summary>
    /// <param name="buckets">Number of kinds of distance.</param>
    /// <param name="maxDistance">From here on all distances are of the last kind.</param>
    /// <param name="heads">H.</param>
    /// <param name="looksAhead">Whether a token sees those after it, so that half of the kinds are for them.</param>
    /// <param name="device">Where.</param>
    public RelativePositionBias(int buckets, int maxDistance, int heads, bool looksAhead, Device device) : base(nameof(RelativePositionBias))
    {
        _buckets = buckets;
        _maxDistance = maxDistance;
        _looksAhead = looksAhead;
        _weight = Weights.Parameter([buckets, heads], device);
        register_parameter("weight", _weight);
    }

    /// <summary>The bias for the last of some tokens.</summary>
    /// <param name="queries">T: how many tokens ask, the last ones.</param>
    /// <param name="keys">C: how many tokens there are.</param>
    /// <returns>[1, H, T, C] float32.</returns>
    public Tensor Forward(int queries, int keys)
    {
        using var scope = NewDisposeScope();
        // A key's distance from a query lies between 1 − C and T − 1.
        var bucketOf = new long[keys + queries - 1];
        for (var i = 0; i < bucketOf.Length; i++) bucketOf[i] = Bucket(i - (keys - 1));
        var buckets = new long[queries * keys];
        for (var q = 0; q < queries; q++) bucketOf.AsSpan(queries - 1 - q, keys).CopyTo(buckets.AsSpan(q * keys));

        return _weight.index_select(0, tensor(buckets, device: _weight.device)).view(queries, keys, -1).permute(2, 0, 1).unsqueeze(0).MoveToOuterDisposeScope();
    }

    /// <summary>Values from N(0, deviation²).</summary>
    public void Initialise(double deviation, Generator random)
    {
        using var gradients = no_grad();
        _weight.normal_(0, deviation, random);
    }

    /// <summary>The kind of a distance, positive for a token that comes after.</summary>
    internal int Bucket(int distance)
    {
        var kinds = _looksAhead ? _buckets / 2 : _buckets;
        var first = _looksAhead && distance > 0 ? kinds : 0;
        var away = _looksAhead ? Math.Abs(distance) : Math.Max(-distance, 0);
        var near = kinds / 2;
        if (away < near) return first + away;

        // In single precision, as the reference does: a distance at a border must not fall to the other side.
        var far = (int)(MathF.Log((float)away / near) / (float)Math.Log((double)_maxDistance / near) * (kinds - near));
        return first + Math.Min(near + far, kinds - 1);
    }
}
