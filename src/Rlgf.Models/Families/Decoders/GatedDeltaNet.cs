using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Gated delta net (Yang et al. 2024, "Gated delta networks"): each head keeps a table that gives values for keys, which forgets and is corrected token by token.</summary>
internal sealed record GatedDeltaNetSettings : MixerSettings
{
    /// <summary>Heads of queries and keys; divides <see cref="ValueHeads"/>.</summary>
    public required int KeyHeads { get; init; }

    /// <summary>Heads of values, each with a table; as many neighbours share a query and a key.</summary>
    public required int ValueHeads { get; init; }

    /// <summary>Numbers of a query or key.</summary>
    public required int KeySize { get; init; }

    /// <summary>Numbers of a value.</summary>
    public required int ValueSize { get; init; }

    /// <summary>How many tokens the convolution before it looks at.</summary>
    public required int Kernel { get; init; }

    /// <summary>ε of the norm of what is read.</summary>
    public required double Epsilon { get; init; }

    public override IBlockPart Make(DecoderSettings settings, int layer, Device device) => new GatedDeltaNet(settings, this, layer, device);
}

/// <summary>What <see cref="GatedDeltaNetSettings"/> describes.</summary>
internal sealed class GatedDeltaNet : IBlockPart
{
    private readonly DecoderSettings _settings;
    private readonly GatedDeltaNetSettings _net;
    private readonly int _layer;
    private readonly Linear _mixed;
    private readonly Linear _gate;
    private readonly Linear _strength;
    private readonly Linear _decay;
    private readonly CausalConvolution _convolution;
    private readonly BareParameter _logarithm;
    private readonly BareParameter _shift;
    private readonly RmsNorm _norm;
    private readonly Linear _output;
    private readonly JointProjection? _joint;

    public GatedDeltaNet(DecoderSettings settings, GatedDeltaNetSettings net, int layer, Device device)
    {
        (_settings, _net, _layer) = (settings, net, layer);
        var (keys, values) = (net.KeyHeads * net.KeySize, net.ValueHeads * net.ValueSize);
        _mixed = new Linear(settings.Width, 2 * keys + values, bias: false, device);
        _gate = new Linear(settings.Width, values, bias: false, device);
        _strength = new Linear(settings.Width, net.ValueHeads, bias: false, device);
        _decay = new Linear(settings.Width, net.ValueHeads, bias: false, device);
        _joint = JointProjection.Of([_mixed, _gate, _strength, _decay]);
        _convolution = new CausalConvolution(2 * keys + values, net.Kernel, bias: false, device);
        _logarithm = new BareParameter([net.ValueHeads], device);
        _shift = new BareParameter([net.ValueHeads], device);
        _norm = new RmsNorm(net.ValueSize, net.Epsilon, fromOne: false, device);
        _output = new Linear(values, settings.Width, bias: false, device);
    }

    public IEnumerable<(string Name, nn.Module Module)> Named() => ((string, nn.Module)[])
    [
        ("linear_attn.A_log", _logarithm), ("linear_attn.dt_bias", _shift), ("linear_attn.conv1d", _convolution), ("linear_attn.in_proj_qkv", _mixed), ("linear_attn.in_proj_z", _gate),
        ("linear_attn.in_proj_b", _strength), ("linear_attn.in_proj_a", _decay), ("linear_attn.norm", _norm), ("linear_attn.out_proj", _output),
    ];

    public Tensor Forward(Tensor x, in DecoderPass pass)
    {
        using var scope = NewDisposeScope();
        var (rows, columns) = (pass.Rows, pass.Columns);
        var states = pass.Attention.States;
        long keys = _net.KeyHeads * _net.KeySize, values = _net.ValueHeads * _net.ValueSize;
        Tensor[] maps = _joint?.TryForward(x) is { } all ? all.split([2 * keys + values, values, _net.ValueHeads, _net.ValueHeads], 1) : [_mixed.Forward(x), _gate.Forward(x), _strength.Forward(x), _decay.Forward(x)];
        // Between the products all is float32, whatever the states' type: what a table keeps would gather the roundings of all tokens.
        var mixed = nn.functional.silu(_convolution.Forward(maps[0].view(rows, columns, -1).to_type(ScalarType.Float32), _layer, states)).split([keys, keys, values], 2);
        var group = _net.ValueHeads / _net.KeyHeads;
        var query = Normed(Heads(mixed[0], _net.KeySize)).Multiply(1 / Math.Sqrt(_net.KeySize)).repeat_interleave(group, 1);
        var key = Normed(Heads(mixed[1], _net.KeySize)).repeat_interleave(group, 1);
        var strength = Numbers(maps[2]).sigmoid();
        // −softplus(x) is log σ(−x).
        var decay = nn.functional.logsigmoid(Numbers(maps[3]).Add(Shape(_shift.Value)).neg()).mul(Shape(_logarithm.Value).exp());
        var (read, table) = DeltaRule.Run(query, key, Heads(mixed[2], _net.ValueSize), strength, decay, states?[_layer, 1]);
        states?.Keep(_layer, 1, table.alias());
        var normed = _norm.Forward(read.transpose(1, 2).contiguous()).view(x.size(0), values);
        return _output.Forward((normed.to_type(ScalarType.Float32) * nn.functional.silu(maps[1].to_type(ScalarType.Float32))).to_type(maps[1].dtype)).MoveToOuterDisposeScope();

        // [B, T, H · S] → [B, H, T, S].
        Tensor Heads(Tensor tensor, long size) => tensor.view(rows, columns, -1, size).transpose(1, 2);

        // [B · T, H] → [B, H, T] float32.
        Tensor Numbers(Tensor tensor) => tensor.to_type(ScalarType.Float32).view(rows, columns, -1).transpose(1, 2);

        static Tensor Shape(Tensor ofHeads) => ofHeads.to_type(ScalarType.Float32).view(1, -1, 1);

        static Tensor Normed(Tensor heads) => heads * heads.Square().sum([-1], keepdim: true).Add(1e-6).rsqrt();
    }

