using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>The model of a GGUF file as Hugging Face has it: <c>config.json</c>, and each tensor's name and layout. Llama (with all that call themselves so, such as SmolLM and Mistral 7B), Qwen 2 and 3, Gemma (the first), Granite, OLMo 2 and StableLM.</summary>
public sealed partial class GgufModel
{
    private const string MultiplierOfScores = "attention.scale", GemmaActivation = "gelu_pytorch_tanh";

    /// <summary>Architectures that are converted, each of one family or, under the first name, of all that call themselves so.</summary>
    private static readonly Dictionary<string, (string ModelType, string ClassName)> Families = new(StringComparer.Ordinal)
    {
        ["llama"] = ("llama", "Llama"), ["qwen2"] = ("qwen2", "Qwen2"), ["qwen3"] = ("qwen3", "Qwen3"), ["gemma"] = ("gemma", "Gemma"), ["granite"] = ("granite", "Granite"), ["olmo2"] = ("olmo2", "Olmo2"),
        ["stablelm"] = ("stablelm", "StableLm"),
    };

    /// <summary>Granite's factors, and what they are called in its configuration.</summary>
    private static readonly Dictionary<string, string> Multipliers = new(StringComparer.Ordinal)
    {
        ["embedding_scale"] = "embedding_multiplier", ["residual_scale"] = "residual_multiplier", ["logit_scale"] = "logits_scaling",
    };

    private readonly GgufFile _file;
    private readonly GgufMetadata _metadata;
    private readonly string _architecture;
    private readonly GgufArchitecture _names;
    private readonly int _width, _inner, _layers, _heads, _keyValueHeads, _headSize, _vocabulary;
    private readonly bool _isTied, _attentionBias, _networkBias;

    /// <summary>Reads the sizes, and makes sure that all tensors are there, in the shapes that follow from them.</summary>
    /// <exception cref="InputException">The architecture isn't one of the known, or something is missing, unexpected or contradictory; missing and unexpected tensors are listed in full.</exception>
    public GgufModel(GgufFile file)
    {
        _file = file;
        _metadata = file.Metadata;
        _architecture = _metadata.Text("general.architecture") ?? throw _metadata.Fault("general.architecture", "is missing: it says which family the model belongs to");
        if (!Families.ContainsKey(_architecture)) throw _metadata.Fault("general.architecture", $"is '{_architecture}', which isn't converted; {string.Join(", ", Families.Keys)} are");
        _names = GgufArchitecture.Find(_architecture)!;
        if (_metadata.Whole(Key("expert_count")) is > 0 and var experts) throw _metadata.Fault(Key("expert_count"), $"is {experts}: mixtures of experts aren't converted");
        GgufKeys.CheckModel(_metadata, _architecture, OwnKeys);
        _width = _metadata.Size(Key("embedding_length"));
        _inner = _metadata.Size(Key("feed_forward_length"));
        _layers = _metadata.Size(Key("block_count"));
        _heads = _metadata.Size(Key("attention.head_count"));
        _keyValueHeads = _metadata.Whole(Key("attention.head_count_kv")) ?? _heads;
        if (_keyValueHeads == 0 || _heads % _keyValueHeads != 0) throw _metadata.Fault(Key("attention.head_count_kv"), $"is {_keyValueHeads}, which doesn't divide the {_heads} heads");
        var headSize = _metadata.Whole(Key("attention.key_length"));
        if (headSize is null && _width % _heads != 0) throw _metadata.Fault(Key("attention.head_count"), $"is {_heads}, which doesn't divide the width {_width}");
        _headSize = headSize ?? _width / _heads;
        if (_headSize == 0 || _headSize % 2 != 0) throw _metadata.Fault(Key("attention.key_length"), $"is {_headSize}: it must be even");
        if (_metadata.Whole(Key("attention.value_length")) is { } values && values != _headSize) throw _metadata.Fault(Key("attention.value_length"), $"is {values} and keys have {_headSize}, which isn't converted");
        if (!IsGranite && _metadata.Number(Key(MultiplierOfScores)) is { } scale && scale != 0 && Math.Abs(scale * Math.Sqrt(_headSize) - 1) > 1e-4)
            throw _metadata.Fault(Key(MultiplierOfScores), $"is {_metadata.Shown(Key(MultiplierOfScores))}, which isn't converted: products of {_headSize} numbers are divided by the root of that");
        if (_metadata.Whole(Key("rope.dimension_count")) is { } rotated && rotated != _headSize && !(IsStableLm && rotated > 0 && rotated < _headSize && rotated % 2 == 0))
            throw _metadata.Fault(Key("rope.dimension_count"), $"is {rotated} of {_headSize}, which isn't converted: all numbers of a head must be rotated");
        if (_metadata.Whole(Key("attention.sliding_window")) is > 0 and var window && window < ContextLength)
            throw _metadata.Fault(Key("attention.sliding_window"), $"is {window}, which isn't converted");
        _isTied = !file.Tensors.ContainsKey("output.weight");
        _vocabulary = file.Tensors.TryGetValue("token_embd.weight", out var embedding) && embedding.Shape.Count == 2
            ? (int)Math.Min(embedding.Shape[0], int.MaxValue)
            : throw new InputException($"{file.Path}: there is no tensor token_embd.weight with two dimensions; copy or download it again.");
        if (_metadata.Whole(Key("vocab_size")) is { } vocabulary && vocabulary != _vocabulary) throw _metadata.Fault(Key("vocab_size"), $"is {vocabulary}, and token_embd.weight has {_vocabulary} rows");
        _attentionBias = HasBias("attn_q", "attn_k", "attn_v", "attn_output");
        _networkBias = HasBias("ffn_gate", "ffn_up", "ffn_down");
        CheckTensors();
    }

