using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// Maps of the same states, such as those to queries, keys and values, as one product where no gradient is asked and there are few rows: one product over all outputs begins once and reads its states once.
/// The maps keep their own parameters, and their adapters are added to their own outputs.
/// </summary>
internal sealed class JointProjection : IDisposable
{
    private readonly Linear[] _maps;
    private readonly PackedWeight _packed;

    private JointProjection(Linear[] maps)
    {
        _maps = maps;
        _packed = new PackedWeight([.. maps.Select(map => map.Weight)], biases: maps[0].Bias is null ? null : [.. maps.Select(map => map.Bias!)]);
    }

    /// <summary>Joins maps; null where that can't be: there is one only, or they are stored [in, out].</summary>
    public static JointProjection? Of(IReadOnlyList<IProjection> maps) =>
        maps.Count > 1 && maps.All(map => map is Linear linear && linear.Bias is null == ((Linear)maps[0]).Bias is null) ? new JointProjection([.. maps.Cast<Linear>()]) : null;

    /// <summary>[…, in] → [..., out] of all maps, one after the other; null where each is to be done by itself.</summary>
    public Tensor? TryForward(Tensor x)
    {
        if (_packed.TryMultiply(x, null) is not { } y) return null;
        long first = 0;
        foreach (var map in _maps)
        {
            if (map.Adapter is not null)
            {
                using var part = y.narrow(-1, first, map.Outputs);
                map.AddAdapter(part, x);
            }

            first += map.Outputs;
        }

        return y;
    }

    public void Dispose() => _packed.Dispose();
}