    public void Initialise(Generator random)
    {
        foreach (var map in (Linear[])[_mixed, _gate, _strength, _decay]) map.Initialise(_settings.InitialDeviation, random);
        _convolution.Initialise(_settings.InitialDeviation, random);
        _norm.Initialise();
        _output.Initialise(_settings.ResidualInitialDeviation ?? _settings.InitialDeviation, random);
        using var gradients = no_grad();
        // A table forgets a quarter to three quarters of itself with each token.
        _logarithm.Value.Fill(0);
        _shift.Value.Fill(0);
    }

    public void Dispose() => _joint?.Dispose();
}

/// <summary>
/// S ← exp(g) S; S ← S + k ⊗ β (v − kᵀ S); what is read is qᵀ S (Yang et al. 2024, equation 10). One token is done so; more in chunks, each of which is a few products and one triangular system (section 3.3 there; Yang et al. 2024,
/// "Parallelizing linear transformers with the delta rule over sequence length").
/// </summary>
internal static class DeltaRule
{
    private const int Chunk = 64;

    /// <summary>Reads and corrects.</summary>
    /// <param name="query">q: [B, H, T, K] float32.</param>
    /// <param name="key">k: [B, H, T, K].</param>
    /// <param name="value">v: [B, H, T, V].</param>
    /// <param name="strength">β: [B, H, T].</param>
    /// <param name="decay">g: [B, H, T], at most 0.</param>
    /// <param name="table">S before the first token, [B, H, K, V]; null for zero.</param>
    /// <returns>What is read [B, H, T, V], and S after the last token.</returns>
    public static (Tensor Read, Tensor Table) Run(Tensor query, Tensor key, Tensor value, Tensor strength, Tensor decay, Tensor? table)
    {
        var state = table ?? zeros([key.size(0), key.size(1), key.size(3), value.size(3)], dtype: ScalarType.Float32, device: key.device);
        long columns = query.size(2);
        if (columns == 1) return Step(query, key, value, strength, decay, state);
        var read = new List<Tensor>();
        for (long first = 0; first < columns; first += Chunk)
        {
            var length = Math.Min(Chunk, columns - first);
            (var part, state) = OfChunk(Part(query), Part(key), Part(value), Part(strength), Part(decay), state);
            read.Add(part);

            Tensor Part(Tensor tensor) => tensor.narrow(2, first, length);
        }

        return (read.Count == 1 ? read[0] : cat(read, 2), state);
    }

    private static (Tensor Read, Tensor Table) Step(Tensor query, Tensor key, Tensor value, Tensor strength, Tensor decay, Tensor table)
    {
        var kept = table * decay.exp().unsqueeze(3);
        var correction = (value - key.matmul(kept)) * strength.unsqueeze(3);
        var state = kept.Add(key.transpose(2, 3).matmul(correction));
        return (query.matmul(state), state);
    }

    /// <summary>
    /// With G the sums of g from the chunk's beginning and D_ij = exp(G_i − G_j) for j ≤ i, the corrections u solve (I + β D k kᵀ below the diagonal) u = β (v − exp(G) k S).
    /// </summary>
    private static (Tensor Read, Tensor Table) OfChunk(Tensor query, Tensor key, Tensor value, Tensor strength, Tensor decay, Tensor table)
    {
        long columns = query.size(2);
        var sums = decay.cumsum(2);
        var future = ones([columns, columns], dtype: ScalarType.Bool, device: query.device).triu(1);
        // Beyond the diagonal differences are positive, and their exponentials without a bound.
        var between = sums.unsqueeze(3).sub(sums.unsqueeze(2)).MaskedFill(future, double.NegativeInfinity).exp();
        var since = sums.exp().unsqueeze(3);
        var past = key.matmul(key.transpose(2, 3)) * between * strength.unsqueeze(3);
        var corrections = linalg.solve_triangular(past.tril(-1), (value - key.matmul(table) * since) * strength.unsqueeze(3), upper: false, left: true, unitriangular: true);
        var read = (query * since).matmul(table).Add((query.matmul(key.transpose(2, 3)) * between).matmul(corrections));
        var total = sums.narrow(2, columns - 1, 1);
        var toEnd = total.sub(sums).exp().unsqueeze(3);
        return (read, (table * total.exp().unsqueeze(3)).Add((key * toEnd).transpose(2, 3).matmul(corrections)));
    }
}
