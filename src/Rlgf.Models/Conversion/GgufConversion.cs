using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using Rlgf.Models.Tensors;
using static TorchSharp.torch;

namespace Rlgf.Models.Conversion;

/// <summary>Writes the model of a GGUF file as a Hugging Face folder: configuration, weights in a chosen type, tokenizer, chat template.</summary>
public static class GgufConversion
{
    private const string Sampling = "general.sampling.";

    /// <summary>What a file recommends for sampling, and where it stands in <c>generation_config.json</c>.</summary>
    private static readonly Dictionary<string, string> SamplingKeys = new(StringComparer.Ordinal) { ["temp"] = "temperature", ["top_k"] = "top_k", ["top_p"] = "top_p", ["min_p"] = "min_p" };

    /// <summary>Converts a file. Tensors are read, computed and written one after the other, so that memory holds the largest of them and not the model.</summary>
    /// <param name="path">The GGUF file.</param>
    /// <param name="folder">The folder, which is made where there is none; what a conversion writes replaces files of the same name.</param>
    /// <param name="type">Type of the stored numbers: float32, float16 or bfloat16.</param>
    /// <param name="shardBytes">The most bytes of weights in one file.</param>
    /// <param name="progress">Is told the share of the file that is read, from 0 to 1.</param>
    /// <returns>What the file leaves open and how it was decided, and keys that aren't used: one line each.</returns>
    /// <exception cref="InputException">The file is malformed, or holds something that isn't converted; nothing is written then, except where a number of it is beyond the range of <paramref name="type"/>.</exception>
    /// <exception cref="IOException">A file can't be written.</exception>
    public static IReadOnlyList<string> Convert(string path, string folder, ScalarType type, long shardBytes = 5_000_000_000, IProgress<double>? progress = null)
    {
        TorchRuntime.Load();
        using var file = GgufFile.Open(path);
        var model = new GgufModel(file);
        var tokenizer = new GgufTokenizer(file.Metadata);
        if (tokenizer.Count > model.Vocabulary) throw new InputException($"{path}: its tokenizer has {tokenizer.Count} tokens and its model embeddings for {model.Vocabulary}.");

        // All that may be refused is, before anything is written.
        var configuration = model.ToConfiguration(tokenizer);
        configuration["dtype"] = StoredTypes.LongNameOf(type);
        var tokenizerJson = tokenizer.ToTokenizerJson();
        var tokenizerConfiguration = tokenizer.ToConfiguration(model.ContextLength);
        var generation = GenerationSettings(file.Metadata, tokenizer);

        Directory.CreateDirectory(folder);
        var all = (double)file.Tensors.Values.Sum(tensor => tensor.Bytes);
        long read = 0;
        Checkpoint.Save(folder, model.Weights().Select(weight => ToStore(file, weight, type, bytes => progress?.Report((read += bytes) / all))), shardBytes);
        ModelFolder.SaveConfiguration(configuration, folder);
        Write("generation_config.json", generation);
        Write("tokenizer.json", tokenizerJson);
        Write("tokenizer_config.json", tokenizerConfiguration);
        return NotesOf(file.Metadata, tokenizer);

        void Write(string name, JsonObject json) => AtomicFile.WriteText(Path.Combine(folder, name), json.ToJsonString(JsonFormat.Indented));
    }

    /// <summary>What a converted file leaves open or has beside the model; none mostly.</summary>
    internal static IReadOnlyList<string> NotesOf(GgufMetadata metadata, GgufTokenizer tokenizer)
    {
        string[] unused = [.. GgufModel.ForeignKeys(metadata), .. metadata.Keys.Where(key => key.StartsWith(Sampling, StringComparison.Ordinal) && !SamplingKeys.ContainsKey(key[Sampling.Length..])).Order(StringComparer.Ordinal)];
        return unused.Length == 0 ? tokenizer.Notes : [.. tokenizer.Notes, $"keys that aren't used: {NameList.Of(unused)}"];
    }

    /// <summary>A weight that is made when its turn comes.</summary>
    /// <param name="file">The file.</param>
    /// <param name="weight">The weight.</param>
    /// <param name="type">Type to store it in.</param>
    /// <param name="done">Called with a tensor's bytes in the file when it has been read.</param>
    private static TensorToStore ToStore(GgufFile file, GgufWeight weight, ScalarType type, Action<long> done)
    {
        return new TensorToStore(weight.Name, type, weight.Shape, () =>
        {
            if (weight.Tensor is null) return zeros([.. weight.Shape], dtype: ScalarType.Float32, device: CPU);
            var numbers = empty([.. weight.Shape], dtype: ScalarType.Float32, device: CPU);
            GgufTensors.Copy(file, weight.Tensor, numbers);
            done(file.Tensors[weight.Tensor].Bytes);
            if (weight.IsFromOne) numbers.AddInPlace(-1.0);
            return weight.HeadsWithNeighbouringPairs == 0 ? numbers
                : numbers.view(weight.HeadsWithNeighbouringPairs, weight.Shape[0] / weight.HeadsWithNeighbouringPairs / 2, 2, -1).transpose(1, 2).reshape(numbers.shape);
        });
    }

    private static JsonObject GenerationSettings(GgufMetadata metadata, GgufTokenizer tokenizer)
    {
        var ends = tokenizer.EndIds;
        var settings = new JsonObject
        {
            ["_from_model_config"] = true,
            ["bos_token_id"] = tokenizer.BosId,
            ["eos_token_id"] = ends.Count > 1 ? Ids(ends) : ends.Count == 1 ? ends[0] : null,
            ["pad_token_id"] = tokenizer.PadId,
        };
        if (tokenizer.SuppressedIds is { Count: > 0 } suppressed) settings["suppress_tokens"] = Ids(suppressed);
        foreach (var (key, name) in SamplingKeys)
        {
            if (metadata.Number(Sampling + key) is { } value) settings[name] = key == "top_k" ? (int)value : value;
        }

        return settings;

        static JsonArray Ids(IEnumerable<int> ids) => new([.. ids.Select(id => (JsonNode)id)]);
    }
}
