using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Decoders;

/// <summary>
/// All that tells one decoder-only model from another: what a family reads from its <c>config.json</c>. A model is embeddings, blocks and a head; a block is a part that mixes tokens (<see cref="MixerSettings"/>) and a network for
/// each token (<see cref="NetworkSettings"/>), of which every layer may have its own, with norms where <see cref="DecoderNames"/> names them.
/// </summary>
internal sealed record DecoderSettings
{
    /// <summary>V.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>The most tokens of a row; <see cref="int.MaxValue"/> without a limit.</summary>
    public required int Context { get; init; }

    /// <summary>D.</summary>
    public required int Width { get; init; }

    /// <summary>L.</summary>
    public required int Layers { get; init; }

    /// <summary>How tokens see each other, in every layer of which <see cref="Mixers"/> says nothing else.</summary>
    public required AttentionSettings Attention { get; init; }

    /// <summary>L of them, where layers differ; null where all have <see cref="Attention"/>.</summary>
    public IReadOnlyList<MixerSettings>? Mixers { get; init; }

    /// <summary>The two-layer network, in every layer of which <see cref="Networks"/> says nothing else.</summary>
    public required FeedForwardSettings Network { get; init; }

    /// <summary>L of them, where layers differ; null where all have <see cref="Network"/>.</summary>
    public IReadOnlyList<NetworkSettings>? Networks { get; init; }

    /// <summary>Makes a norm of a width.</summary>
    public required Func<int, Device, INorm> Norm { get; init; }

    /// <summary>Whether the first layer's attention reads the norm of the embeddings, without one of its own.</summary>
    public bool FirstLayerReadsEmbeddingNorm { get; init; }

    /// <summary>Row of the learned positions that position 0 has.</summary>
    public int FirstPosition { get; init; }

    /// <summary>What embeddings are multiplied by.</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>What a block's two parts are multiplied by before they are added to the residual stream.</summary>
    public double ResidualScale { get; init; } = 1;

    /// <summary>What logits are divided by.</summary>
    public double LogitDivisor { get; init; } = 1;

    /// <summary>c: a logit l becomes c · tanh(l / c), after its division; null for none.</summary>
    public double? LogitCap { get; init; }

    /// <summary>Whether attention and network both read the block's input, rather than the network what attention made of it.</summary>
    public bool ParallelResidual { get; init; }

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

    /// <summary>What a layer mixes tokens with.</summary>
    public MixerSettings MixerOf(int layer) => Mixers is null ? Attention : Mixers[layer];

    /// <summary>A layer's network.</summary>
    public NetworkSettings NetworkOf(int layer) => Networks is null ? Network : Networks[layer];

    /// <summary>Makes a map of states as the family stores it.</summary>
    public IProjection Projection(int inputs, int outputs, bool bias, Device device) => TransposedWeights ? new Conv1D(inputs, outputs, device) : new Linear(inputs, outputs, bias, device);
}

/// <summary>What a family's checkpoints call its parts. As it stands: the names of Llama and of those that follow it.</summary>
internal sealed record DecoderNames
{
    /// <summary>The names of GPT-2, most of which families that came of it kept.</summary>
    public static DecoderNames OfGpt2 { get; } = new()
    {
        Trunk = "transformer",
        TokenEmbedding = "wte",
        PositionEmbedding = "wpe",
        Layers = "h",
        FinalNorm = "ln_f",
        AttentionNorm = "ln_1",
        Attention = "attn",
        QueriesKeysValues = ["c_attn"],
        AttentionOutput = "c_proj",
        NetworkNorm = "ln_2",
        Network = ["mlp.c_fc", "mlp.c_proj"],
    };

    /// <summary>All but the head.</summary>
    public string Trunk { get; init; } = "model";

    /// <summary>Within the trunk.</summary>
    public string TokenEmbedding { get; init; } = "embed_tokens";

    /// <summary>Learned positions, within the trunk; null where there are none.</summary>
    public string? PositionEmbedding { get; init; }

    /// <summary>The norm of what the layers read first, within the trunk; null where there is none.</summary>
    public string? EmbeddingNorm { get; init; }

    /// <summary>Within the trunk; a layer's number follows.</summary>
    public string Layers { get; init; } = "layers";

    /// <summary>Within the trunk.</summary>
    public string FinalNorm { get; init; } = "norm";

    /// <summary>Beside the trunk.</summary>
    public string Head { get; init; } = "lm_head";

    /// <summary>The norm before attention, within a layer, as are those that follow; null where there is none.</summary>
    public string? AttentionNorm { get; init; } = "input_layernorm";

    /// <summary>The norm of what attention adds; null where there is none.</summary>
    public string? AttentionOutputNorm { get; init; }

    /// <summary>The norm before the network; null where it reads what attention reads, or beside no other norm the stream itself.</summary>
    public string? NetworkNorm { get; init; } = "post_attention_layernorm";

    /// <summary>The norm of what the network adds; null where there is none.</summary>
    public string? NetworkOutputNorm { get; init; }

    /// <summary>The level of attention.</summary>
    public string Attention { get; init; } = "self_attn";

    /// <summary>Within attention: one name for each map that there is.</summary>
    public string[] QueriesKeysValues { get; init; } = ["q_proj", "k_proj", "v_proj"];

    /// <summary>Within attention.</summary>
    public string AttentionOutput { get; init; } = "o_proj";

    /// <summary>The heads' scores for no token, within attention.</summary>
    public string Sinks { get; init; } = "sinks";

    /// <summary>The norm of queries, within attention.</summary>
    public string QueryNorm { get; init; } = "q_norm";

    /// <summary>The norm of keys, within attention.</summary>
    public string KeyNorm { get; init; } = "k_norm";

    /// <summary>The network's maps in the order of use: gate and up, or the one that reads the state; then down.</summary>
    public string[] Network { get; init; } = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
}
