using System.IO.Compression;
using System.Text;
using Rlgf.Base;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>
/// A <c>pytorch_model.bin</c> as <c>torch.save</c> has written it since PyTorch 1.6: a zip archive without compression that holds a pickle (names, shapes and views; see <see cref="PickledWeights"/>)
/// and the numbers of each storage in a file of its own. Nothing in it is executed.
/// </summary>
public sealed class PyTorchFile : ITensorFile
{
    /// <summary>The pickle of the largest models has a few megabytes.</summary>
    private const long LongestPickle = 64_000_000;

    private readonly MappedFile _file;
    private readonly Dictionary<string, PickledTensor> _tensors;
    private readonly Dictionary<string, long> _storageOffsets = new(StringComparer.Ordinal);

    private PyTorchFile(MappedFile file)
    {
        _file = file;
        using var stream = RegularFile.Open(file.Path, bufferSize: 1);
        using var archive = OpenArchive(stream);
        var parts = PartsOf(archive);
        var pickle = Required(parts, "data.pkl");
        if (pickle.Length > LongestPickle) throw Fault($"its pickle has {pickle.Length} bytes, more than any model needs");
        if (parts.TryGetValue("byteorder", out var order) && Encoding.ASCII.GetString(file.Read(Offset(order, stream), (int)Math.Min(order.Length, 16))) is var name && name != "little")
            throw Fault($"its numbers are in the byte order '{name}'; only 'little' is read");
        _tensors = PickledWeights.Read(file.Path, file.Read(Offset(pickle, stream), (int)pickle.Length));
        foreach (var storage in _tensors.Values.Select(tensor => tensor.Storage).Distinct())
        {
            var part = Required(parts, $"data/{storage.Key}");
            var bytes = storage.Elements <= long.MaxValue / 8 ? storage.Elements * StoredTypes.SizeOf(storage.Type) : long.MaxValue;
            if (part.Length != bytes) throw Fault($"its part data/{storage.Key} has {part.Length} bytes where {storage.Elements} numbers of type {StoredTypes.NameOf(storage.Type)} are said to be");
            _storageOffsets[storage.Key] = bytes == 0 ? 0 : Offset(part, stream);
        }

        Entries = _tensors.ToDictionary(pair => pair.Key, pair => new StoredTensor(pair.Value.Storage.Type, pair.Value.Shape), StringComparer.Ordinal);
    }

    /// <summary>The file.</summary>
    public string Path => _file.Path;

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Entries { get; }

    /// <summary>Opens a file and checks what it says about its tensors.</summary>
    /// <exception cref="InputException">It's absent, cut short, malformed, of the format before PyTorch 1.6, or its pickle asks for more than tensors.</exception>
    public static PyTorchFile Open(string path)
    {
        var file = MappedFile.Open(path, 4, "weights in PyTorch's format");
        try
        {
            return new PyTorchFile(file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            file.Dispose();
            throw new InputException($"{path}: can't be read as a zip archive: {failure.Message} Copy or download it again.", failure);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor destination)
    {
        this.RequireShape(name, destination);
        var view = _tensors[name];
        var type = view.Storage.Type;
        var first = _storageOffsets[view.Storage.Key] + view.Offset * StoredTypes.SizeOf(type);
        if (IsInOrder(view))
        {
            _file.CopyTo(first, type, destination);
            return;
        }

        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var reached = 1 + view.Shape.Zip(view.Strides, (length, stride) => (length - 1) * stride).Sum();
        var numbers = empty(reached, dtype: type, device: CPU);
        _file.CopyTo(first, type, numbers);
        destination.copy_(numbers.as_strided(view.Shape, view.Strides));
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private ZipArchive OpenArchive(FileStream stream)
    {
        var start = _file.Read(0, 4);
        if (start is [(byte)'P', (byte)'K', ..]) return new ZipArchive(stream, ZipArchiveMode.Read);
        throw start[0] == 0x80
            ? Fault("it is a bare pickle, the format before PyTorch 1.6, which isn't read; load it in a newer PyTorch and save it again, best as safetensors (model.save_pretrained(folder))")
            : Fault("it is not a zip archive, which weights in PyTorch's format are; copy or download it again");
    }

    /// <summary>The archive's files by their name below its one folder.</summary>
    private Dictionary<string, ZipArchiveEntry> PartsOf(ZipArchive archive)
    {
        var parts = new Dictionary<string, ZipArchiveEntry>(StringComparer.Ordinal);
        foreach (var entry in archive.Entries)
        {
            var name = entry.FullName[(entry.FullName.IndexOf('/', StringComparison.Ordinal) + 1)..];
            if (!parts.TryAdd(name, entry)) throw Fault($"its part {name} is there twice");
            if (name == "constants.pkl") throw Fault("it is a TorchScript program, not weights; save the model's state_dict");
        }

        return parts;
    }

    private ZipArchiveEntry Required(Dictionary<string, ZipArchiveEntry> parts, string name) =>
        parts.TryGetValue(name, out var entry) ? entry : throw Fault($"it has no part {name}: it isn't weights in PyTorch's format, or it is cut short");

    /// <summary>Where a part's bytes begin in the file.</summary>
    private long Offset(ZipArchiveEntry part, FileStream stream)
    {
        if (part.CompressedLength != part.Length) throw Fault($"its part {part.FullName} is compressed, which torch.save never does");
        if (part.Length == 0) return 0;
        // The library doesn't tell; but having read one byte of a part that isn't compressed, the file stands behind it.
        using var bytes = part.Open();
        if (bytes.ReadByte() < 0) throw Fault($"its part {part.FullName} is cut short");
        var offset = stream.Position - 1;
        return offset >= 0 && offset <= _file.Length - part.Length ? offset : throw Fault($"its part {part.FullName} reaches beyond the file's end");
    }

    /// <summary>Whether the numbers lie one after the other, the last index running fastest.</summary>
    private static bool IsInOrder(PickledTensor view)
    {
        long expected = 1;
        for (var dimension = view.Shape.Length - 1; dimension >= 0; dimension--)
        {
            if (view.Shape[dimension] == 0) return true;
            if (view.Shape[dimension] != 1 && view.Strides[dimension] != expected) return false;
            expected *= view.Shape[dimension];
        }

        return true;
    }

    private InputException Fault(string what) => new($"{_file.Path}: {what}.");
}
