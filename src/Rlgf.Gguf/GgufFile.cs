using System.Buffers;
using System.Runtime.InteropServices;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>A tensor of a GGUF file.</summary>
/// <param name="Type">How its numbers are stored.</param>
/// <param name="Shape">Its shape, the fastest index last, as everywhere here; the file has it the other way round.</param>
/// <param name="Offset">Its first byte, counted from the beginning of the file.</param>
/// <param name="Bytes">How many it has.</param>
public sealed record GgufTensor(GgufType Type, IReadOnlyList<long> Shape, long Offset, long Bytes)
{
    /// <summary>How many numbers it has.</summary>
    public long Elements => Shape.Aggregate(1L, (product, length) => product * length);
}

/// <summary>
/// A GGUF file, versions 2 and 3: keys and values, where each tensor is and how it is stored, then the tensors. They are read as floating-point numbers, quantised ones as float32.
/// </summary>
/// <remarks>The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.</remarks>
public sealed class GgufFile : IDisposable
{
    private const uint Magic = 0x46554747; // "GGUF"
    private const int MostTensors = 200_000;
    private const int MostDimensions = 4;
    private const int LeastBytes = 24;
    private const string What = "a GGUF file";

    /// <summary>Numbers computed at once: a multiple of every block.</summary>
    private const int Piece = 1 << 20;

    private readonly MappedFile _file;
    private readonly List<GgufFile> _parts = [];
    private readonly Dictionary<string, GgufFile> _inParts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GgufTensor> _tensors;

    private GgufFile(MappedFile file)
    {
        _file = file;
        var reader = new GgufReader(file);
        (Version, var tensors, Metadata) = ReadHead(file.Path, reader);
        _tensors = ReadTensors(reader, tensors);
        CheckRanges();
    }

    /// <summary>The file.</summary>
    public string Path => _file.Path;

    /// <summary>The file and, where the model is split, those with its other parts.</summary>
    public IReadOnlyList<string> Paths => [Path, .. _parts.Select(part => part.Path)];

    /// <summary>Version of the format.</summary>
    public uint Version { get; }

    /// <summary>The keys and values.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>The tensors by name, as they are stored.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors => _tensors;

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

    /// <summary>Reads the keys and values alone.</summary>
    internal static GgufMetadata OpenMetadata(string path)
    {
        using var file = MappedFile.Open(path, LeastBytes, What);
        return ReadHead(path, new GgufReader(file)).Metadata;
    }

    /// <summary>Takes the tensors of another part, and owns it from then on.</summary>
    internal void Add(GgufFile part)
    {
        _parts.Add(part);
        foreach (var (name, tensor) in part.Tensors)
        {
            if (!_tensors.TryAdd(name, tensor)) throw part.Fault($"'{name}' is in another part too");
            _inParts.Add(name, part);
        }
    }

    private static GgufFile OpenOne(string path)
    {
        var file = MappedFile.Open(path, LeastBytes, What);
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

    /// <summary>Reads all numbers of a tensor, in the order of its rows, as float32: those of float16 and bfloat16 are widened, blocks are computed.</summary>
    /// <exception cref="InputException">There is no such tensor, or the file can't be read.</exception>
    public float[] Read(string name)
    {
        var numbers = new float[Find(name).Elements];
        Read(name, 0, numbers);
        return numbers;
    }

    /// <summary>Reads some numbers of a tensor as float32.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="first">The first number, counted over all rows; it must begin a block.</param>
    /// <param name="numbers">As many are read as it holds: whole blocks.</param>
    /// <exception cref="ArgumentException">They are not whole blocks, or reach beyond the tensor.</exception>
    /// <exception cref="InputException">There is no such tensor, or the file can't be read.</exception>
    public void Read(string name, long first, Span<float> numbers)
    {
        var tensor = Find(name);
        var (inBlock, bytes) = GgufTypes.BlockOf(tensor.Type);
        if (first < 0 || first % inBlock != 0 || numbers.Length % inBlock != 0) throw new ArgumentException($"'{name}' is read in whole blocks of {inBlock} numbers.", nameof(first));
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(numbers.Length, Piece) / inBlock * bytes);
        try
        {
            for (var done = 0; done < numbers.Length; done += Piece)
            {
                var part = numbers.Slice(done, Math.Min(Piece, numbers.Length - done));
                var stored = buffer.AsSpan(0, part.Length / inBlock * bytes);
                ReadStored(name, (first + done) / inBlock * bytes, stored);
                if (tensor.Type == GgufType.F32) MemoryMarshal.Cast<byte, float>(stored).CopyTo(part);
                else GgufBlocks.Dequantize(tensor.Type, stored, part);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Reads bytes of a tensor as they are stored.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="offset">The first byte, counted from the tensor's first.</param>
    /// <param name="bytes">As many are read as it holds.</param>
    /// <exception cref="ArgumentException">They reach beyond the tensor.</exception>
    /// <exception cref="InputException">There is no such tensor, or the file can't be read.</exception>
    public void ReadStored(string name, long offset, Span<byte> bytes)
    {
        var tensor = Find(name);
        if (offset < 0 || bytes.Length > tensor.Bytes - offset) throw new ArgumentException($"'{name}' has {tensor.Bytes} bytes, and {bytes.Length} at {offset} are asked for.", nameof(offset));
        (_inParts.TryGetValue(name, out var part) ? part._file : _file).Read(tensor.Offset + offset, bytes);
    }

    /// <summary>Closes the file and those of its other parts.</summary>
    public void Dispose()
    {
        _file.Dispose();
        foreach (var part in _parts) part.Dispose();
    }

    private GgufTensor Find(string name) => _tensors.TryGetValue(name, out var tensor) ? tensor : throw new InputException($"{Path}: it has no tensor '{name}'; copy or download the file again.");

    private static (uint Version, int Tensors, GgufMetadata Metadata) ReadHead(string path, GgufReader reader)
    {
        if (reader.UInt32() != Magic) throw Fault(path, "it doesn't begin with GGUF: it is not a GGUF file");
        var version = reader.UInt32();
        if (version is not (2 or 3))
            throw Fault(path, (version & 0xFFFF) == 0 ? "its numbers are in the other byte order (big-endian), which isn't read" : $"it is of version {version} of the format; 2 and 3 are read");
        var tensors = reader.Count(leastBytes: 24, "the number of tensors", MostTensors);
        return (version, tensors, GgufMetadata.Read(path, reader, GgufMetadata.ReadCount(reader)));
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

    private InputException Fault(string what) => Fault(Path, what);

    private static InputException Fault(string path, string what) => new($"{path}: {what}; copy or download it again.");
}
