using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>GPT-Neo (Black et al. 2021), of which TinyStories' models are: GPT-2 with scores that aren't scaled and a window in every second layer.</summary>
internal static class GptNeoFamily
{
    private const string TypesKey = "attention_types";
    private const string LayersKey = "num_layers";
    private const string Defaults = """{"num_layers": 24, "num_heads": 16, "hidden_size": 2048, "max_position_embeddings": 2048, "window_size": 256, "attention_types": [[["global", "local"], 12]]}""";

    public static DecoderFamily Instance { get; } = new("gpt_neo", "GPTNeo", Read);

    private static DecoderSettings Read(ModelConfiguration file)
    {
        var configuration = file.WithDefaults(Defaults);
        var width = configuration.Size("hidden_size");
        var heads = configuration.Size("num_heads");
        var epsilon = configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5);
        var attention = new AttentionSettings
        {
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = DecoderSettings.WidthPerHead(configuration, "hidden_size", width, "num_heads", heads),
            ScoreScale = 1,
            OutputBias = true,
        };
        var types = Types(configuration);
        return new DecoderSettings
        {
            Vocabulary = configuration.Size("vocab_size"),
            Context = configuration.Size("max_position_embeddings"),
            Width = width,
            Layers = types.Count,
            Attention = attention,
            Mixers = [.. types.Select(type => type == "global" ? attention : attention with { Window = configuration.Size("window_size") })],
            Network = new FeedForwardSettings { Inner = configuration.OptionalSize("intermediate_size") ?? 4 * width, Activation = Activation.Read(configuration, "activation_function", formatDefault: "gelu_new"), Bias = true },
            Norm = (size, device) => new LayerNorm(size, epsilon, device),
            TiedHead = configuration.Flag("tie_word_embeddings", formatDefault: true),
            InitialDeviation = configuration.Positive("initializer_range", formatDefault: 0.02),
            Names = DecoderNames.OfGpt2 with { Attention = "attn.attention", QueriesKeysValues = new DecoderNames().QueriesKeysValues, AttentionOutput = "out_proj" },
        };
    }

    /// <summary>Each layer's type: a list of pairs of types and how often they follow one another.</summary>
    private static List<string> Types(ModelConfiguration configuration)
    {
        var layers = configuration.Size(LayersKey);
        var types = new List<string>();
        foreach (var pair in configuration.ToJson()[TypesKey] as JsonArray ?? [])
        {
            if (pair is not JsonArray { Count: 2 } items || items[0] is not JsonArray names || items[1] is not JsonValue number || !number.TryGetValue<int>(out var times) || times is < 1 or > 10_000)
                throw configuration.Fault(TypesKey, "must be a list of pairs, each a list of types and how often it is repeated");
            for (var i = 0; i < times && types.Count <= layers; i++) types.AddRange(names.Select(name => name is JsonValue text && text.TryGetValue<string>(out var type) ? type : ""));
        }

        if (types.Find(type => type is not ("global" or "local")) is { } other) throw configuration.Fault(TypesKey, $"names '{other}': supported are global and local");
        return types.Count == layers ? types : throw configuration.Fault(TypesKey, $"names {types.Count} layers or more, and {LayersKey} is {layers}");
    }
}
