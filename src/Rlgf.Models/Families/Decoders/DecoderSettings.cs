using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>All that tells one decoder-only model from another: what a family reads from its <c>config.json</c>.</summary>
internal sealed record DecoderSettings
{
    /// <summary>V.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The most tokens of a row.</summary>
    public required int Context { get; init; }

    /// <summary>D.</summary>
    public required int Width { get; init; }

    /// <summary>L.</summary>
    public required int Layers { get; init; }

    /// <summary>H: heads that ask.</summary>
    public required int Heads { get; init; }

    /// <summary>Heads that have keys and values; divides <see cref="Heads"/>, and each serves as many neighbours.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Numbers per head. Times <see cref="Heads"/> it need not be <see cref="Width"/>.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Width inside the two-layer network.</summary>
    public required int Inner { get; init; }

    /// <summary>Makes a norm of a width.</summary>
    public required Func<int, Device, INorm> Norm { get; init; }

    /// <summary>Activation inside the network.</summary>
    public required Activation Activation { get; init; }

    /// <summary>Rotation by position; null where positions are learned (<see cref="DecoderNames.PositionEmbedding"/>).</summary>
    public RotarySettings? Rotary { get; init; }

    /// <summary>Row of the learned positions that position 0 has.</summary>
    public int FirstPosition { get; init; }

    /// <summary>How many tokens a token sees, itself included; null for all before it.</summary>
    public int? Window { get; init; }

    /// <summary>What embeddings are multiplied by.</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>Whether attention and network both read the block's input, rather than the network what attention made of it.</summary>
    public bool ParallelResidual { get; init; }

    /// <summary>How queries, keys and values are stored.</summary>
    public QueryKeyValueLayout QueryKeyValueLayout { get; init; }

    /// <summary>Whether each head's query and key are normalised.</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>How the network is built.</summary>
    public NetworkLayout NetworkLayout { get; init; }

    /// <summary>Whether queries, keys and values are shifted.</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether what attention adds is shifted.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the network's maps are shifted.</summary>
    public bool NetworkBias { get; init; }

    /// <summary>Whether weights are stored [in, out].</summary>
    public bool TransposedWeights { get; init; }

    /// <summary>Whether the head is the embedding itself.</summary>
    public required bool TiedHead { get; init; }

    /// <summary>Whether the head is shifted.</summary>
    public bool HeadBias { get; init; }

    /// <summary>Standard deviation of fresh weights.</summary>
    public required double InitialDeviation { get; init; }

    /// <summary>That of weights that add to the residual stream, where it is another.</summary>
    public double? ResidualInitialDeviation { get; init; }

    /// <summary>The parameters' names.</summary>
    public DecoderNames Names { get; init; } = new();

    /// <summary>The sizes that callers need.</summary>
    public LanguageModelShape Shape => new(Vocabulary, Width, Context);

    /// <summary>The numbers per head where all heads together have the model's width.</summary>
    /// <exception cref="Rlgf.Base.InputException">They don't.</exception>
    public static int WidthPerHead(ModelConfiguration configuration, string widthKey, int width, string headsKey, int heads) =>
        width % heads == 0 ? width / heads : throw configuration.Fault(headsKey, $"is {heads}, which doesn't divide {widthKey} = {width}");

    /// <summary>Makes a map of states as the family stores it.</summary>
    public IProjection Projection(int inputs, int outputs, bool bias, Device device) => TransposedWeights ? new Conv1D(inputs, outputs, device) : new Linear(inputs, outputs, bias, device);
}

/// <summary>How a file holds the maps to queries, keys and values.</summary>
internal enum QueryKeyValueLayout
{
    /// <summary>Three maps.</summary>
    Separate,

    /// <summary>One map: all queries, all keys, all values.</summary>
    Fused,

    /// <summary>One map: for each head its query, key and value.</summary>
    FusedByHead,
}

/// <summary>How the two-layer network is built and stored.</summary>
internal enum NetworkLayout
{
    /// <summary>down(act(up(x))).</summary>
    Plain,

    /// <summary>down(act(gate(x)) · up(x)) (Shazeer 2020).</summary>
    Gated,

    /// <summary>The same with one map for gate and up, one after the other.</summary>
    FusedGated,
}

/// <summary>What a family's checkpoints call its parts. As it stands: the names of Llama and of those that follow it.</summary>
internal sealed record DecoderNames
{
    /// <summary>All but the head.</summary>
    public string Trunk { get; init; } = "model";

    /// <summary>Within the trunk.</summary>
    public string TokenEmbedding { get; init; } = "embed_tokens";

    /// <summary>Learned positions, within the trunk; null where there are none.</summary>
    public string? PositionEmbedding { get; init; }

    /// <summary>Within the trunk; a layer's number follows.</summary>
    public string Layers { get; init; } = "layers";

    /// <summary>Within the trunk.</summary>
    public string FinalNorm { get; init; } = "norm";

    /// <summary>Beside the trunk.</summary>
    public string Head { get; init; } = "lm_head";

    /// <summary>Within a layer, as are those that follow.</summary>
    public string AttentionNorm { get; init; } = "input_layernorm";

    /// <summary>The norm before the network; null where it reads what attention reads.</summary>
    public string? NetworkNorm { get; init; } = "post_attention_layernorm";

    /// <summary>The level of attention.</summary>
    public string Attention { get; init; } = "self_attn";

    /// <summary>Within attention: one name for each map that there is.</summary>
    public string[] QueriesKeysValues { get; init; } = ["q_proj", "k_proj", "v_proj"];

    /// <summary>Within attention.</summary>
    public string AttentionOutput { get; init; } = "o_proj";

    /// <summary>The network's maps in the order of use: gate and up, or the one that reads the state; then down.</summary>
    public string[] Network { get; init; } = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
}
