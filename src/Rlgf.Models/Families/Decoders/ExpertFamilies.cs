using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>Qwen3 with mixtures of experts (Yang et al. 2025).</summary>
internal static class Qwen3MoeFamily
{
    private const int FormatHeadSize = 128;

    public static DecoderFamily Instance { get; } = new("qwen3_moe", "Qwen3Moe", Read)
    {
        Rotary = RotaryKeys.Llama,
        WriteForOtherReaders = (configuration, json) =>
        {
            if ((json["num_local_experts"] ?? json["num_experts"])?.DeepClone() is not { } experts) return;
            json["num_experts"] = experts;
            json["num_local_experts"] = experts.DeepClone();
        },
    };

    private static DecoderSettings Read(ModelConfiguration file)
    {
        // transformers 5 calls their number otherwise than 4.
        var key = file.OptionalSize("num_local_experts") is null ? "num_experts" : "num_local_experts";
        var configuration = file.WithDefaults("""{"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "decoder_sparse_step": 1}""");
        Qwen2Family.RequireFullAttention(configuration);
        var settings = LlamaFamily.Read(configuration, FormatHeadSize);
        var experts = new ExpertsSettings
        {
            Experts = configuration.Size(key),
            Used = MixtralFamily.Used(configuration, key),
            Inner = configuration.Size("moe_intermediate_size"),
            Activation = settings.Network.Activation,
            Normalised = configuration.Flag("norm_topk_prob", formatDefault: false),
            Router = "mlp.gate",
            Level = "mlp.experts",
            Maps = ["gate_proj", "up_proj", "down_proj"],
        };
        var (dense, step) = (configuration.Numbers("mlp_only_layers"), configuration.Size("decoder_sparse_step"));
        return settings with
        {
            Attention = settings.Attention with { QueryKeyNorm = QueryKeyNorm.PerHead },
            Networks = [.. Enumerable.Range(0, settings.Layers).Select(layer => dense.Contains(layer) || (layer + 1) % step != 0 ? (NetworkSettings)settings.Network : experts)],
        };
    }
}

/// <summary>Mixtral (Jiang et al. 2024): Mistral with a mixture of experts in every layer.</summary>
internal static class MixtralFamily
{
    private static readonly RotaryKeys Keys = RotaryKeys.Llama with { FormatBase = 1_000_000 };

    public static DecoderFamily Instance { get; } = new("mixtral", "Mixtral", Read) { Rotary = Keys };

    /// <summary>How many experts a token is given to.</summary>
    /// <exception cref="Rlgf.Base.InputException">There aren't as many.</exception>
    public static int Used(ModelConfiguration configuration, string expertsKey)
    {
        var (used, experts) = (configuration.Size("num_experts_per_tok"), configuration.Size(expertsKey));
        return used <= experts ? used : throw configuration.Fault("num_experts_per_tok", $"is {used}, and {expertsKey} is {experts}");
    }

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults("""{"num_local_experts": 8, "num_experts_per_tok": 2, "num_key_value_heads": 8}""");
        var settings = LlamaFamily.Read(configuration, keys: Keys);
        var experts = new ExpertsSettings
        {
            Experts = configuration.Size("num_local_experts"),
            Used = Used(configuration, "num_local_experts"),
            Inner = settings.Network.Inner,
            Activation = settings.Network.Activation,
            Normalised = true,
            Router = "block_sparse_moe.gate",
            Level = "block_sparse_moe.experts",
            Maps = ["w1", "w3", "w2"],
        };
        return settings with
        {
            Attention = settings.Attention with { Window = configuration.OptionalSize("sliding_window") },
            Networks = [.. Enumerable.Repeat<NetworkSettings>(experts, settings.Layers)],
        };
    }
}
