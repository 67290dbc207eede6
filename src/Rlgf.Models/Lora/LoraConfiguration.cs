using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Lora;

/// <summary>What <c>adapter_config.json</c> says, in PEFT's format. Keys that nobody asks for are kept and written back.</summary>
/// <param name="Json">All of it.</param>
/// <param name="Rank">r.</param>
/// <param name="Scaling">What the product is multiplied by.</param>
/// <param name="Dropout">Share of the inputs that training leaves out.</param>
/// <param name="ModulesToSave">Modules beside the adapter that are trained and stored whole.</param>
/// <param name="BaseFolder">Full path of the base model's folder; what the file calls it may be relative, or a name.</param>
internal sealed record LoraConfiguration(JsonObject Json, int Rank, double Scaling, double Dropout, IReadOnlyList<string> ModulesToSave, string BaseFolder)
{
    /// <summary>Reads the settings of an adapter, and refuses by name what isn't supported.</summary>
    /// <param name="configuration">The file.</param>
    /// <param name="baseFolder">Where the base model was found.</param>
    public static LoraConfiguration Read(ModelConfiguration configuration, string baseFolder)
    {
        if (configuration.Text("peft_type") is var kind && kind != "LORA") throw configuration.Fault("peft_type", $"is '{kind}': only LORA is supported");
        if (configuration.Text("bias") is { } bias && bias != "none") throw configuration.Fault("bias", $"is '{bias}': only none is supported");
        foreach (var key in (string[])["use_dora", "lora_bias", "use_qalora", "use_bdlora"]) configuration.RequireFlag(key, false);
        var json = configuration.ToJson();
        foreach (var key in (string[])["rank_pattern", "alpha_pattern", "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens"])
        {
            if (json[key] is not (null or JsonObject { Count: 0 } or JsonArray { Count: 0 })) throw configuration.Fault(key, "is set, which isn't supported");
        }

        var rank = configuration.Size("r");
        var scaling = ScalingOf(rank, configuration.Positive("lora_alpha", formatDefault: 8), configuration.Flag("use_rslora", formatDefault: false));
        return new LoraConfiguration(json, rank, scaling, Share(configuration), configuration.Texts("modules_to_save"), Path.GetFullPath(baseFolder));
    }

    /// <summary>The settings of a new adapter.</summary>
    /// <param name="settings">What was asked for.</param>
    /// <param name="targets">The maps that it has, by the last part of their names.</param>
    /// <param name="baseFolder">Folder of the model that it is for.</param>
    /// <param name="task">CAUSAL_LM, SEQ_2_SEQ_LM or SEQ_CLS.</param>
    /// <param name="transposed">Whether some of the maps are stored [in, out].</param>
    /// <param name="modulesToSave">Modules that are trained and stored whole.</param>
    public static LoraConfiguration Of(LoraSettings settings, IReadOnlyList<string> targets, string baseFolder, string task, bool transposed, IReadOnlyList<string> modulesToSave) => new(
        new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = task,
            ["base_model_name_or_path"] = Path.GetFullPath(baseFolder),
            ["inference_mode"] = true,
            ["r"] = settings.Rank,
            ["lora_alpha"] = settings.Alpha,
            ["lora_dropout"] = settings.Dropout,
            ["target_modules"] = new JsonArray([.. targets.Select(target => (JsonNode)target)]),
            ["modules_to_save"] = modulesToSave.Count == 0 ? null : new JsonArray([.. modulesToSave.Select(name => (JsonNode)name)]),
            ["fan_in_fan_out"] = transposed,
            ["use_rslora"] = settings.RankStabilised,
            ["bias"] = "none",
            ["init_lora_weights"] = true,
        },
        settings.Rank,
        ScalingOf(settings.Rank, settings.Alpha, settings.RankStabilised),
        settings.Dropout,
        modulesToSave,
        Path.GetFullPath(baseFolder));

    private static double ScalingOf(int rank, double alpha, bool rankStabilised) => alpha / (rankStabilised ? Math.Sqrt(rank) : rank);

    private static double Share(ModelConfiguration configuration)
    {
        var dropout = configuration.Number("lora_dropout") ?? 0;
        return dropout is >= 0 and < 1 ? dropout : throw configuration.Fault("lora_dropout", $"is {dropout}: it must be at least 0 and below 1");
    }
}
