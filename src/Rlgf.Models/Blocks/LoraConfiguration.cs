using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Blocks;

/// <summary>What <c>adapter_config.json</c> says, in PEFT's format. Keys that nobody asks for are kept and written back.</summary>
/// <param name="Json">All of it.</param>
/// <param name="Rank">r, where no pattern says otherwise.</param>
/// <param name="Alpha">Products are multiplied by alpha / r, where no pattern says otherwise.</param>
/// <param name="IsRankStabilised">Whether by alpha / √r instead.</param>
/// <param name="Dropout">Share of the inputs that training leaves out.</param>
/// <param name="ModulesToSave">Modules beside the adapter that are trained and stored whole.</param>
/// <param name="BaseFolder">Full path of the base model's folder; what the file calls it may be relative, or a name.</param>
internal sealed record LoraConfiguration(JsonObject Json, int Rank, double Alpha, bool IsRankStabilised, double Dropout, IReadOnlyList<string> ModulesToSave, string BaseFolder)
{
    private const string Advice = "merge the adapter in PEFT (model.merge_and_unload()), save the whole model and give that";

    /// <summary>Ways to begin that leave the base as it is. The others change its weights, which the adapter's file doesn't say, or what is trained.</summary>
    private static readonly string[] PlainBeginnings = ["gaussian", "eva", "orthogonal"];

    /// <summary>Settings that change what an adapter computes, or where it is, none of which is supported.</summary>
    private static readonly string[] Unsupported =
    [
        "use_dora", "lora_bias", "use_qalora", "use_bdlora", "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config",
    ];

    /// <summary>Ranks of maps by patterns of their names, the first that fits.</summary>
    public IReadOnlyList<(Regex Name, double Value)> RankPatterns { get; init; } = [];

    /// <summary>Alphas likewise.</summary>
    public IReadOnlyList<(Regex Name, double Value)> AlphaPatterns { get; init; } = [];

    /// <summary>Parameters of the base that the adapter's file has in their place, though they aren't trained (PEFT's <c>save_embedding_layers</c>).</summary>
    public IReadOnlySet<string> Replaced { get; init; } = new HashSet<string>(StringComparer.Ordinal);

    /// <summary>Embedding and head of the base; null for a new adapter, which leaves both alone, and for a base without them.</summary>
    public EmbeddingNames? Ends { get; init; }

    /// <summary>Reads the settings of an adapter, and refuses by name what isn't supported.</summary>
    /// <param name="configuration">The file.</param>
    /// <param name="baseFolder">Where the base model was found.</param>
    public static LoraConfiguration Read(ModelConfiguration configuration, string baseFolder)
    {
        if (configuration.Text("peft_type") is var kind && kind != "LORA") throw configuration.Fault("peft_type", $"is '{kind}': only LORA is supported");
        if (configuration.Text("bias") is { } bias && bias != "none") throw Refused(configuration, "bias", $"is '{bias}': only none is supported");
        var json = configuration.ToJson();
        foreach (var key in Unsupported)
        {
            if (IsSet(json[key])) throw Refused(configuration, key, json[key] is JsonValue ? "is true, which isn't supported" : "is set, which isn't supported");
        }

        if (json["init_lora_weights"] is JsonValue value && value.TryGetValue<string>(out var beginning) && !PlainBeginnings.Contains(beginning, StringComparer.OrdinalIgnoreCase))
            throw configuration.Fault("init_lora_weights", $"is '{beginning}', with which the adapter is for other weights than the base's own; convert it in PEFT (save_pretrained with path_initial_model_for_weight_conversion), or {Advice}");
        return new LoraConfiguration(
            json, configuration.Size("r"), configuration.Positive("lora_alpha", formatDefault: 8), configuration.Flag("use_rslora", formatDefault: false), Share(configuration), configuration.Texts("modules_to_save"), Path.GetFullPath(baseFolder))
        {
            RankPatterns = Patterns(configuration, "rank_pattern"),
            AlphaPatterns = Patterns(configuration, "alpha_pattern"),
        };
    }

    /// <summary>Rank and factor of one map's adapter.</summary>
    /// <param name="name">The map.</param>
    public LoraSize SizeOf(string name)
    {
        var rank = (int)(Matching(RankPatterns, name) ?? Rank);
        var alpha = Matching(AlphaPatterns, name) ?? Alpha;
        return new LoraSize(rank, alpha / (IsRankStabilised ? Math.Sqrt(rank) : rank));
    }

    /// <summary>The refusal of a setting that PEFT itself can make part of the weights.</summary>
    public static InputException Refused(ModelConfiguration configuration, string key, string what) => configuration.Fault(key, $"{what}; {Advice}");

    private static double? Matching(IReadOnlyList<(Regex Name, double Value)> patterns, string name)
    {
        foreach (var (pattern, value) in patterns)
        {
            if (pattern.IsMatch(name)) return value;
        }

        return null;
    }

    /// <summary>Values by patterns, each of which is the end of a name, beginning at one of its levels.</summary>
    private static List<(Regex Name, double Value)> Patterns(ModelConfiguration configuration, string key)
    {
        var patterns = new List<(Regex, double)>();
        if (configuration.Section(key) is not { } section) return patterns;
        foreach (var (pattern, _) in section.ToJson())
        {
            var value = key == "rank_pattern" ? section.Size(pattern) : section.Positive(pattern);
            var regex = UserPattern.TryParse($@"^(.*\.)?({pattern})$", out var problem) ?? throw section.Fault($"'{pattern}'", $"can't be used as a pattern: {problem}");
            patterns.Add((regex, value));
        }

        return patterns;
    }

    private static bool IsSet(JsonNode? value) => value switch
    {
        null or JsonObject { Count: 0 } or JsonArray { Count: 0 } => false,
        JsonValue flag when flag.TryGetValue<bool>(out var isTrue) => isTrue,
        _ => true,
    };

    private static double Share(ModelConfiguration configuration)
    {
        var dropout = configuration.Number("lora_dropout") ?? 0;
        return dropout is >= 0 and < 1 ? dropout : throw configuration.Fault("lora_dropout", $"is {dropout}: it must be at least 0 and below 1");
    }
}
