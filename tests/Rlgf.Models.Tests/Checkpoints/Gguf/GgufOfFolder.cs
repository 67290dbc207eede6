using System.Globalization;
using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>A Llama or Qwen 2 folder of the fixtures as the GGUF file that would be made from it.</summary>
internal static class GgufOfFolder
{
    /// <summary>Keys, tensors in float32 and the tokenizer.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="writer">What to write to; keys to be left out are told to it before.</param>
    public static GgufWriter Write(string folder, GgufWriter writer)
    {
        using var scope = NewDisposeScope();
        var configuration = FolderConfiguration.Read(folder).ToJson();
        WriteSizes(JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config_v4.json")))!.AsObject(), writer);
        WriteTokenizer(Path.Combine(folder, "tokenizer.json"), configuration, writer);
        using var weights = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        var isLlama = (string)configuration["model_type"]! == "llama";
        foreach (var (name, entry) in weights.Entries)
        {
            var numbers = weights.Read(name).data<float>().ToArray();
            if (isLlama && name.Contains("q_proj", StringComparison.Ordinal)) numbers = Interleave(numbers, (int)configuration["num_attention_heads"]!, (int)configuration["head_dim"]!);
            if (isLlama && name.Contains("k_proj", StringComparison.Ordinal)) numbers = Interleave(numbers, (int)configuration["num_key_value_heads"]!, (int)configuration["head_dim"]!);
            writer.Floats(NameOf(name), [.. entry.Shape], numbers);
        }

        return writer;
    }

    /// <summary>
    /// The tokenizer of a <c>tokenizer.json</c>. SentencePiece's merges are left out: such a file has scores, which fall with the id.
    /// </summary>
    public static void WriteTokenizer(string path, JsonObject configuration, GgufWriter writer)
    {
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        var model = json["model"]!;
        var tokens = model["vocab"]!.AsObject().ToDictionary(pair => (int)pair.Value!, pair => pair.Key);
        var special = json["added_tokens"]!.AsArray().ToDictionary(token => (int)token!["id"]!, token => (string)token!["content"]!);
        foreach (var (id, token) in special) tokens[id] = token;
        var isSentencePiece = model["byte_fallback"]?.GetValue<bool>() == true;
        int[] ids = [.. tokens.Keys.Order()];
        Assert.Equal(Enumerable.Range(0, ids.Length), ids);
        writer.Text("tokenizer.ggml.model", isSentencePiece ? "llama" : "gpt2").Texts("tokenizer.ggml.tokens", [.. ids.Select(id => tokens[id])])
            .Wholes("tokenizer.ggml.token_type", [.. ids.Select(id => KindOf(id))]);
        if (isSentencePiece) writer.Numbers("tokenizer.ggml.scores", [.. ids.Select(id => KindOf(id) == 1 ? -id : 0f)]);
        else writer.Texts("tokenizer.ggml.merges", [.. model["merges"]!.AsArray().Select(merge => merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : (string)merge!)]);
        foreach (var (key, name) in (ReadOnlySpan<(string, string)>)[("bos_token_id", "bos_token_id"), ("eos_token_id", "eos_token_id"), ("pad_token_id", "padding_token_id")])
        {
            if (configuration[key] is { } id) writer.Whole($"tokenizer.ggml.{name}", (uint)(int)id);
        }

        if (isSentencePiece) writer.Whole("tokenizer.ggml.unknown_token_id", 0);

        int KindOf(int id) => special.ContainsKey(id) ? 3 : isSentencePiece && tokens[id] is ['<', '0', 'x', _, _, '>'] ? 6 : 1;
    }

    private static void WriteSizes(JsonObject configuration, GgufWriter writer)
    {
        var family = (string)configuration["model_type"]!;
        writer.Text("general.architecture", family)
            .Whole($"{family}.block_count", Size("num_hidden_layers")).Whole($"{family}.context_length", Size("max_position_embeddings")).Whole($"{family}.embedding_length", Size("hidden_size"))
            .Whole($"{family}.feed_forward_length", Size("intermediate_size")).Whole($"{family}.attention.head_count", Size("num_attention_heads")).Whole($"{family}.attention.head_count_kv", Size("num_key_value_heads"))
            .Number($"{family}.rope.freq_base", (float)(double)configuration["rope_theta"]!).Number($"{family}.attention.layer_norm_rms_epsilon", (float)(double)configuration["rms_norm_eps"]!);
        if (configuration["head_dim"] is not null) writer.Whole($"{family}.attention.key_length", Size("head_dim")).Whole($"{family}.attention.value_length", Size("head_dim"));
        if (configuration["rope_scaling"] is not { } scaling) return;
        writer.Whole($"{family}.rope.scaling.original_context_length", (uint)(int)scaling["original_max_position_embeddings"]!);
        writer.Floats("rope_freqs.weight", [Size("head_dim") / 2], [.. Enumerable.Range(0, (int)Size("head_dim") / 2).Select(pair => Factor(scaling, (double)configuration["rope_theta"]!, 2.0 * pair / Size("head_dim")))]);

        uint Size(string key) => (uint)(int)configuration[key]!;
    }

    /// <summary>By how much Llama 3's scaling stretches a wavelength: by the factor if it is long, not at all if it is short, by something between them otherwise.</summary>
    private static float Factor(JsonNode scaling, double theta, double exponent)
    {
        double factor = (double)scaling["factor"]!, low = (double)scaling["low_freq_factor"]!, high = (double)scaling["high_freq_factor"]!, context = (double)scaling["original_max_position_embeddings"]!;
        var wavelength = 2 * Math.PI * Math.Pow(theta, exponent);
        if (wavelength < context / high) return 1;
        if (wavelength > context / low) return (float)factor;
        var smooth = (context / wavelength - low) / (high - low);
        return (float)(1 / ((1 - smooth) / factor + smooth));
    }

    /// <summary>In each head the numbers that are rotated together become neighbours: rows 0, 1, 2, … of both halves in turn.</summary>
    private static float[] Interleave(float[] rows, int heads, int headSize)
    {
        var width = rows.Length / (heads * headSize);
        var result = new float[rows.Length];
        for (var head = 0; head < heads; head++)
        {
            for (var pair = 0; pair < headSize / 2; pair++)
            {
                for (var half = 0; half < 2; half++)
                    Array.Copy(rows, (head * headSize + half * headSize / 2 + pair) * width, result, (head * headSize + 2 * pair + half) * width, width);
            }
        }

        return result;
    }

    private static string NameOf(string name)
    {
        string[] parts = name.Split('.');
        return parts switch
        {
            ["model", "embed_tokens", ..] => "token_embd.weight",
            ["model", "norm", ..] => "output_norm.weight",
            ["lm_head", ..] => "output.weight",
            ["model", "layers", var layer, .., var part, var kind] => string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.{PartOf(part)}.{kind}"),
            _ => throw new ArgumentException(name),
        };

        static string PartOf(string part) => part switch
        {
            "input_layernorm" => "attn_norm",
            "post_attention_layernorm" => "ffn_norm",
            "o_proj" => "attn_output",
            ['q' or 'k' or 'v', ..] => $"attn_{part[0]}",
            _ => $"ffn_{part.Split('_')[0]}",
        };
    }
}
