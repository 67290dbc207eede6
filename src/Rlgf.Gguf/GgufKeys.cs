namespace Rlgf.Gguf;

/// <summary>
/// What becomes of the keys of a GGUF file. Each of the architecture's and the tokenizer's is used, known to change nothing, or known to change nothing at some values; any other is refused by its name, since what it would change
/// would be missing from the converted model.
/// </summary>
internal static class GgufKeys
{
    /// <summary>Keys of the architecture that the configuration is made of.</summary>
    private static readonly HashSet<string> Used =
    [
        "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.layer_norm_rms_epsilon", "attention.scale", "attention.sliding_window", "attention.value_length", "block_count", "context_length", "embedding_length",
        "expert_count", "feed_forward_length", "rope.dimension_count", "rope.freq_base", "rope.scale_linear", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.type", "vocab_size",
    ];

    /// <summary>
    /// Keys of the architecture that change nothing: how a file came to be, what only other architectures or other uses (embeddings) read, and the details of a scaling (YaRN) that is refused by its type.
    /// </summary>
    private static readonly HashSet<string> Harmless =
    [
        "attention.layer_norm_epsilon", "attention.sliding_window_pattern", "pooling_type", "rope.scaling.finetuned", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow", "rope.scaling.yarn_ext_factor", "tensor_data_layout",
    ];

    /// <summary>Keys of the architecture that change nothing at these values.</summary>
    private static readonly Dictionary<string, double[]> Neutral = new(StringComparer.Ordinal)
    {
        ["attention.causal"] = [1],
        ["attention.clamp_kqv"] = [0],
        ["attention.max_alibi_bias"] = [0],
        ["attention.output_scale"] = [0, 1],
        ["attention.value_scale"] = [0, 1],
        ["attn_logit_softcapping"] = [0],
        ["embedding_scale"] = [0, 1],
        ["expert_feed_forward_length"] = [0],
        ["expert_shared_count"] = [0],
        ["expert_used_count"] = [0],
        ["final_logit_softcapping"] = [0],
        ["leading_dense_block_count"] = [0],
        ["logit_scale"] = [0, 1],
        ["nextn_predict_layers"] = [0],
        ["residual_scale"] = [0, 1],
        ["rope.scaling.alpha"] = [0, 1],
        ["rope.scaling.attn_factor"] = [0, 1],
        ["rope.scaling.yarn_attn_factor"] = [1],
        ["rope.scaling.yarn_log_multiplier"] = [0],
        ["router_logit_softcapping"] = [0],
        ["use_parallel_residual"] = [0],
    };

    private const string Tokenizer = "tokenizer.ggml.";

    private static readonly HashSet<string> UsedOfTokenizer =
    [
        "add_bos_token", "add_eos_token", "add_space_prefix", "bos_token_id", "eom_token_id", "eos_token_id", "eot_token_id", "merges", "model", "padding_token_id", "pre", "scores", "suppress_tokens", "token_type", "tokens",
        "unknown_token_id",
    ];

    /// <summary>Tokens with roles that nothing here asks for; they are tokens all the same.</summary>
    private static readonly HashSet<string> HarmlessOfTokenizer =
    [
        "cls_token_id", "fim_mid_token_id", "fim_pad_token_id", "fim_pre_token_id", "fim_rep_token_id", "fim_sep_token_id", "fim_suf_token_id", "mask_token_id", "middle_token_id", "prefix_token_id", "seperator_token_id",
        "separator_token_id", "suffix_token_id",
    ];

    private static readonly Dictionary<string, double[]> NeutralOfTokenizer = new(StringComparer.Ordinal)
    {
        ["add_sep_token"] = [0],
        ["normalizer.lowercase"] = [0],
        ["normalizer.strip_accents"] = [0],
        ["precompiled_charsmap"] = [],
        ["remove_extra_whitespaces"] = [0],
        ["token_type_count"] = [0, 1],
    };

    /// <summary>Who made a file and how: nothing that a model computes.</summary>
    private static readonly string[] AboutTheFile = ["general.", "quantize.", "imatrix.", "split.", "tokenizer.chat_template", "tokenizer.huggingface."];

    /// <summary>Makes sure that every key of the architecture is used or changes nothing.</summary>
    /// <param name="metadata">The keys.</param>
    /// <param name="architecture">The architecture, which they begin with.</param>
    /// <param name="alsoUsed">Keys that the configuration of this architecture is made of beside those of all.</param>
    /// <exception cref="Rlgf.Base.InputException">One would change what the model computes.</exception>
    public static void CheckModel(GgufMetadata metadata, string architecture, IReadOnlyCollection<string> alsoUsed)
    {
        if (metadata.Text("general.type") is { } type && type != "model") throw metadata.Fault("general.type", $"is '{type}': the file holds no whole model, and others aren't converted");
        Check(metadata, $"{architecture}.", [.. Used, .. alsoUsed], Harmless, Neutral, "the model computes");
    }

    /// <summary>Makes sure that every key of the tokenizer is used or changes nothing.</summary>
    /// <exception cref="Rlgf.Base.InputException">One would change the tokens of a text.</exception>
    public static void CheckTokenizer(GgufMetadata metadata) => Check(metadata, Tokenizer, UsedOfTokenizer, HarmlessOfTokenizer, NeutralOfTokenizer, "the tokenizer gives");

    /// <summary>Keys that belong neither to the architecture nor to the tokenizer and aren't known: they are passed over, and it is said.</summary>
    public static IEnumerable<string> Foreign(GgufMetadata metadata)
    {
        var architecture = $"{metadata.Text("general.architecture")}.";
        return metadata.Keys.Where(key => !key.StartsWith(architecture, StringComparison.Ordinal) && !key.StartsWith(Tokenizer, StringComparison.Ordinal)
            && !Array.Exists(AboutTheFile, known => key.StartsWith(known, StringComparison.Ordinal))).Order(StringComparer.Ordinal);
    }

    private static void Check(GgufMetadata metadata, string prefix, HashSet<string> used, HashSet<string> harmless, Dictionary<string, double[]> neutral, string what)
    {
        foreach (var key in metadata.Keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            var name = key[prefix.Length..];
            if (used.Contains(name) || harmless.Contains(name)) continue;
            if (!neutral.TryGetValue(name, out var values)) throw metadata.Fault(key, $"is a key that isn't known here; it may change what {what}");
            if (!metadata.IsAmong(key, values)) throw metadata.Fault(key, $"is {metadata.Shown(key)}, which isn't converted: it changes what {what}");
        }
    }
}
