using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.EncoderDecoders;

namespace Rlgf.Models.Conversion;

/// <summary>
/// What llama.cpp needs to know of a model beside its numbers, from <c>config.json</c>, under the keys that its converter writes. A setting that its architecture has no key for, and would compute otherwise without a word, is refused by name.
/// </summary>
internal sealed class GgufModelKeys
{
    private static readonly string[] Silu = ["silu", "swish"];
    private static readonly string[] TanhGelu = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"];

    private readonly GgufArchitecture _architecture;
    private readonly ModelConfiguration _configuration;
    private readonly int? _context;
    private readonly List<string> _notes = [];

    /// <summary>Checks a configuration that its family has read.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="context">The most tokens of a text, where it is to be fewer than the model's own; null for those.</param>
    /// <exception cref="InputException">llama.cpp has no such architecture, or would compute something else.</exception>
    public GgufModelKeys(ModelConfiguration configuration, int? context)
    {
        (_configuration, _context) = (configuration, context);
        _architecture = GgufArchitecture.OfModelType(configuration.ModelType)
            ?? throw configuration.Fault("model_type", $"is '{configuration.ModelType}', which llama.cpp has no architecture for, or none that is known here; {string.Join(", ", GgufArchitecture.AllModelTypes)} can be exported as GGUF");
        var (heads, keyHeads) = configuration.ModelType switch
        {
            "gpt2" => ("n_head", null),
            "t5" => ("num_heads", null),
            _ => ("num_attention_heads", "num_key_value_heads"),
        };
        Heads = configuration.Size(heads);
        KeyValueHeads = (keyHeads is null ? null : configuration.OptionalSize(keyHeads)) ?? Heads;
        if (ContextLength > OwnContext) throw new InputException($"--context-length is {_context}, and the model's own is {OwnContext}: it may only be less");
        RequireActivation();
        if (IsLikeLlama) RequireLikeLlama();
        if (IsLikeLlama || _architecture.Name == "gptneox")
        {
            if (ScalingType is not ("default" or "linear" or "llama3")) throw configuration.Fault("rope_scaling", $"is of the type {ScalingType}, which isn't exported; default, linear and llama3 are");
        }
    }

    /// <summary>The architecture.</summary>
    public GgufArchitecture Architecture => _architecture;

    /// <summary>H.</summary>
    public int Heads { get; }

    /// <summary>Heads that have keys and values.</summary>
    public int KeyValueHeads { get; }

    /// <summary>What isn't quite the same in llama.cpp, a sentence each.</summary>
    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Whether the head is stored even where it is the embedding: the architecture asks for it.</summary>
    public bool StoresTiedHead => _architecture.Name is "gptneox" or "phi3" or "t5";

    /// <summary>What a tied head's numbers are multiplied by: T5 scales states before it, which llama.cpp doesn't.</summary>
    public double TiedHeadFactor => _architecture.Name == "t5" ? 1 / Math.Sqrt(_configuration.Size("d_model")) : 1;

    /// <summary>The most tokens of a text.</summary>
    public int ContextLength => _context ?? OwnContext;

    private bool IsLikeLlama => _architecture.Name is "llama" or "qwen2" or "qwen3" or "gemma" or "phi3";

    private int OwnContext => _configuration.ModelType switch
    {
        "gpt2" => _configuration.Size("n_positions"),
        // Of a model without positions it is no more than what it was trained with.
        "t5" => _configuration.OptionalSize("n_positions") ?? 512,
        _ => _configuration.Size("max_position_embeddings"),
    };

    private int HeadSize => _configuration.OptionalSize("head_dim") ?? _configuration.ModelType switch
    {
        "gemma" => 256,
        "qwen3" => 128,
        _ => _configuration.Size("hidden_size") / Heads,
    };