    /// <summary>The most tokens of a row.</summary>
    public int ContextLength => _metadata.Size(Key("context_length"));

    /// <summary>V: rows of the embedding.</summary>
    public int Vocabulary => _vocabulary;

    /// <summary><c>config.json</c>, in the keys that transformers 4 and 5 both read.</summary>
    /// <param name="tokenizer">Whose ids stand in it.</param>
    public JsonObject ToConfiguration(GgufTokenizer tokenizer)
    {
        var configuration = new JsonObject
        {
            ["architectures"] = new JsonArray($"{Families[_architecture].ClassName}ForCausalLM"),
            ["attention_dropout"] = 0.0,
            ["bos_token_id"] = tokenizer.BosId,
            ["eos_token_id"] = tokenizer.EosId,
            ["head_dim"] = _headSize,
            ["hidden_act"] = _architecture == "gemma" ? GemmaActivation : "silu",
            ["hidden_size"] = _width,
            ["initializer_range"] = 0.02,
            ["intermediate_size"] = _inner,
            ["max_position_embeddings"] = ContextLength,
            ["model_type"] = Families[_architecture].ModelType,
            ["num_attention_heads"] = _heads,
            ["num_hidden_layers"] = _layers,
            ["num_key_value_heads"] = _keyValueHeads,
            ["pad_token_id"] = tokenizer.PadId,
            [IsStableLm ? "layer_norm_eps" : "rms_norm_eps"] = _metadata.Number(Key(EpsilonKey)) ?? throw _metadata.Fault(Key(EpsilonKey), "is missing"),
            ["rope_scaling"] = RopeScaling(),
            ["rope_theta"] = _metadata.Number(Key("rope.freq_base")) ?? 10_000.0,
            ["tie_word_embeddings"] = _isTied,
            ["use_cache"] = true,
            ["vocab_size"] = _vocabulary,
        };
        // The family's own configuration has no such key; it is read all the same.
        if (_architecture is "qwen2" or "granite" or "olmo2" or "stablelm" && _headSize * _heads == _width) configuration.Remove("head_dim");
        switch (_architecture)
        {
            case "llama" or "granite":
                configuration["attention_bias"] = _attentionBias;
                configuration["mlp_bias"] = _networkBias;
                break;
            case "stablelm":
                configuration["use_qkv_bias"] = _attentionBias;
                configuration["qk_layernorm"] = false;
                configuration["use_parallel_residual"] = false;
                configuration["partial_rotary_factor"] = (double)(_metadata.Whole(Key("rope.dimension_count")) ?? _headSize) / _headSize;
                break;
            case "gemma":
                configuration["attention_bias"] = false;
                configuration["hidden_activation"] = GemmaActivation;
                break;
            case "qwen2":
                configuration["use_sliding_window"] = false;
                break;
            case "qwen3":
                configuration["attention_bias"] = false;
                configuration["use_sliding_window"] = false;
                break;
            default:
                configuration["attention_bias"] = false;
                break;
        }

        if (!IsGranite) return configuration;
        // A factor of 0 is none; scores without one are divided by the root of a head's size.
        configuration["attention_multiplier"] = _metadata.Number(Key(MultiplierOfScores)) is { } scores and not 0 ? scores : 1 / Math.Sqrt(_headSize);
        foreach (var (key, name) in Multipliers) configuration[name] = _metadata.Number(Key(key)) is { } factor and not 0 ? factor : 1.0;
        return configuration;
    }

