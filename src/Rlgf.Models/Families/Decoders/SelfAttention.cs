using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>What all layers of one pass share.</summary>
/// <param name="Rows">B.</param>
/// <param name="Columns">T.</param>
/// <param name="Attention">Who sees whom.</param>
/// <param name="Rotations">Rotations of queries and keys, one for each of the model's settings.</param>
/// <param name="Bias">Added to scores, [B or 1, H, 1, C] float32; null for none.</param>
internal readonly record struct DecoderPass(long Rows, long Columns, IAttention Attention, IReadOnlyList<(RotarySettings Settings, Rotation Rotation)> Rotations, Tensor? Bias)
{
    /// <summary>The rotation by some settings of the model.</summary>
    public Rotation RotationBy(RotarySettings settings)
    {
        foreach (var (of, rotation) in Rotations)
        {
            if (ReferenceEquals(of, settings)) return rotation;
        }

        throw new InvalidOperationException("A layer rotates by settings of which the model knows nothing.");
    }
}

/// <summary>Queries, keys and values of a layer, in any layout, and the map of what was attended to.</summary>
internal sealed class SelfAttention : IBlockPart
{
    private readonly DecoderSettings _settings;
    private readonly AttentionSettings _attention;
    private readonly int _layer;
    private readonly IProjection[] _queriesKeysValues;
    private readonly IProjection _output;
    private readonly JointProjection? _joint;
    private readonly BareParameter? _sinks;
    private readonly INorm? _queryNorm;
    private readonly INorm? _keyNorm;

    public SelfAttention(DecoderSettings settings, AttentionSettings attention, int layer, Device device)
    {
        (_settings, _attention, _layer) = (settings, attention, layer);
        var queries = attention.Heads * attention.HeadSize;
        var keys = attention.KeyValueHeads * attention.HeadSize;
        int[] outputs = attention.Layout == QueryKeyValueLayout.Separate ? [attention.OutputGate ? 2 * queries : queries, keys, keys] : [queries + 2 * keys];
        _queriesKeysValues = [.. outputs.Select(size => settings.Projection(settings.Width, size, attention.QueryKeyValueBias, device))];
        _joint = JointProjection.Of(_queriesKeysValues);
        _output = settings.Projection(queries, settings.Width, attention.OutputBias, device);
        if (attention.Sinks) _sinks = new BareParameter([attention.Heads], device);
        if (attention.QueryKeyNorm == QueryKeyNorm.None) return;
        var isWhole = attention.QueryKeyNorm == QueryKeyNorm.AllHeads;
        _queryNorm = settings.Norm(isWhole ? queries : attention.HeadSize, device);
        _keyNorm = settings.Norm(isWhole ? keys : attention.HeadSize, device);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        var names = _settings.Names;
        var parts = names.QueriesKeysValues.Zip(_queriesKeysValues, (name, projection) => (name, (nn.Module)projection)).Append((names.AttentionOutput, (nn.Module)_output));
        if (_sinks is not null) parts = parts.Append((names.Sinks, (nn.Module)_sinks));
        if (_queryNorm is not null) parts = parts.Append((names.QueryNorm, (nn.Module)_queryNorm)).Append((names.KeyNorm, (nn.Module)_keyNorm!));
        return parts.Select(part => ($"{names.Attention}.{part.Item1}", part.Item2));
    }

    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var (query, key, value) = Project(x, pass);
        Tensor? gate = null;
        if (_attention.OutputGate)
        {
            // For each head its query and its gate.
            var halves = query.reshape(pass.Rows, pass.Columns, _attention.Heads, 2 * _attention.HeadSize).chunk(2, 3);
            (query, gate) = (halves[0].contiguous(), halves[1]);
        }

        var normsLast = _attention.QueryKeyNorm == QueryKeyNorm.AfterRotation;
        if (_queryNorm is not null && !normsLast) (query, key) = (Normed(_queryNorm, query), Normed(_keyNorm!, key));
        if (_attention.Rotary is not null)
        {
            var rotation = pass.RotationBy(_attention.Rotary);
            (query, key) = (rotation.Apply(query), rotation.Apply(key));
            if (rotation.QueryScales is not null) query = query * rotation.QueryScales;
        }

        if (_queryNorm is not null && normsLast) (query, key) = (Normed(_queryNorm, query), Normed(_keyNorm!, key));
        var scores = new Scores(_attention.Window, _attention.ScoreScale, _attention.ScoreCap, pass.Bias, _sinks?.Value);
        var attended = pass.Attention.Attend(_layer, query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), scores);
        var states = attended.to_type(value.dtype).transpose(1, 2).reshape(-1, _attention.Heads * _attention.HeadSize);
        if (gate is not null) states = states * gate.reshape(states.shape).sigmoid();
        return _output.Forward(states).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        foreach (var projection in _queriesKeysValues) projection.Initialise(_settings.InitialDeviation, random);
        _queryNorm?.Initialise();
        _keyNorm?.Initialise();
        _output.Initialise(_settings.ResidualInitialDeviation ?? _settings.InitialDeviation, random);
        if (_sinks is null) return;
        using var gradients = no_grad();
        _sinks.Value.normal_(0, _settings.InitialDeviation, random);
    }

    public void Dispose() => _joint?.Dispose();

    /// <summary>[B, T, H, D/H] → the same, each head's numbers or all heads' together divided by their root mean square or whatever the family's norm does.</summary>
    private Tensor Normed(INorm norm, Tensor heads) =>
        _attention.QueryKeyNorm == QueryKeyNorm.AllHeads ? norm.Forward(heads.reshape(heads.size(0), heads.size(1), -1)).view(heads.shape) : norm.Forward(heads);

    /// <summary>[B·T, D] → queries [B, T, H, D/H], with gates twice as many, keys and values likewise with their own number of heads.</summary>
    private (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, in DecoderPass pass)
    {
        long rows = pass.Rows, columns = pass.Columns, heads = _attention.Heads, keyHeads = _attention.KeyValueHeads, size = _attention.HeadSize;
        Tensor[] parts = _attention.Layout switch
        {
            QueryKeyValueLayout.Fused => ByKind(_queriesKeysValues[0].Forward(x)),
            QueryKeyValueLayout.FusedByHead => ByHead(_queriesKeysValues[0].Forward(x)),
            _ when _joint?.TryForward(x) is { } all => ByKind(all),
            _ => [.. _queriesKeysValues.Select(projection => projection.Forward(x).view(rows, columns, -1, size))],
        };
        return (parts[0], parts[1], parts[2]);

        Tensor[] ByKind(Tensor all)
        {
            var asking = _attention.OutputGate ? 2 * heads : heads;
            return all.view(rows, columns, asking + 2 * keyHeads, size).split([asking, keyHeads, keyHeads], 2);
        }

        Tensor[] ByHead(Tensor all)
        {
            if (keyHeads == heads) return all.view(rows, columns, heads, 3 * size).chunk(3, 3);
            var group = heads / keyHeads;
            var groups = all.view(rows, columns, keyHeads, group + 2, size).split([group, 1, 1], 3);
            return [groups[0].reshape(rows, columns, heads, size), groups[1].squeeze(3), groups[2].squeeze(3)];
        }
    }
}
