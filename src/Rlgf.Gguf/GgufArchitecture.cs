using System.Globalization;
using System.Text.RegularExpressions;

namespace Rlgf.Gguf;

/// <summary>How a tensor of a GGUF file stands to Hugging Face's of the same numbers.</summary>
public enum GgufLayout
{
    /// <summary>The same numbers in the same order.</summary>
    Same,

    /// <summary>Rows of the heads that ask: the two numbers of a head that are rotated together are neighbours in the file, where Hugging Face has all first halves before all second ones.</summary>
    QueryPairs,

    /// <summary>Likewise the rows of the heads that have keys and values.</summary>
    KeyPairs,

    /// <summary>Hugging Face has it [in, out].</summary>
    Transposed,

    /// <summary>Hugging Face has for each head its query, key and value; the file has all queries, all keys, all values.</summary>
    FusedByHead,

    /// <summary>Hugging Face stores the distance from 1.</summary>
    FromOne,
}

/// <summary>
/// An architecture of llama.cpp as far as names go: what its files call the weights of a family of Hugging Face's, and the other way round. The names of the format are those of llama.cpp's list (gguf-py/gguf/constants.py), those of the
/// other side the parameters of transformers' modules.
/// </summary>
public sealed partial class GgufArchitecture
{
    private const string Weight = ".weight", Bias = ".bias";

    /// <summary>Stands for a layer's number.</summary>
    private const string Layer = "#";

    private static readonly (string, string, GgufLayout)[] Llama =
    [
        ("model.embed_tokens", "token_embd", GgufLayout.Same),
        ("model.norm", "output_norm", GgufLayout.Same),
        ("lm_head", "output", GgufLayout.Same),
        ("model.layers.#.input_layernorm", "blk.#.attn_norm", GgufLayout.Same),
        ("model.layers.#.self_attn.q_proj", "blk.#.attn_q", GgufLayout.QueryPairs),
        ("model.layers.#.self_attn.k_proj", "blk.#.attn_k", GgufLayout.KeyPairs),
        ("model.layers.#.self_attn.v_proj", "blk.#.attn_v", GgufLayout.Same),
        ("model.layers.#.self_attn.o_proj", "blk.#.attn_output", GgufLayout.Same),
        ("model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", GgufLayout.Same),
        ("model.layers.#.mlp.gate_proj", "blk.#.ffn_gate", GgufLayout.Same),
        ("model.layers.#.mlp.up_proj", "blk.#.ffn_up", GgufLayout.Same),
        ("model.layers.#.mlp.down_proj", "blk.#.ffn_down", GgufLayout.Same),
    ];

    /// <summary>Those whose heads are rotated as Hugging Face does it.</summary>
    private static readonly (string Weight, string Tensor, GgufLayout Layout)[] Qwen = [.. Llama.Select(pair => (pair.Item1, pair.Item2, GgufLayout.Same))];