    /// <summary>The weights that Hugging Face's model has, under their names there.</summary>
    public IEnumerable<GgufWeight> Weights()
    {
        foreach (var (name, tensor) in _file.Tensors)
        {
            if (NameOf(name) is { } converted) yield return new GgufWeight(converted, name, tensor.Shape, HeadsWithNeighbouringPairs(converted)) { IsFromOne = _names.TensorOf(converted)?.Layout == GgufLayout.FromOne };
        }

        // Hugging Face's Llama has biases on all of a layer's maps or on none; one of zeros changes nothing.
        foreach (var (name, shape) in ExpectedShapes().Where(pair => IsBias(pair.Key) && !_file.Tensors.ContainsKey(pair.Key)))
            yield return new GgufWeight(NameOf(name)!, null, shape, 0);
    }

    /// <summary>How many heads a tensor's rows belong to, where the two numbers that are rotated together are stored side by side; 0 elsewhere.</summary>
    private int HeadsWithNeighbouringPairs(string weight) => _names.TensorOf(weight)?.Layout switch { GgufLayout.QueryPairs => _heads, GgufLayout.KeyPairs => _keyValueHeads, _ => 0 };

    /// <summary>The Hugging Face name of a tensor; null for one that is no weight.</summary>
    private string? NameOf(string name) => name == "rope_freqs.weight" ? null : _names.WeightOf(name) ?? throw new InputException($"{_file.Path}: '{name}' is unexpected.");

    private void CheckTensors()
    {
        var expected = ExpectedShapes().ToDictionary(StringComparer.Ordinal);
        var faults = new List<string>();
        foreach (var (name, tensor) in _file.Tensors)
        {
            if (!expected.Remove(name, out var shape)) faults.Add($"'{name}' is unexpected");
            else if (!shape.SequenceEqual(tensor.Shape)) faults.Add($"'{name}' has the shape {Shapes.Format(tensor.Shape)} where {Shapes.Format(shape)} follows from the sizes");
        }

        faults.AddRange(expected.Keys.Where(name => name is not ("output.weight" or "rope_freqs.weight") && !(MayHaveBiases && IsBias(name))).Select(name => $"'{name}' is missing"));
        if (faults.Count > 0) throw new InputException($"{_file.Path}: the tensors don't fit the keys: {string.Join("; ", faults.Order(StringComparer.Ordinal))}.");
    }

    private IEnumerable<KeyValuePair<string, long[]>> ExpectedShapes()
    {
        long queries = (long)_heads * _headSize, keys = (long)_keyValueHeads * _headSize;
        yield return new("token_embd.weight", [_vocabulary, _width]);
        yield return new("output.weight", [_vocabulary, _width]);
        yield return new("output_norm.weight", [_width]);
        if (IsStableLm) yield return new("output_norm.bias", [_width]);
        yield return new("rope_freqs.weight", [_headSize / 2]);
        (string Name, long Out, long In)[] products =
        [
            ("attn_q", queries, _width), ("attn_k", keys, _width), ("attn_v", keys, _width), ("attn_output", _width, queries),
            ("ffn_gate", _inner, _width), ("ffn_up", _inner, _width), ("ffn_down", _width, _inner),
        ];
        // No more layers than tensors: a count from a damaged file must not become a long list.
        for (var layer = 0; layer < Math.Min(_layers, _file.Tensors.Count); layer++)
        {
            foreach (var (name, size) in Norms())
            {
                yield return new(InLayer(layer, $"{name}.weight"), [size]);
                if (IsStableLm) yield return new(InLayer(layer, $"{name}.bias"), [size]);
            }

            foreach (var (name, outputs, inputs) in products)
            {
                yield return new(InLayer(layer, $"{name}.weight"), [outputs, inputs]);
                var hasBias = _architecture == "qwen2" || (IsStableLm && _attentionBias) ? name is "attn_q" or "attn_k" or "attn_v" : MayHaveBiases && (name.StartsWith("attn", StringComparison.Ordinal) ? _attentionBias : _networkBias);
                if (hasBias) yield return new(InLayer(layer, $"{name}.bias"), [outputs]);
            }
        }
    }

    /// <summary>A layer's norms and their sizes.</summary>
    private IEnumerable<(string Name, long Size)> Norms()
    {
        (string, long)[] ofHeads = _architecture switch
        {
            "qwen3" => [("attn_q_norm", _headSize), ("attn_k_norm", _headSize)],
            "olmo2" => [("attn_q_norm", (long)_heads * _headSize), ("attn_k_norm", (long)_keyValueHeads * _headSize)],
            _ => [],
        };
        string[] ofStates = _architecture == "olmo2" ? ["post_attention_norm", "post_ffw_norm"] : ["attn_norm", "ffn_norm"];
        return [.. ofHeads, .. ofStates.Select(name => (name, (long)_width))];
    }

