using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>What a family calls the four products of an attention.</summary>
internal sealed record MultiHeadNames(string Query, string Key, string Value, string Output);

/// <summary>The four products of multi-head attention (Vaswani et al. 2017, section 3.2.2). The layer that has it registers its parts instead of itself, since families spread them over different names.</summary>
internal sealed class MultiHead : nn.Module
{
    private readonly int _heads;
    private readonly int _headSize;
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _output;

    /// <summary>Makes the products.</summary>
    /// <param name="width">D.</param>
    /// <param name="heads">H.</param>
    /// <param name="headSize">Numbers of a query; H of them together need not be D.</param>
    /// <param name="bias">Whether the products have shifts.</param>
    /// <param name="device">Where.</param>
    public MultiHead(int width, int heads, int headSize, bool bias, Device device) : base(nameof(MultiHead))
    {
        _heads = heads;
        _headSize = headSize;
        _query = new Linear(width, heads * headSize, bias, device);
        _key = new Linear(width, heads * headSize, bias, device);
        _value = new Linear(width, heads * headSize, bias, device);
        _output = new Linear(heads * headSize, width, bias, device);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named(MultiHeadNames names) => [(names.Query, _query), (names.Key, _key), (names.Value, _value), (names.Output, _output)];

    /// <summary>Attends among the tokens of a row: [B·T, D] → [B·T, D].</summary>
    public Tensor Self(Tensor x, long rows, int layer, IAttention attention)
    {
        using var scope = NewDisposeScope();
        var attended = attention.Attend(layer, Split(_query.Forward(x), rows), Split(_key.Forward(x), rows), Split(_value.Forward(x), rows));
        return _output.Forward(Join(attended)).MoveToOuterDisposeScope();
    }

    public void Initialise(double deviation, Generator random)
    {
        foreach (var product in (Linear[])[_query, _key, _value, _output]) product.Initialise(deviation, random);
    }

    private Tensor Split(Tensor x, long rows) => x.view(rows, -1, _heads, _headSize).transpose(1, 2);

    private Tensor Join(Tensor heads) => heads.transpose(1, 2).reshape(-1, _heads * _headSize);
}