    /// <summary>Adds the architecture's keys.</summary>
    /// <exception cref="InputException">Fewer tokens are asked for than the model has positions in a table.</exception>
    public void Write(GgufFileWriter writer)
    {
        if (ContextLength < OwnContext && _architecture.Name is "gpt2") throw new InputException($"--context-length is {_context}: this model has a table of its {OwnContext} positions, which llama.cpp reads whole; leave the option out");
        Whole(writer, "context_length", ContextLength);
        switch (_architecture.Name)
        {
            case "gpt2":
                var width = _configuration.Size("n_embd");
                Whole(writer, "embedding_length", width);
                Whole(writer, "feed_forward_length", _configuration.OptionalSize("n_inner") ?? 4 * width);
                Whole(writer, "block_count", _configuration.Size("n_layer"));
                Number(writer, "attention.layer_norm_epsilon", _configuration.Positive("layer_norm_epsilon", formatDefault: 1e-5));
                break;
            case "t5":
                WriteT5(writer);
                break;
            case "gptneox":
                WriteSizes(writer);
                Whole(writer, "rope.dimension_count", (int)(HeadSize * Rotary.Share));
                writer.Flag($"{_architecture.Name}.use_parallel_residual", _configuration.Flag("use_parallel_residual", formatDefault: true));
                Number(writer, "attention.layer_norm_epsilon", _configuration.Positive("layer_norm_eps", formatDefault: 1e-5));
                WriteRotation(writer);
                break;
            default:
                WriteSizes(writer);
                Whole(writer, "attention.head_count_kv", KeyValueHeads);
                Number(writer, "attention.layer_norm_rms_epsilon", _configuration.Positive("rms_norm_eps", formatDefault: 1e-6));
                if (_configuration.OptionalSize("head_dim") is not null || HeadSize * Heads != _configuration.Size("hidden_size"))
                {
                    Whole(writer, "attention.key_length", HeadSize);
                    Whole(writer, "attention.value_length", HeadSize);
                }

                if (_architecture.Name is "llama") Whole(writer, "vocab_size", _configuration.Size("vocab_size"));
                if (_architecture.Name is "llama" or "phi3") Whole(writer, "rope.dimension_count", (int)(HeadSize * Rotary.Share));
                if (_architecture.Name is "phi3") Whole(writer, "rope.scaling.original_context_length", _configuration.OptionalSize("original_max_position_embeddings") ?? OwnContext);
                WriteRotation(writer);
                break;
        }

        Whole(writer, "attention.head_count", Heads);
    }

    private void WriteSizes(GgufFileWriter writer)
    {
        Whole(writer, "embedding_length", _configuration.Size("hidden_size"));
        Whole(writer, "feed_forward_length", _configuration.Size("intermediate_size"));
        Whole(writer, "block_count", _configuration.Size("num_hidden_layers"));
    }

    private void WriteRotation(GgufFileWriter writer)
    {
        if (_architecture.Name is not "gemma" || Rotary.Base != 10_000) Number(writer, "rope.freq_base", Rotary.Base);
        if (ScalingType != "linear") return;
        writer.Text($"{_architecture.Name}.rope.scaling.type", "linear");
        Number(writer, "rope.scaling.factor", Rotary.Scaling!.Positive("factor"));
    }

    private void WriteT5(GgufFileWriter writer)
    {
        var settings = T5Settings.Read(_configuration, T5Variant.T5);
        Whole(writer, "embedding_length", settings.Width);
        Whole(writer, "feed_forward_length", settings.Inner);
        Whole(writer, "block_count", settings.EncoderLayers);
        Whole(writer, "decoder_block_count", settings.DecoderLayers);
        Whole(writer, "attention.key_length", settings.HeadSize);
        Whole(writer, "attention.value_length", settings.HeadSize);
        Number(writer, "attention.layer_norm_epsilon", settings.Epsilon);
        Number(writer, "attention.layer_norm_rms_epsilon", settings.Epsilon);
        Whole(writer, "attention.relative_buckets_count", settings.Buckets);
        Whole(writer, "decoder_start_token_id", _configuration.TokenId("decoder_start_token_id") ?? _configuration.TokenId("pad_token_id") ?? 0);
    }

    private void Whole(GgufFileWriter writer, string key, long value) => writer.Whole($"{_architecture.Name}.{key}", value);

    private void Number(GgufFileWriter writer, string key, double value) => writer.Number($"{_architecture.Name}.{key}", value);

    /// <summary>By how much each pair of a head's numbers is slowed down, for the tensor <c>rope_freqs.weight</c>; null where none is, or all by a factor that is a key.</summary>
    public float[]? RotationFactors()
    {
        if (!IsLikeLlama || ScalingType != "llama3") return null;
        var plain = RotarySettings.Plain(Rotary.Base, HeadSize);
        var scaled = RotarySettings.Read(_configuration, HeadSize).Frequencies;
        return [.. plain.Zip(scaled, (before, after) => before / after)];
    }

