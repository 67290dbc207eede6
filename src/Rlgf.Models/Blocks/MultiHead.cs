using Rlgf.Models.Tensors;
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
    private readonly bool _scaled;
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _output;
    private readonly JointProjection? _joint;

    /// <summary>Makes the products.</summary>
    /// <param name="width">D.</param>
    /// <param name="heads">H.</param>
    /// <param name="headSize">Numbers of a query; H of them together need not be D.</param>
    /// <param name="bias">Whether the products have shifts.</param>
    /// <param name="device">Where.</param>
    /// <param name="scaled">Whether scores are divided by √(head size).</param>
    public MultiHead(int width, int heads, int headSize, bool bias, Device device, bool scaled = true) : base(nameof(MultiHead))
    {
        _heads = heads;
        _headSize = headSize;
        _scaled = scaled;
        _query = new Linear(width, heads * headSize, bias, device);
        _key = new Linear(width, heads * headSize, bias, device);
        _value = new Linear(width, heads * headSize, bias, device);
        _output = new Linear(heads * headSize, width, bias, device);
        _joint = JointProjection.Of([_query, _key, _value]);
    }

    /// <summary>The parts under the family's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named(MultiHeadNames names) => [(names.Query, _query), (names.Key, _key), (names.Value, _value), (names.Output, _output)];

    /// <summary>Attends among the tokens of a row.</summary>
    /// <param name="x">[B·T, D].</param>
    /// <param name="rows">B.</param>
    /// <param name="layer">Number of the layer, from 0.</param>
    /// <param name="attention">Who sees whom.</param>
    /// <param name="bias">[1, H, T, C], added to the scores; null for none.</param>
    /// <param name="distances">What scores look at beside the tokens; null for nothing.</param>
    /// <returns>[B·T, D].</returns>
    public Tensor Self(Tensor x, long rows, int layer, IAttention attention, Tensor? bias = null, DistanceStates? distances = null)
    {
        using var scope = NewDisposeScope();
        // All queries, all keys, all values.
        var parts = _joint?.TryForward(x)?.view(rows, -1, 3 * _heads, _headSize).transpose(1, 2).chunk(3, 1);
        var (query, key, value) = parts is null ? (Queries(x, rows), Split(_key.Forward(x), rows), Split(_value.Forward(x), rows)) : (Scaled(parts[0]), parts[1], parts[2]);
        var scores = distances is null ? new Scores(Bias: bias) : distances.Scores(query, key, Queries(distances.States, 1), Split(_key.Forward(distances.States), 1));
        return Join(attention.Attend(layer, query, key, value, scores)).MoveToOuterDisposeScope();
    }

    /// <summary>Attends from the tokens of each of B rows to its prompt: [B·T, D] → [B·T, D].</summary>
    public Tensor Cross(Tensor x, long rows, int layer, CrossAttention prompts)
    {
        using var scope = NewDisposeScope();
        return Join(prompts.Attend(layer, Queries(x, rows))).MoveToOuterDisposeScope();
    }

    /// <summary>What <see cref="Cross"/> sees of the encoder's states [U, P, D]: keys and values [U, H, P, D/H].</summary>
    public (Tensor Keys, Tensor Values) KeysAndValues(Tensor encoded)
    {
        var x = encoded.view(-1, encoded.size(2));
        return (Split(_key.Forward(x), encoded.size(0)).contiguous(), Split(_value.Forward(x), encoded.size(0)).contiguous());
    }

    /// <summary>Weights from N(0, deviation²), shifts zero.</summary>
    public void Initialise(double deviation, Generator random) => Initialise(deviation, deviation, deviation, random);

    /// <summary>Weights of queries, of keys and values, and of the output from normal distributions of their own, shifts zero.</summary>
    public void Initialise(double query, double keyAndValue, double output, Generator random)
    {
        _query.Initialise(query, random);
        _key.Initialise(keyAndValue, random);
        _value.Initialise(keyAndValue, random);
        _output.Initialise(output, random);
    }

    private Tensor Queries(Tensor x, long rows) => Scaled(Split(_query.Forward(x), rows));

    /// <summary>Where scores are not to be divided by √(head size), queries are multiplied by it, since all ways of attending divide.</summary>
    private Tensor Scaled(Tensor queries) => _scaled ? queries : queries.Multiply((float)Math.Sqrt(_headSize));

    protected override void Dispose(bool disposing)
    {
        if (disposing) _joint?.Dispose();
        base.Dispose(disposing);
    }

    private Tensor Split(Tensor x, long rows) => x.view(rows, -1, _heads, _headSize).transpose(1, 2);

    private Tensor Join(Tensor heads) => _output.Forward(heads.transpose(1, 2).reshape(-1, _heads * _headSize));
}