    /// <summary>
    /// The scaling of the rotation: a type and a factor, under a key of now or of before, and linear where no type is said. Llama 3's is not in the keys: its factors are stored instead, one for each pair. The setting that they follow
    /// from is recognised by computing them.
    /// </summary>
    private JsonObject? RopeScaling()
    {
        var kind = _metadata.Text(Key("rope.scaling.type")) ?? "linear";
        if (kind is not ("none" or "linear")) throw _metadata.Fault(Key("rope.scaling.type"), $"is '{kind}', which isn't converted; none, linear and Llama 3's factors are");
        var key = Key(_metadata.Has(Key("rope.scaling.factor")) ? "rope.scaling.factor" : "rope.scale_linear");
        var factor = kind == "none" ? 1 : _metadata.Number(key) ?? 1;
        if (factor < 0 || !double.IsFinite(factor)) throw _metadata.Fault(key, string.Create(CultureInfo.InvariantCulture, $"is {factor}: it can't be"));
        var isScaled = factor is not (0 or 1);
        if (!_file.Tensors.ContainsKey("rope_freqs.weight")) return isScaled ? new JsonObject { ["rope_type"] = "linear", ["type"] = "linear", ["factor"] = factor } : null;
        return isScaled ? throw _metadata.Fault(key, string.Create(CultureInfo.InvariantCulture, $"is {factor} beside the factors in rope_freqs.weight, and both at once aren't converted")) : Llama3Scaling();
    }

    private JsonObject Llama3Scaling()
    {
        // What all published models use.
        const double lowFrequency = 1, highFrequency = 4;
        var factors = _file.Read("rope_freqs.weight");
        var theta = _metadata.Number(Key("rope.freq_base")) ?? 10_000;
        var factor = (double)factors.Max();
        var originalContext = _metadata.Whole(Key("rope.scaling.original_context_length")) ?? FirstContext(factors, theta, factor, lowFrequency, highFrequency) ?? 8192;
        for (var pair = 0; pair < factors.Length; pair++)
        {
            // Wavelengths below context / high stay, those above context / low are stretched by the factor, between them the two are blended (Llama 3.1's model card, rope_scaling "llama3").
            var wavelength = 2 * Math.PI * Math.Pow(theta, 2.0 * pair / _headSize);
            var blend = Math.Clamp((originalContext / wavelength - lowFrequency) / (highFrequency - lowFrequency), 0, 1);
            var expected = 1 / ((1 - blend) / factor + blend);
            if (Math.Abs(factors[pair] - expected) > 1e-3 * expected) throw new InputException($"{_file.Path}: the factors in rope_freqs.weight are not those of Llama 3's scaling, and others aren't converted.");
        }

        return new JsonObject
        {
            ["rope_type"] = "llama3",
            ["factor"] = factor,
            ["low_freq_factor"] = lowFrequency,
            ["high_freq_factor"] = highFrequency,
            ["original_max_position_embeddings"] = originalContext,
        };
    }

    /// <summary>The context that a model was trained with first, from a factor between the two ends, where how far it is blended tells the context by the wavelength; null where there is none.</summary>
    private int? FirstContext(float[] factors, double theta, double factor, double lowFrequency, double highFrequency)
    {
        var pair = Array.FindIndex(factors, value => value > 1.001 && value < factor * 0.999);
        if (pair < 0) return null;
        var blend = (1 / (double)factors[pair] - 1 / factor) / (1 - 1 / factor);
        var context = (blend * (highFrequency - lowFrequency) + lowFrequency) * 2 * Math.PI * Math.Pow(theta, 2.0 * pair / _headSize);
        return context is >= 1 and < int.MaxValue ? (int)Math.Round(context) : null;
    }

    /// <summary>Keys that belong neither to the architecture nor to the tokenizer and aren't known: they change nothing in what is made of the file.</summary>
    public static IEnumerable<string> ForeignKeys(GgufMetadata metadata)
    {
        ArgumentNullException.ThrowIfNull(metadata);
        return GgufKeys.Foreign(metadata);
    }

    private bool IsGranite => _architecture == "granite";

    private bool IsStableLm => _architecture == "stablelm";

    private IReadOnlyCollection<string> OwnKeys => _architecture switch { "granite" => Multipliers.Keys, "stablelm" => [EpsilonKey], _ => [] };

    private string EpsilonKey => IsStableLm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";

    /// <summary>Whether all of a layer's maps may have biases, as the configuration says.</summary>
    private bool MayHaveBiases => _architecture == "llama" || IsGranite;

    private bool HasBias(params string[] names) => _file.Tensors.Keys.Any(name => IsBias(name) && LayerTensor().Match(name) is { Success: true } match && names.Contains(match.Groups[2].Value));

    private static bool IsBias(string name) => name.EndsWith(".bias", StringComparison.Ordinal);

    private string Key(string name) => $"{_architecture}.{name}";

    private static string InLayer(int layer, string name) => string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.{name}");

    [GeneratedRegex(@"^blk\.(\d+)\.([a-z_]+)\.(weight|bias)$")]
    private static partial Regex LayerTensor();
}