    private static readonly GgufArchitecture[] All =
    [
        new("llama", ["llama", "mistral"], Llama),
        new("qwen2", ["qwen2"], Qwen),
        new("qwen3", ["qwen3"], [.. Qwen, ("model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", GgufLayout.Same), ("model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", GgufLayout.Same)]),
        new("gemma", ["gemma"], [.. Qwen.Select(pair => pair.Tensor.EndsWith("norm", StringComparison.Ordinal) ? pair with { Layout = GgufLayout.FromOne } : pair)]),
        // Read only: an export would have to write their keys too.
        new("granite", [], Llama),
        new("stablelm", [], Qwen),
        new("olmo2", [],
        [
            .. Qwen.Where(pair => !pair.Tensor.StartsWith("blk", StringComparison.Ordinal) || !pair.Tensor.EndsWith("norm", StringComparison.Ordinal)),
            ("model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", GgufLayout.Same),
            ("model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", GgufLayout.Same),
            ("model.layers.#.post_attention_layernorm", "blk.#.post_attention_norm", GgufLayout.Same),
            ("model.layers.#.post_feedforward_layernorm", "blk.#.post_ffw_norm", GgufLayout.Same),
        ]),
        new("phi3", ["phi3"],
        [
            .. Qwen.Where(pair => pair.Tensor is not ("blk.#.attn_q" or "blk.#.attn_k" or "blk.#.attn_v" or "blk.#.ffn_gate" or "blk.#.ffn_up")),
            ("model.layers.#.self_attn.qkv_proj", "blk.#.attn_qkv", GgufLayout.Same),
            ("model.layers.#.mlp.gate_up_proj", "blk.#.ffn_up", GgufLayout.Same),
        ]),
        new("gpt2", ["gpt2"],
        [
            ("transformer.wte", "token_embd", GgufLayout.Same),
            ("transformer.wpe", "position_embd", GgufLayout.Same),
            ("transformer.ln_f", "output_norm", GgufLayout.Same),
            ("lm_head", "output", GgufLayout.Same),
            ("transformer.h.#.ln_1", "blk.#.attn_norm", GgufLayout.Same),
            ("transformer.h.#.attn.c_attn", "blk.#.attn_qkv", GgufLayout.Transposed),
            ("transformer.h.#.attn.c_proj", "blk.#.attn_output", GgufLayout.Transposed),
            ("transformer.h.#.ln_2", "blk.#.ffn_norm", GgufLayout.Same),
            ("transformer.h.#.mlp.c_fc", "blk.#.ffn_up", GgufLayout.Transposed),
            ("transformer.h.#.mlp.c_proj", "blk.#.ffn_down", GgufLayout.Transposed),
        ]),
        new("gptneox", ["gpt_neox"],
        [
            ("gpt_neox.embed_in", "token_embd", GgufLayout.Same),
            ("gpt_neox.final_layer_norm", "output_norm", GgufLayout.Same),
            ("embed_out", "output", GgufLayout.Same),
            ("gpt_neox.layers.#.input_layernorm", "blk.#.attn_norm", GgufLayout.Same),
            ("gpt_neox.layers.#.attention.query_key_value", "blk.#.attn_qkv", GgufLayout.FusedByHead),
            ("gpt_neox.layers.#.attention.dense", "blk.#.attn_output", GgufLayout.Same),
            ("gpt_neox.layers.#.post_attention_layernorm", "blk.#.ffn_norm", GgufLayout.Same),
            ("gpt_neox.layers.#.mlp.dense_h_to_4h", "blk.#.ffn_up", GgufLayout.Same),
            ("gpt_neox.layers.#.mlp.dense_4h_to_h", "blk.#.ffn_down", GgufLayout.Same),
        ]),
        new("t5", ["t5"],
        [
            ("shared", "token_embd", GgufLayout.Same),
            ("lm_head", "output", GgufLayout.Same),
            .. T5Stack("encoder", "enc", []),
            .. T5Stack("decoder", "dec", [("EncDecAttention", "cross_attn")]),
        ]),
    ];

    private readonly Dictionary<string, (string Other, GgufLayout Layout)> _tensors;
    private readonly Dictionary<string, string> _weights;

    private GgufArchitecture(string name, string[] modelTypes, (string Weight, string Tensor, GgufLayout Layout)[] pairs)
    {
        (Name, ModelTypes) = (name, modelTypes);
        _tensors = pairs.ToDictionary(pair => pair.Weight, pair => (pair.Tensor, pair.Layout), StringComparer.Ordinal);
        _weights = pairs.DistinctBy(pair => pair.Tensor).ToDictionary(pair => pair.Tensor, pair => pair.Weight, StringComparer.Ordinal);
    }

    /// <summary>The names of all families that there is an architecture for.</summary>
    public static IEnumerable<string> AllModelTypes => All.SelectMany(architecture => architecture.ModelTypes).Order(StringComparer.Ordinal);

    /// <summary>What <c>general.architecture</c> says.</summary>
    public string Name { get; }

    /// <summary>The families (<c>model_type</c>) that are stored so.</summary>
    public IReadOnlyList<string> ModelTypes { get; }

    /// <summary>The architecture that a family is stored as; null where there is none.</summary>
    public static GgufArchitecture? OfModelType(string modelType) => Array.Find(All, architecture => architecture.ModelTypes.Contains(modelType));

