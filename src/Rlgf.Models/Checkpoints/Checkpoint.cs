using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>
/// The weights of a Hugging Face folder: <c>model.safetensors</c> or the older <c>pytorch_model.bin</c>, or several such files and an index (<c>….index.json</c>) that says what is where.
/// </summary>
public sealed partial class Checkpoint : IDisposable
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";
    private const string PyTorchSingleFile = "pytorch_model.bin";
    private const string PyTorchIndexFile = "pytorch_model.bin.index.json";

    private readonly List<ITensorFile> _files = [];
    private readonly Dictionary<string, ITensorFile> _fileOf = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _absent = new(StringComparer.Ordinal);

    private Checkpoint(string folder) => Folder = folder;

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => _fileOf.Keys;

    /// <summary>The files that hold them.</summary>
    public IReadOnlyList<string> Files => [.. _files.Select(file => file.Path)];

    /// <summary>Tensors that an index lists and no file holds, with the shard that it names: where weights are tied, some indices list all names of what is stored once.</summary>
    public IReadOnlyDictionary<string, string> Absent => _absent;

    /// <summary>Names that safetensors files give to tensors that they hold under another name, and that name: what was saved as one tensor is stored once, the rest in <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> SameAs => _files.OfType<SafetensorsFile>().SelectMany(file => file.Metadata)
        .Where(pair => !_fileOf.ContainsKey(pair.Key) && _fileOf.ContainsKey(pair.Value)).DistinctBy(pair => pair.Key).ToDictionary(StringComparer.Ordinal);

    /// <summary>Opens a folder's weights; safetensors where both formats are there.</summary>
    /// <exception cref="InputException">There are none, or they are malformed.</exception>
    public static Checkpoint Open(string folder)
    {
        if (!Directory.Exists(folder)) throw MissingFolder.Fault(folder, $"give the folder of a model (config.json, {SingleFile})");
        var checkpoint = new Checkpoint(folder);
        try
        {
            if (checkpoint.Has(SingleFile)) checkpoint.Add(SafetensorsFile.Open(checkpoint.PathOf(SingleFile)));
            else if (checkpoint.Has(IndexFile)) checkpoint.AddShards(IndexFile, SafetensorsFile.Open);
            else if (checkpoint.Has(PyTorchSingleFile)) checkpoint.Add(PyTorchFile.Open(checkpoint.PathOf(PyTorchSingleFile)));
            else if (checkpoint.Has(PyTorchIndexFile)) checkpoint.AddShards(PyTorchIndexFile, PyTorchFile.Open);
            else if (!checkpoint.AddShardsWithoutIndex()) throw NoWeights(folder);
            return checkpoint;
        }
        catch
        {
            checkpoint.Dispose();
            throw;
        }
    }

    /// <summary>A tensor as stored.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    public StoredTensor Entry(string name) => _fileOf[name].Entries[name];

    /// <summary>The file that a tensor is in.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    public string FileOf(string name) => _fileOf[name].Path;

    /// <summary>Copies a tensor's numbers into one of the same shape.</summary>
    public void CopyTo(string name, Tensor destination) => _fileOf[name].CopyTo(name, destination);

    /// <summary>Copies some of a tensor's rows; see <see cref="ITensorFile.CopyRowsTo"/>.</summary>
    public bool CopyRowsTo(string name, long first, Tensor destination) => _fileOf[name].CopyRowsTo(name, first, destination);

    /// <summary>Writes tensors as a folder's weights, in one file or, above <paramref name="shardBytes"/>, in several; weights of an earlier save are replaced.</summary>
    /// <param name="folder">The folder, which exists.</param>
    /// <param name="tensors">The tensors, in any order.</param>
    /// <param name="shardBytes">The most bytes of weights in one file; a tensor that is larger has a file to itself.</param>
    /// <exception cref="IOException">A file can't be written; what was there before is untouched.</exception>
    public static void Save(string folder, IEnumerable<TensorToStore> tensors, long shardBytes = 5_000_000_000)
    {
        var shards = new List<List<TensorToStore>> { new() };
        long inShard = 0, total = 0;
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            if (inShard > 0 && inShard + tensor.Bytes > shardBytes)
            {
                shards.Add([]);
                inShard = 0;
            }

            shards[^1].Add(tensor);
            inShard += tensor.Bytes;
            total += tensor.Bytes;
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
                foreach (var tensor in shards[shard]) map[tensor.Name] = name;
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

    /// <summary>Names what is there instead of weights that can be read.</summary>
    private static InputException NoWeights(string folder)
    {
        if (Directory.EnumerateFiles(folder, "consolidated*").Select(Path.GetFileName).FirstOrDefault() is { } original)
            return new InputException($"{folder}: {original} has the weights in their maker's own form, under other names; take the model in the Hugging Face format (config.json and {SingleFile} or its shards).");
        string[] others = ["*.gguf", "*.bin", "*.pt", "*.pth", "*.safetensors", "*.h5", "*.msgpack", "*.onnx"];
        var other = others.SelectMany(pattern => Directory.EnumerateFiles(folder, pattern)).Select(Path.GetFileName).FirstOrDefault();
        var what = $"{folder}: there are no weights ({SingleFile}, {PyTorchSingleFile}, or an index of such files)";
        if (other is null) return new InputException($"{what}.");
        if (other.EndsWith(".gguf", StringComparison.Ordinal) && GgufTensors.WhyNotConverted(Path.Combine(folder, other)) is { } fault)
            return new InputException($"{what}, and no folder can be made of {other} either; take the model in the Hugging Face format: {fault.Message}", fault);
        return new InputException(other.EndsWith(".gguf", StringComparison.Ordinal)
            ? $"{what}; convert {other} first (rlgf convert {Path.Combine(folder, other)} FOLDER)."
            : $"{what}; {other} is not one of these: rename it if it is, or save the model anew (in Python: model.save_pretrained(folder)).");
    }

    private string PathOf(string name) => Path.Combine(Folder, name);

    private bool Has(string name) => File.Exists(PathOf(name));

    private void Add(ITensorFile file)
    {
        _files.Add(file);
        foreach (var tensor in file.Entries.Keys)
        {
            if (!_fileOf.TryAdd(tensor, file)) throw new InputException($"{file.Path}: '{tensor}' stands in {Path.GetFileName(_fileOf[tensor].Path)} too; keep one of them.");
        }
    }

    private void AddShards(string indexFile, Func<string, ITensorFile> open)
    {
        var path = PathOf(indexFile);
        var map = ReadIndex(path);
        foreach (var shard in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (shard is null || shard != Path.GetFileName(shard)) throw new InputException($"{path}: '{shard}' is not the name of a file in this folder.");
            if (!Has(shard)) throw new InputException($"{path}: the shard {shard} is missing from the folder; copy or download it too.");
            Add(open(PathOf(shard)));
        }

        foreach (var (tensor, shard) in map)
        {
            if (!_fileOf.TryGetValue(tensor, out var file)) _absent.Add(tensor, shard!);
            else if (Path.GetFileName(file.Path) != shard) throw new InputException($"{path}: '{tensor}' is not in {shard}, where the index has it, but in {Path.GetFileName(file.Path)}; download the index again.");
        }
    }

    /// <summary>
    /// Opens shards whose index is missing: their names say how many there are, and they name their tensors themselves, so that a whole set of them needs no index.
    /// </summary>
    /// <returns>Whether there are shards.</returns>
    private bool AddShardsWithoutIndex()
    {
        var shards = Directory.EnumerateFiles(Folder).Order(StringComparer.Ordinal).Select(path => ShardName().Match(Path.GetFileName(path))).Where(match => match.Success).ToArray();
        if (shards.Length == 0) return false;
        var first = shards[0];
        var (stem, last, ending) = (first.Groups["stem"].Value, first.Groups["count"].Value, first.Groups["ending"].Value);
        var isSafetensors = ending == "safetensors";
        var count = int.Parse(last, CultureInfo.InvariantCulture);
        for (var shard = 1; shard <= count; shard++)
        {
            var name = $"{stem}-{shard.ToString(CultureInfo.InvariantCulture).PadLeft(last.Length, '0')}-of-{last}.{ending}";
            if (!Has(name))
                throw new InputException($"{PathOf(name)}: the file is missing: {first.Value} is one of {count} shards, and their index ({(isSafetensors ? IndexFile : PyTorchIndexFile)}) is missing too; copy or download the whole folder.");
            Add(isSafetensors ? SafetensorsFile.Open(PathOf(name)) : PyTorchFile.Open(PathOf(name)));
        }

        return true;
    }

    /// <summary>Which file each tensor is in.</summary>
    private static Dictionary<string, string?> ReadIndex(string path)
    {
        try
        {
            var json = JsonNode.Parse(RegularFile.ReadText(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject;
            return json?["weight_map"]?.Deserialize<Dictionary<string, string?>>() ?? throw new JsonException("there is no weight_map");
        }
        catch (JsonException failure)
        {
            throw ForeignContent.Fault(path) ?? new InputException($"{path}: it isn't an index of shards: {JsonFault.Words(failure)}", failure);
        }
        catch (Exception failure) when (failure is InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw ForeignContent.Fault(path) ?? new InputException($"{path}: it isn't an index of shards: {failure.Message}", failure);
        }
    }

    // No more than 99,999 shards: a name must not make a loop long.
    [GeneratedRegex(@"^(?<stem>model|pytorch_model)-\d{1,5}-of-(?<count>\d{1,5})\.(?<ending>safetensors|bin)$", RegexOptions.CultureInvariant)]
    private static partial Regex ShardName();
}

/// <summary>How JSON files are written.</summary>
internal static class JsonFormat
{
    private const int MostCharacters = 80;

    private static readonly JsonSerializerOptions Line = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>A value for a message: on one line, its end cut off where it is long.</summary>
    public static string Shown(JsonNode? value)
    {
        var text = value?.ToJsonString(Line) ?? "null";
        return text.Length <= MostCharacters ? text : $"{text[..MostCharacters]}…";
    }
}
