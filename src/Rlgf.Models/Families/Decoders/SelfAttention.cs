using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>What all layers of one pass share.</summary>
/// <param name="Rows">B.</param>
/// <param name="Columns">T.</param>
/// <param name="Attention">Who sees whom.</param>
/// <param name="Rotation">Rotation of queries and keys; null where positions are learned.</param>
internal readonly record struct DecoderPass(long Rows, long Columns, IAttention Attention, Rotation? Rotation);

/// <summary>Queries, keys and values of a layer, in any layout, and the map of what was attended to.</summary>
internal sealed class SelfAttention : IDisposable
{
    private readonly DecoderSettings _settings;
    private readonly int _layer;
    private readonly IProjection[] _queriesKeysValues;
    private readonly IProjection _output;
    private readonly JointProjection? _joint;
    private readonly INorm? _queryNorm;
    private readonly INorm? _keyNorm;

    public SelfAttention(DecoderSettings settings, int layer, Device device)
    {
        _settings = settings;
        _layer = layer;
        var queries = settings.Heads * settings.HeadSize;
        var keys = settings.KeyValueHeads * settings.HeadSize;
        int[] outputs = settings.QueryKeyValueLayout == QueryKeyValueLayout.Separate ? [queries, keys, keys] : [queries + 2 * keys];
        _queriesKeysValues = [.. outputs.Select(size => settings.Projection(settings.Width, size, settings.QueryKeyValueBias, device))];
        _joint = JointProjection.Of(_queriesKeysValues);
        _output = settings.Projection(queries, settings.Width, settings.AttentionBias, device);
        if (!settings.QueryKeyNorm) return;
        _queryNorm = settings.Norm(settings.HeadSize, device);
        _keyNorm = settings.Norm(settings.HeadSize, device);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named()
    {
        var names = _settings.Names;
        foreach (var (name, projection) in names.QueriesKeysValues.Zip(_queriesKeysValues)) yield return (name, (nn.Module)projection);
        yield return (names.AttentionOutput, (nn.Module)_output);
        if (_queryNorm is not null) yield return ("q_norm", (nn.Module)_queryNorm);
        if (_keyNorm is not null) yield return ("k_norm", (nn.Module)_keyNorm);
    }

    /// <summary>[B·T, D] → [B·T, D].</summary>
    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var (query, key, value) = Project(x, pass);
        if (_queryNorm is not null) query = _queryNorm.Forward(query);
        if (_keyNorm is not null) key = _keyNorm.Forward(key);
        if (pass.Rotation is { } rotation) (query, key) = (rotation.Apply(query), rotation.Apply(key));
        var attended = pass.Attention.Attend(_layer, query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2));
        return _output.Forward(attended.to_type(value.dtype).transpose(1, 2).reshape(-1, _settings.Heads * _settings.HeadSize)).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        foreach (var projection in _queriesKeysValues) projection.Initialise(_settings.InitialDeviation, random);
        _queryNorm?.Initialise();
        _keyNorm?.Initialise();
        _output.Initialise(_settings.ResidualInitialDeviation ?? _settings.InitialDeviation, random);
    }

    public void Dispose() => _joint?.Dispose();

    /// <summary>[B·T, D] → queries [B, T, H, D/H], keys and values likewise with their own number of heads.</summary>
    private (Tensor Query, Tensor Key, Tensor Value) Project(Tensor x, in DecoderPass pass)
    {
        long rows = pass.Rows, columns = pass.Columns, heads = _settings.Heads, keyHeads = _settings.KeyValueHeads, size = _settings.HeadSize;
        Tensor[] parts = _settings.QueryKeyValueLayout switch
        {
            QueryKeyValueLayout.Fused => ByHead(_queriesKeysValues[0].Forward(x)),
            QueryKeyValueLayout.FusedByHead => _queriesKeysValues[0].Forward(x).view(rows, columns, heads, 3 * size).chunk(3, 3),
            _ when _joint?.TryForward(x) is { } all => ByHead(all),
            _ => [.. _queriesKeysValues.Select(projection => projection.Forward(x).view(rows, columns, -1, size))],
        };
        return (parts[0], parts[1], parts[2]);

        Tensor[] ByHead(Tensor all) => all.view(rows, columns, heads + 2 * keyHeads, size).split([heads, keyHeads, keyHeads], 2);
    }
}