    /// <summary>The architecture of a name; null where it isn't known.</summary>
    public static GgufArchitecture? Find(string name) => Array.Find(All, architecture => architecture.Name == name);

    /// <summary>The tensor that a weight is stored as, and how; null where there is none.</summary>
    /// <param name="weight">Its name in Hugging Face's checkpoints, such as <c>model.layers.0.mlp.up_proj.weight</c>.</param>
    public (string Tensor, GgufLayout Layout)? TensorOf(string weight)
    {
        var (stem, ending) = Split(weight);
        var number = LayerNumber().Match(stem);
        if (!_tensors.TryGetValue(Numbered(stem, number, Layer), out var found)) return null;
        // What is added to a map is a row whatever way the map is stored.
        var layout = ending == Bias && found.Layout is GgufLayout.Transposed ? GgufLayout.Same : found.Layout;
        return (found.Other.Replace(Layer, number.Groups[1].Value, StringComparison.Ordinal) + ending, layout);
    }

    /// <summary>The weight that a tensor holds; null where the architecture has none of that name.</summary>
    /// <param name="tensor">The tensor, such as <c>blk.0.ffn_up.weight</c>.</param>
    public string? WeightOf(string tensor)
    {
        var (stem, ending) = Split(tensor);
        var number = LayerNumber().Match(stem);
        return _weights.TryGetValue(Numbered(stem, number, Layer), out var weight) ? weight.Replace(Layer, number.Groups[1].Value, StringComparison.Ordinal) + ending : null;
    }

    private static (string Weight, string Tensor, GgufLayout Layout)[] T5Stack(string stack, string stored, (string Weight, string Tensor)[] crossed)
    {
        var network = 1 + crossed.Length;
        (string, string)[] attentions = [("SelfAttention", "attn"), .. crossed];
        string[] maps = ["q", "k", "v", "o"];
        return
        [
            ($"{stack}.final_layer_norm", $"{stored}.output_norm", GgufLayout.Same),
            .. attentions.SelectMany((attention, level) => maps.Select(map =>
                ($"{stack}.block.#.layer.{level}.{attention.Item1}.{map}", $"{stored}.blk.#.{attention.Item2}_{map}", GgufLayout.Same))),
            .. attentions.Select((attention, level) => ($"{stack}.block.#.layer.{level}.layer_norm", $"{stored}.blk.#.{attention.Item2}_norm", GgufLayout.Same)),
            ($"{stack}.block.#.layer.0.SelfAttention.relative_attention_bias", $"{stored}.blk.#.attn_rel_b", GgufLayout.Same),
            ($"{stack}.block.#.layer.{network}.layer_norm", $"{stored}.blk.#.ffn_norm", GgufLayout.Same),
            ($"{stack}.block.#.layer.{network}.DenseReluDense.wi_0", $"{stored}.blk.#.ffn_gate", GgufLayout.Same),
            ($"{stack}.block.#.layer.{network}.DenseReluDense.wi_1", $"{stored}.blk.#.ffn_up", GgufLayout.Same),
            // A network that isn't gated has one first map, which the file calls the same.
            ($"{stack}.block.#.layer.{network}.DenseReluDense.wi", $"{stored}.blk.#.ffn_up", GgufLayout.Same),
            ($"{stack}.block.#.layer.{network}.DenseReluDense.wo", $"{stored}.blk.#.ffn_down", GgufLayout.Same),
        ];
    }

    private static string Numbered(string stem, Match number, string with) => number.Success ? stem[..number.Groups[1].Index] + with + stem[(number.Groups[1].Index + number.Groups[1].Length)..] : stem;

    private static (string Stem, string Ending) Split(string name) =>
        name.EndsWith(Weight, StringComparison.Ordinal) ? (name[..^Weight.Length], Weight) : name.EndsWith(Bias, StringComparison.Ordinal) ? (name[..^Bias.Length], Bias) : (name, "");

    [GeneratedRegex(@"(?<=(?:layers|h|blk|block)\.)(\d+)(?=\.)", RegexOptions.CultureInvariant)]
    private static partial Regex LayerNumber();
}
