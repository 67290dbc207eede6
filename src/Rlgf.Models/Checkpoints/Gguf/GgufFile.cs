using System.Runtime.InteropServices;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints.Gguf;

/// <summary>A tensor of a GGUF file.</summary>
/// <param name="Type">How its numbers are stored.</param>
/// <param name="Shape">Its shape, the fastest index last, as everywhere here; the file has it the other way round.</param>
/// <param name="Offset">Its first byte, counted from the beginning of the file.</param>
/// <param name="Bytes">How many it has.</param>
internal sealed record GgufTensor(GgufType Type, long[] Shape, long Offset, long Bytes);

/// <summary>
/// A GGUF file, versions 2 and 3: keys and values, where each tensor is and how it is stored, then the tensors. They are read as floating-point numbers, quantised ones as float32.
/// </summary>
/// <remarks>The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.</remarks>
public sealed class GgufFile : ITensorFile
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const int MostTensors = 200_000;
    private const int MostDimensions = 4;

    private readonly MappedFile _file;
    private readonly List<GgufFile> _parts = [];
    private readonly Dictionary<string, GgufFile> _inParts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GgufTensor> _tensors;
    private readonly Dictionary<string, StoredTensor> _entries;

    private GgufFile(MappedFile file)
    {
        _file = file;
        var reader = new GgufReader(file);
        if (reader.UInt32() != Magic) throw Fault("it doesn't begin with GGUF: it is not a GGUF file");
        Version = ReadVersion(reader);
        var tensors = reader.Count(leastBytes: 24, "the number of tensors", MostTensors);
        Metadata = GgufMetadata.Read(file.Path, reader, GgufMetadata.ReadCount(reader));
        _tensors = ReadTensors(reader, tensors);
        CheckRanges();
        _entries = Tensors.ToDictionary(pair => pair.Key, pair => new StoredTensor(ReadAs(pair.Value.Type), pair.Value.Shape), StringComparer.Ordinal);
    }

    /// <summary>The file.</summary>
    public string Path => _file.Path;

    /// <summary>The tensors by name; those that are quantised, with the type they are read as.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Entries => _entries;

    /// <summary>The file and, where the model is split, those with its other parts.</summary>
    public IReadOnlyList<string> Paths => [Path, .. _parts.Select(part => part.Path)];

    /// <summary>Version of the format.</summary>
    internal uint Version { get; }

    /// <summary>The keys and values.</summary>
    internal GgufMetadata Metadata { get; }

    /// <summary>The tensors as they are stored.</summary>
    internal IReadOnlyDictionary<string, GgufTensor> Tensors => _tensors;

    /// <summary>Opens a file, with all parts of a model that is split, and checks their heads.</summary>
    /// <param name="path">The file, or any of a model's parts.</param>
    /// <exception cref="InputException">It's absent, cut short, malformed, stores a tensor in a way that isn't read, or is a part without the others.</exception>
    public static GgufFile Open(string path)
    {
        var file = OpenOne(path);
        try
        {
            return GgufParts.Join(file, OpenOne);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Takes the tensors of another part, and owns it from then on.</summary>
    internal void Add(GgufFile part)
    {
        _parts.Add(part);
        foreach (var (name, tensor) in part.Tensors)
        {
            if (!_tensors.TryAdd(name, tensor)) throw part.Fault($"'{name}' is in another part too");
            _entries.Add(name, part.Entries[name]);
            _inParts.Add(name, part);
        }
    }

    private static GgufFile OpenOne(string path)
    {
        var file = MappedFile.Open(path, 24, "a GGUF file");
        try
        {
            return new GgufFile(file);
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
        if (_inParts.TryGetValue(name, out var part))
        {
            part.CopyTo(name, destination);
            return;
        }

        this.RequireShape(name, destination);
        var tensor = Tensors[name];
        if (tensor.Type is GgufType.F32 or GgufType.F16 or GgufType.BF16)
        {
            _file.CopyTo(tensor.Offset, ReadAs(tensor.Type), destination);
            return;
        }

        using var gradients = no_grad();
        if (destination.dtype == ScalarType.Float32 && destination.device_type == DeviceType.CPU && destination.is_contiguous())
        {
            Dequantize(tensor, destination);
            return;
        }

        using var numbers = empty(tensor.Shape, dtype: ScalarType.Float32);
        Dequantize(tensor, numbers);
        destination.copy_(numbers);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        foreach (var part in _parts) part.Dispose();
    }

    private static ScalarType ReadAs(GgufType type) => type switch
    {
        GgufType.F16 => ScalarType.Float16,
        GgufType.BF16 => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };

    private void Dequantize(GgufTensor tensor, Tensor destination)
    {
        var (numbers, bytes) = GgufTypes.BlockOf(tensor.Type);
        var blocks = tensor.Bytes / bytes;
        if (blocks == 0) return;
        var atOnce = Math.Min(blocks, (1 << 20) / numbers);
        var buffer = new byte[atOnce * bytes];
        using var flat = destination.view(-1);
        for (long first = 0; first < blocks; first += atOnce)
        {
            var count = (int)Math.Min(atOnce, blocks - first);
            using var part = flat.narrow(0, first * numbers, (long)count * numbers);
            var stored = buffer.AsSpan(0, count * bytes);
            _file.Read(tensor.Offset + first * bytes, stored);
            GgufBlocks.Dequantize(tensor.Type, stored, MemoryMarshal.Cast<byte, float>(part.bytes));
        }
    }

    private uint ReadVersion(GgufReader reader)
    {
        var version = reader.UInt32();
        if (version is 2 or 3) return version;
        throw Fault((version & 0xFFFF) == 0 ? "its numbers are in the other byte order (big-endian), which isn't read" : $"it is of version {version} of the format; 2 and 3 are read");
    }

    private Dictionary<string, GgufTensor> ReadTensors(GgufReader reader, int count)
    {
        var described = new List<(string Name, GgufType Type, long[] Shape, ulong Offset, long Bytes)>();
        for (var i = 0; i < count; i++)
        {
            var name = reader.Text();
            var dimensions = reader.UInt32();
            if (dimensions > MostDimensions) throw Fault($"'{name}' has {dimensions} dimensions; at most {MostDimensions} can be");
            var shape = new long[dimensions];
            for (var dimension = shape.Length - 1; dimension >= 0; dimension--) shape[dimension] = (long)Math.Min(reader.UInt64(), long.MaxValue);
            var typeNumber = reader.UInt32();
            if (GgufTypes.Parse(typeNumber) is not { } type) throw new InputException($"{Path}: '{name}' is stored as {GgufTypes.NameOf(typeNumber)}, which isn't read; read are {GgufTypes.AllNames}.");
            if (Shapes.Elements(shape) is not { } elements) throw Fault($"'{name}' has the impossible shape {Shapes.Format(shape)}");
            var (numbers, bytes) = GgufTypes.BlockOf(type);
            if ((shape.Length == 0 ? 1 : shape[^1]) % numbers != 0) throw Fault($"'{name}' of shape {Shapes.Format(shape)} is stored as {type}, whose blocks of {numbers} don't fit into its rows");
            described.Add((name, type, shape, reader.UInt64(), elements / numbers * bytes));
        }

        var alignment = Metadata.Whole("general.alignment") ?? 32;
        if (alignment == 0 || alignment % 8 != 0) throw Metadata.Fault("general.alignment", $"is {alignment}: it must be a multiple of 8");
        var start = (reader.Position + alignment - 1) / alignment * alignment;
        var tensors = new Dictionary<string, GgufTensor>(StringComparer.Ordinal);
        foreach (var (name, type, shape, offset, bytes) in described)
        {
            if (offset % (ulong)alignment != 0) throw Fault($"'{name}' begins at {offset}, which is no multiple of {alignment}");
            if (start > _file.Length || offset > (ulong)(_file.Length - start) || bytes > _file.Length - start - (long)offset)
                throw Fault($"'{name}' has {bytes} bytes from {offset} on, which reaches beyond the file's end: it is cut short");
            if (!tensors.TryAdd(name, new GgufTensor(type, shape, start + (long)offset, bytes))) throw Fault($"'{name}' is there twice");
        }

        return tensors;
    }

    private void CheckRanges()
    {
        long reached = 0;
        foreach (var (name, tensor) in Tensors.Where(pair => pair.Value.Bytes > 0).OrderBy(pair => pair.Value.Offset))
        {
            if (tensor.Offset < reached) throw Fault($"the bytes of '{name}' overlap those of another tensor");
            reached = tensor.Offset + tensor.Bytes;
        }
    }

    private InputException Fault(string what) => new($"{Path}: {what}; copy or download it again.");
}