    /// <summary>Makes sure that the architecture has a place for a bias.</summary>
    /// <param name="weight">The parameter.</param>
    /// <param name="tensor">What it would be stored as.</param>
    public void RequirePlace(string weight, string tensor)
    {
        if (!tensor.EndsWith(".bias", StringComparison.Ordinal)) return;
        var has = _architecture.Name switch
        {
            "llama" or "gpt2" or "gptneox" => true,
            "qwen2" => tensor.EndsWith("attn_q.bias", StringComparison.Ordinal) || tensor.EndsWith("attn_k.bias", StringComparison.Ordinal) || tensor.EndsWith("attn_v.bias", StringComparison.Ordinal),
            _ => false,
        };
        if (!has) throw new InputException($"{_configuration.Source}: the model has '{weight}', which llama.cpp's architecture '{_architecture.Name}' has no place for; it would not load the file.");
    }

    /// <summary>Makes sure that a head which isn't the embedding can be stored.</summary>
    public void RequireHead(bool isTied)
    {
        if (_architecture.Name == "gemma" && !isTied)
            throw _configuration.Fault("tie_word_embeddings", "is false, and llama.cpp's Gemma takes the embedding for its head (an adapter that trains one of the two makes them two)");
    }

    private RotarySetting Rotary => RotarySetting.Read(_configuration, _architecture.Name == "gptneox" ? RotaryKeys.GptNeoX : RotaryKeys.Llama);

    private string ScalingType => Rotary.Scaling is { } scaling ? scaling.Text("rope_type") ?? scaling.Text("type") ?? "default" : "default";

    private void RequireActivation()
    {
        if (_architecture.Name == "t5")
        {
            var network = _configuration.Text("feed_forward_proj") ?? "relu";
            if (network is not ("relu" or "gated-gelu")) throw _configuration.Fault("feed_forward_proj", $"is '{network}', and llama.cpp's T5 has relu, or gated-gelu where the network is gated");
            if ((_configuration.OptionalSize("relative_attention_max_distance") ?? 128) is var distance and not 128)
                throw _configuration.Fault("relative_attention_max_distance", $"is {distance}, and llama.cpp's T5 takes 128, whatever the file says");
            return;
        }

        var key = _configuration.ModelType == "gpt2" ? "activation_function" : _configuration.Text("hidden_activation") is null ? "hidden_act" : "hidden_activation";
        if (_configuration.Text(key) is not { } activation) return;
        var isGelu = _architecture.Name is "gpt2" or "gptneox" or "gemma";
        if (isGelu ? TanhGelu.Contains(activation) : Silu.Contains(activation)) return;
        if (isGelu && activation == "gelu") _notes.Add($"{key} is gelu, which llama.cpp computes by its tanh form: differences of some thousandths");
        else throw _configuration.Fault(key, $"is '{activation}', and llama.cpp's architecture '{_architecture.Name}' has {(isGelu ? "gelu" : "silu")}, whatever the file says");
    }

    private void RequireLikeLlama()
    {
        var hasWindow = _configuration.ModelType switch
        {
            "mistral" or "phi3" => true,
            "qwen2" or "qwen3" => _configuration.Flag("use_sliding_window", formatDefault: false) || _configuration.Texts("layer_types").Contains("sliding_attention"),
            _ => false,
        };
        if (hasWindow && _configuration.OptionalSize("sliding_window") is { } window && window < ContextLength)
        {
            throw _configuration.Fault(
                "sliding_window", $"is {window} and the context {ContextLength}: llama.cpp's architecture '{_architecture.Name}' has no window, and of longer texts its model is another; give --context-length {window} for a file that is the same model in texts of up to so many tokens");
        }

        if (Rotary.Share != 1 && _architecture.Name != "phi3") throw _configuration.Fault("partial_rotary_factor", $"is {Rotary.Share}, and llama.cpp's architecture '{_architecture.Name}' rotates whole heads");
        if (ScalingType is "llama3" && _architecture.Name != "llama") throw _configuration.Fault("rope_scaling", $"is of the type llama3, which llama.cpp's architecture '{_architecture.Name}' has not");
    }
}
