using System.Text.Json.Nodes;

namespace Rlgf.Models.Loading;

/// <summary>What becomes of a key of <c>generation_config.json</c>.</summary>
internal enum GenerationKeyUse
{
    /// <summary>It applies to what is written.</summary>
    Used,

    /// <summary>It changes no token that is written here: how transformers caches, compiles, drafts and reports.</summary>
    Harmless,

    /// <summary>It would change what is written, and doesn't here.</summary>
    NotUsed,
}

/// <summary>A known key.</summary>
/// <param name="Use">What becomes of it.</param>
/// <param name="Neutral">The value that asks for nothing, as JSON; null for none beside null.</param>
/// <param name="Option">The option of <c>rlgf generate</c> that decides instead, or where it applies goes before it; null for none.</param>
internal sealed record GenerationKey(GenerationKeyUse Use, string? Neutral = null, string? Option = null)
{
    /// <summary>The keys of transformers' GenerationConfig, version 5 and what versions 4 had beside them.</summary>
    public static readonly IReadOnlyDictionary<string, GenerationKey> All = new Dictionary<string, GenerationKey>(StringComparer.Ordinal)
    {
        ["bad_words_ids"] = new(GenerationKeyUse.Used),
        ["begin_suppress_tokens"] = new(GenerationKeyUse.Used),
        ["bos_token_id"] = new(GenerationKeyUse.Used),
        ["decoder_start_token_id"] = new(GenerationKeyUse.Used),
        ["eos_token_id"] = new(GenerationKeyUse.Used),
        ["forced_bos_token_id"] = new(GenerationKeyUse.Used),
        ["forced_eos_token_id"] = new(GenerationKeyUse.Used),
        ["min_length"] = new(GenerationKeyUse.Used, "0", "--min-new-tokens"),
        ["min_new_tokens"] = new(GenerationKeyUse.Used, "0", "--min-new-tokens"),
        ["no_repeat_ngram_size"] = new(GenerationKeyUse.Used, "0", "--no-repeat-ngram"),
        ["repetition_penalty"] = new(GenerationKeyUse.Used, "1", "--repetition-penalty"),
        ["sequence_bias"] = new(GenerationKeyUse.Used),
        ["suppress_tokens"] = new(GenerationKeyUse.Used),

        ["do_sample"] = new(GenerationKeyUse.NotUsed, "true", "--greedy"),
        ["length_penalty"] = new(GenerationKeyUse.NotUsed, "1", "--length-penalty"),
        ["max_length"] = new(GenerationKeyUse.NotUsed, "20", "--max-new-tokens"),
        ["max_new_tokens"] = new(GenerationKeyUse.NotUsed, null, "--max-new-tokens"),
        ["num_beams"] = new(GenerationKeyUse.NotUsed, "1", "--beams"),
        ["stop_strings"] = new(GenerationKeyUse.NotUsed, null, "--stop"),
        ["temperature"] = new(GenerationKeyUse.NotUsed, "1", "--temperature"),
        ["top_k"] = new(GenerationKeyUse.NotUsed, "0", "--top-k"),
        ["top_p"] = new(GenerationKeyUse.NotUsed, "1", "--top-p"),

        ["constraints"] = new(GenerationKeyUse.NotUsed),
        ["diversity_penalty"] = new(GenerationKeyUse.NotUsed, "0"),
        ["dola_layers"] = new(GenerationKeyUse.NotUsed),
        ["early_stopping"] = new(GenerationKeyUse.NotUsed, "false"),
        ["encoder_no_repeat_ngram_size"] = new(GenerationKeyUse.NotUsed, "0"),
        ["encoder_repetition_penalty"] = new(GenerationKeyUse.NotUsed, "1"),
        ["epsilon_cutoff"] = new(GenerationKeyUse.NotUsed, "0"),
        ["eta_cutoff"] = new(GenerationKeyUse.NotUsed, "0"),
        ["exponential_decay_length_penalty"] = new(GenerationKeyUse.NotUsed),
        ["force_words_ids"] = new(GenerationKeyUse.NotUsed),
        ["forced_decoder_ids"] = new(GenerationKeyUse.NotUsed),
        ["guidance_scale"] = new(GenerationKeyUse.NotUsed, "1"),
        ["max_time"] = new(GenerationKeyUse.NotUsed),
        ["min_p"] = new(GenerationKeyUse.NotUsed, "0"),
        ["num_beam_groups"] = new(GenerationKeyUse.NotUsed, "1"),
        ["num_return_sequences"] = new(GenerationKeyUse.NotUsed, "1"),
        ["penalty_alpha"] = new(GenerationKeyUse.NotUsed, "0"),
        ["remove_invalid_values"] = new(GenerationKeyUse.NotUsed, "false"),
        ["renormalize_logits"] = new(GenerationKeyUse.NotUsed, "false"),
        ["token_healing"] = new(GenerationKeyUse.NotUsed, "false"),
        ["top_h"] = new(GenerationKeyUse.NotUsed),
        ["typical_p"] = new(GenerationKeyUse.NotUsed, "1"),
        ["watermarking_config"] = new(GenerationKeyUse.NotUsed),

        ["_commit_hash"] = new(GenerationKeyUse.Harmless),
        ["_from_model_config"] = new(GenerationKeyUse.Harmless),
        ["assistant_confidence_threshold"] = new(GenerationKeyUse.Harmless),
        ["assistant_early_exit"] = new(GenerationKeyUse.Harmless),
        ["assistant_ensemble_weight"] = new(GenerationKeyUse.Harmless),
        ["assistant_lookbehind"] = new(GenerationKeyUse.Harmless),
        ["cache_config"] = new(GenerationKeyUse.Harmless),
        ["cache_implementation"] = new(GenerationKeyUse.Harmless),
        ["compile_config"] = new(GenerationKeyUse.Harmless),
        ["continuous_batching_config"] = new(GenerationKeyUse.Harmless),
        ["disable_compile"] = new(GenerationKeyUse.Harmless),
        ["is_assistant"] = new(GenerationKeyUse.Harmless),
        ["low_memory"] = new(GenerationKeyUse.Harmless),
        ["max_cache_len"] = new(GenerationKeyUse.Harmless),
        ["max_matching_ngram_size"] = new(GenerationKeyUse.Harmless),
        ["num_assistant_tokens"] = new(GenerationKeyUse.Harmless),
        ["num_assistant_tokens_schedule"] = new(GenerationKeyUse.Harmless),
        ["output_attentions"] = new(GenerationKeyUse.Harmless),
        ["output_hidden_states"] = new(GenerationKeyUse.Harmless),
        ["output_logits"] = new(GenerationKeyUse.Harmless),
        ["output_scores"] = new(GenerationKeyUse.Harmless),
        ["pad_token_id"] = new(GenerationKeyUse.Harmless),
        ["prefill_chunk_size"] = new(GenerationKeyUse.Harmless),
        ["prompt_lookup_num_tokens"] = new(GenerationKeyUse.Harmless),
        ["return_dict_in_generate"] = new(GenerationKeyUse.Harmless),
        ["return_legacy_cache"] = new(GenerationKeyUse.Harmless),
        ["target_lookbehind"] = new(GenerationKeyUse.Harmless),
        ["transformers_version"] = new(GenerationKeyUse.Harmless),
        ["use_cache"] = new(GenerationKeyUse.Harmless),
        ["use_mtp"] = new(GenerationKeyUse.Harmless),
    };

    /// <summary>Whether a value asks for nothing.</summary>
    public bool IsNeutral(JsonNode? value) => value is null || (Neutral is not null && JsonNode.DeepEquals(JsonNode.Parse(Neutral), value))
        || (value is JsonValue one && one.TryGetValue<double>(out var number) && Neutral is not null && double.TryParse(Neutral, System.Globalization.CultureInfo.InvariantCulture, out var neutral) && number == neutral);

    /// <summary>
    /// What a <c>config.json</c> says about generating: older versions of transformers kept it there, and it holds where there is no <c>generation_config.json</c>.
    /// </summary>
    public static JsonObject Of(JsonObject configuration)
    {
        var settings = new JsonObject();
        foreach (var (key, known) in All)
        {
            if ((known.Use != GenerationKeyUse.Harmless || key == "pad_token_id") && configuration[key] is { } value) settings[key] = value.DeepClone();
        }

        // An older name of the same wish: a response begins with the token that begins texts.
        if (configuration["force_bos_token_to_be_generated"] is JsonValue force && force.TryGetValue<bool>(out var forces) && forces) settings["forced_bos_token_id"] ??= configuration["bos_token_id"]?.DeepClone();
        return settings;
    }
}
