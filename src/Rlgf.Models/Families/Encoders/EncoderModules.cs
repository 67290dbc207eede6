using Rlgf.Models.Blocks;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using LayerNorm = Rlgf.Models.Blocks.LayerNorm;
using Linear = Rlgf.Models.Blocks.Linear;

namespace Rlgf.Models.Families.Encoders;

/// <summary>What a family of encoders calls its parts.</summary>
/// <param name="Trunk">First part of all names but the head's.</param>
/// <param name="HeadInner">The head's first product.</param>
/// <param name="HeadOuter">The head's second product, one row for each label.</param>
/// <param name="TiedHead">The weight of the head that fills gaps which is the embedding's: a file may have it in the embedding's place.</param>
internal sealed record EncoderNames(string Trunk, string HeadInner, string HeadOuter, string TiedHead)
{
    /// <summary>The norm between the head's products; null where there is none.</summary>
    public string? HeadNorm { get; init; }

    /// <summary>The table of tokens, within the trunk.</summary>
    public string TokenEmbedding { get; init; } = "embeddings.word_embeddings";

    /// <summary>What the trunk's parts begin with where it was saved alone, without its own name.</summary>
    public IReadOnlyList<string> InTrunk { get; init; } = ["embeddings", "encoder", "transformer", "pooler"];
}

/// <summary>What an encoder's head does of the row's states.</summary>
/// <param name="Width">D.</param>
/// <param name="Activation">Between its two products.</param>
/// <param name="InitialDeviation">Of fresh weights.</param>
internal sealed record EncoderHead(int Width, Func<Tensor, Tensor> Activation, double InitialDeviation)
{
    /// <summary>Whether the mean of the row's states is read rather than the first token's.</summary>
    public bool ReadsMean { get; init; }

    /// <summary>Whether the first product is shifted.</summary>
    public bool InnerBias { get; init; } = true;

    /// <summary>Makes the norm after the activation; null where there is none.</summary>
    public Func<Device, LayerNorm>? Norm { get; init; }
}

/// <summary>The sizes of an encoder that its rows must fit.</summary>
/// <param name="Vocabulary">V.</param>
/// <param name="Positions">The most positions of a row.</param>
/// <param name="Segments">How many texts of a row are told apart; 0 where none are.</param>
/// <param name="Layers">L.</param>
internal sealed record EncoderShape(int Vocabulary, int Positions, int Segments, int Layers);

/// <summary>Rows that an encoder reads, padded on the right.</summary>
/// <param name="Ids">[B, T] int64.</param>
/// <param name="Positions">[B, T] int64: rows of the position table.</param>
/// <param name="Segments">[B, T] int64: which of its row's texts a token belongs to.</param>
/// <param name="Lengths">[B].</param>
internal readonly record struct EncoderInput(Tensor Ids, Tensor Positions, Tensor Segments, IReadOnlyList<int> Lengths)
{
    /// <summary>T.</summary>
    public int Columns => (int)Ids.size(1);
}

/// <summary>An encoder without its head.</summary>
internal interface IEncoderTrunk : IDisposable
{
    /// <summary>Its sizes.</summary>
    EncoderShape Shape { get; }

    /// <summary>Told what each layer reads, [B·T, D]: where a new family differs from what is expected, the first layer that does can be found so.</summary>
    Action<Tensor>? LayerInput { get; set; }

    /// <summary>The parts under the family's names.</summary>
    IEnumerable<(string Name, nn.Module Module)> Named();

    /// <summary>Runs the layers.</summary>
    /// <param name="input">The rows.</param>
    /// <param name="layers">How many layers are run, from 0; null for all.</param>
    /// <returns>[B, T, D] float32.</returns>
    Tensor States(in EncoderInput input, int? layers);

    /// <summary>Draws fresh weights as the family does.</summary>
    void Initialise(Generator random);
}

/// <summary>An encoder of any family with a head that scores labels from the state of the first token, or from the mean of all.</summary>
internal sealed class EncoderClassifierModule : nn.Module
{
    private readonly IEncoderTrunk _trunk;
    private readonly EncoderHead _head;
    private readonly Linear _headInner;
    private readonly LayerNorm? _headNorm;
    private readonly Linear _headOuter;

    public EncoderClassifierModule(IEncoderTrunk trunk, EncoderHead head, EncoderNames names, int labels, Device device) : base(nameof(EncoderClassifierModule))
    {
        (_trunk, _head) = (trunk, head);
        _headInner = new Linear(head.Width, head.Width, head.InnerBias, device);
        _headNorm = head.Norm?.Invoke(device);
        _headOuter = new Linear(head.Width, labels, bias: true, device);
        (string?, nn.Module?)[] parts = [(names.HeadInner, _headInner), (names.HeadNorm, _headNorm), (names.HeadOuter, _headOuter)];
        NamedModules.Register(this, [.. trunk.Named(), .. parts.Where(part => part.Item2 is not null).Select(part => (part.Item1!, part.Item2!))]);
    }

    /// <summary>Sizes of the trunk.</summary>
    public EncoderShape Shape => _trunk.Shape;

    /// <summary>As <see cref="IEncoderTrunk.LayerInput"/>.</summary>
    internal Action<Tensor>? LayerInput
    {
        get => _trunk.LayerInput;
        set => _trunk.LayerInput = value;
    }

    /// <summary>As <see cref="IEncoderTrunk.States"/>.</summary>
    public Tensor States(in EncoderInput input, int? layers = null) => _trunk.States(input, layers);

    /// <summary>The labels' scores.</summary>
    /// <param name="states">[B, T, D] after all layers.</param>
    /// <param name="lengths">[B].</param>
    /// <returns>[B, C] float32.</returns>
    public Tensor Logits(Tensor states, IReadOnlyList<int> lengths)
    {
        using var scope = NewDisposeScope();
        var x = _head.Activation(_headInner.Forward(_head.ReadsMean ? Mean(states, lengths) : states.select(1, 0)));
        if (_headNorm is not null) x = _headNorm.Forward(x);
        return _headOuter.Forward(x).MoveToOuterDisposeScope();
    }

    public void Initialise(Generator random)
    {
        _trunk.Initialise(random);
        _headInner.Initialise(_head.InitialDeviation, random);
        _headNorm?.Initialise();
        _headOuter.Initialise(_head.InitialDeviation, random);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _trunk.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>[B, T, D] → [B, D]: the mean of each row's own states.</summary>
    private static Tensor Mean(Tensor states, IReadOnlyList<int> lengths)
    {
        var columns = (int)states.size(1);
        var shares = new float[lengths.Count * columns];
        for (var b = 0; b < lengths.Count; b++) shares.AsSpan(b * columns, lengths[b]).Fill(1f / lengths[b]);
        return tensor(shares, [lengths.Count, 1, columns], device: states.device).to_type(states.dtype).matmul(states).squeeze(1);
    }
}
