using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>The weights of a Hugging Face folder: <c>model.safetensors</c>, or several such files and <c>model.safetensors.index.json</c>, which says what is where.</summary>
public sealed class Checkpoint : IDisposable
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, SafetensorsFile> _fileOf = new(StringComparer.Ordinal);

    private Checkpoint(string folder) => Folder = folder;

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => _fileOf.Keys;

    /// <summary>Opens a folder's weights.</summary>
    /// <exception cref="InputException">There are none, or they are malformed.</exception>
    public static Checkpoint Open(string folder)
    {
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: there is no such folder; give the folder of a model (config.json, model.safetensors).");
        var checkpoint = new Checkpoint(folder);
        try
        {
            if (File.Exists(Path.Combine(folder, SingleFile))) checkpoint.Add(SingleFile);
            else if (File.Exists(Path.Combine(folder, IndexFile))) checkpoint.AddShards();
            else throw NoWeights(folder);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>Shape of a tensor as stored.</summary>
    public IReadOnlyList<long> ShapeOf(string name) => _fileOf[name].Entries[name].Shape;

    /// <summary>Copies a tensor's numbers into one of the same shape.</summary>
    public void CopyTo(string name, Tensor destination) => _fileOf[name].CopyTo(name, destination);

    /// <summary>Writes tensors as a folder's weights, in one file or, above <paramref name="shardBytes"/>, in several; weights of an earlier save are replaced.</summary>
    /// <exception cref="IOException">A file can\'t be written; what was there before is untouched.</exception>
    public static void Save(string folder, IEnumerable<KeyValuePair<string, Tensor>> tensors, long shardBytes = 5_000_000_000)
    {
        var shards = new List<List<KeyValuePair<string, Tensor>>> { new() };
        long inShard = 0, total = 0;
        foreach (var pair in tensors.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var bytes = SafetensorsWriter.ByteCount(pair.Value);
            if (inShard > 0 && inShard + bytes > shardBytes)
            {
                shards.Add([]);
                inShard = 0;
            }

            shards[^1].Add(pair);
            inShard += bytes;
            total += bytes;
        }

        var written = new HashSet<string>(StringComparer.Ordinal);
        if (shards.Count == 1)
        {
            SafetensorsWriter.Write(Path.Combine(folder, SingleFile), shards[0]);
            written.Add(SingleFile);
        }
        else
        {
            var map = new JsonObject();
            for (var shard = 0; shard < shards.Count; shard++)
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"model-{shard + 1:00000}-of-{shards.Count:00000}.safetensors");
                SafetensorsWriter.Write(Path.Combine(folder, name), shards[shard]);
                foreach (var (tensor, _) in shards[shard]) map[tensor] = name;
                written.Add(name);
            }

            var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map };
            AtomicFile.WriteText(Path.Combine(folder, IndexFile), index.ToJsonString(JsonFormat.Indented));
            written.Add(IndexFile);
        }

        // What an earlier save left, so that no reader finds two sets of weights.
        foreach (var file in Directory.EnumerateFiles(folder, "model*.safetensors*"))
        {
            var name = Path.GetFileName(file);
            if (!written.Contains(name) && (name is SingleFile or IndexFile || name.Contains("-of-", StringComparison.Ordinal))) File.Delete(file);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    private static InputException NoWeights(string folder)
    {
        var pickled = Directory.EnumerateFiles(folder, "*.bin").Select(Path.GetFileName).Order(StringComparer.Ordinal).FirstOrDefault();
        return pickled is null
            ? new InputException($"{folder}: there are no weights ({SingleFile} or {IndexFile}).")
            : new InputException($"{Path.Combine(folder, pickled)}: weights in PyTorch's own format aren't read; convert them to {SingleFile} (in Python: model.save_pretrained(folder)).");
    }

    private SafetensorsFile Add(string name)
    {
        var file = SafetensorsFile.Open(Path.Combine(Folder, name));
        _files.Add(file);
        foreach (var tensor in file.Entries.Keys)
        {
            if (!_fileOf.TryAdd(tensor, file)) throw new InputException($"{file.Path}: '{tensor}' stands in {Path.GetFileName(_fileOf[tensor].Path)} too; keep one of them.");
        }

        return file;
    }

    private void AddShards()
    {
        var path = Path.Combine(Folder, IndexFile);
        Dictionary<string, string> map;
        try
        {
            var json = JsonNode.Parse(File.ReadAllText(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject;
            map = json?["weight_map"]?.Deserialize<Dictionary<string, string>>() ?? throw new JsonException("there is no weight_map");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or IOException)
        {
            throw new InputException($"{path}: it isn't an index of shards: {failure.Message}", failure);
        }

        foreach (var shard in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (shard != Path.GetFileName(shard)) throw new InputException($"{path}: '{shard}' is not the name of a file in this folder.");
            if (!File.Exists(Path.Combine(Folder, shard))) throw new InputException($"{path}: the shard {shard} is missing from the folder; copy or download it too.");
            Add(shard);
        }

        foreach (var (tensor, shard) in map)
        {
            if (!_fileOf.TryGetValue(tensor, out var file) || Path.GetFileName(file.Path) != shard) throw new InputException($"{path}: '{tensor}' is not in {shard}, where the index has it.");
        }
    }
}

/// <summary>How JSON files are written.</summary>
internal static class JsonFormat
{
    public static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
