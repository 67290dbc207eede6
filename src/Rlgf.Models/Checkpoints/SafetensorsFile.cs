using System.IO.MemoryMappedFiles;
using System.Text.Json;
using Rlgf.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>Where a tensor lies in a file.</summary>
/// <param name="Type">Type of the stored numbers.</param>
/// <param name="Shape">Its shape; empty for a single number.</param>
/// <param name="Begin">First byte, counted from the end of the header.</param>
/// <param name="End">First byte after it.</param>
public sealed record SafetensorsEntry(ScalarType Type, IReadOnlyList<long> Shape, long Begin, long End);

/// <summary>
/// A safetensors file, mapped into memory: eight bytes with the length of a JSON header, the header (name → type, shape, byte range), the numbers.
/// </summary>
/// <remarks>
/// Nothing in the header is believed: types must be known, lengths must follow from shapes, and the ranges must cover the file without gap or overlap, as the format demands
/// (https://huggingface.co/docs/safetensors). Every fault is an <see cref="InputException"/> that names the file.
/// </remarks>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private const long LongestHeader = 100_000_000;

    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _data;

    private SafetensorsFile(string path, MemoryMappedFile map, MemoryMappedViewAccessor view, long fileLength)
    {
        Path = path;
        _map = map;
        _view = view;
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        start += view.PointerOffset;

        var headerLength = BitConverter.ToUInt64(new ReadOnlySpan<byte>(start, 8));
        if (headerLength > LongestHeader || (long)headerLength > fileLength - 8)
            throw Fault($"its header is said to be {headerLength} bytes long, of {fileLength} in the file: it is cut short or not a safetensors file");
        _data = start + 8 + headerLength;
        (Entries, Metadata) = ReadHeader(new ReadOnlySpan<byte>(start + 8, (int)headerLength), fileLength - 8 - (long)headerLength);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries { get; }

    /// <summary>The texts under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="InputException">It's absent, cut short or malformed.</exception>
    public static SafetensorsFile Open(string path)
    {
        MemoryMappedFile? map = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            var length = new FileInfo(path).Length;
            if (length < 8) throw new InputException($"{path}: it has {length} bytes, too few for a safetensors file; copy or download it again.");
            map = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            return new SafetensorsFile(path, map, view, length);
        }
        catch (Exception failure)
        {
            view?.Dispose();
            map?.Dispose();
            if (failure is IOException or UnauthorizedAccessException) throw new InputException($"{path}: can't be read: {failure.Message}", failure);
            throw;
        }
    }

    /// <summary>Reads a tensor in its stored type, onto the CPU.</summary>
    public Tensor Read(string name)
    {
        var entry = Entry(name);
        var tensor = empty([.. entry.Shape], dtype: entry.Type);
        CopyBytes(entry, tensor);
        return tensor;
    }

    /// <summary>Copies a tensor's numbers into one of the same shape, of any type and on any device.</summary>
    public void CopyTo(string name, Tensor destination)
    {
        var entry = Entry(name);
        if (!entry.Shape.SequenceEqual(destination.shape))
            throw Fault($"'{name}' has the shape {Shapes.Format(entry.Shape)} where {Shapes.Format(destination.shape)} is expected");
        using var gradients = no_grad();
        if (destination.dtype == entry.Type && destination.device_type == DeviceType.CPU && destination.is_contiguous())
        {
            CopyBytes(entry, destination);
            return;
        }

        using var stored = Read(name);
        destination.copy_(stored);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }

    private SafetensorsEntry Entry(string name) => Entries.TryGetValue(name, out var entry) ? entry : throw Fault($"it has no tensor '{name}'");

    private void CopyBytes(SafetensorsEntry entry, Tensor destination)
    {
        var length = entry.End - entry.Begin;
        if (length == 0) return;

        // A span holds at most 2 GiB, so large tensors go piece by piece.
        const long piece = 1 << 28;
        using var flat = destination.view(-1);
        var elements = flat.size(0);
        var size = length / elements;
        for (long first = 0; first < elements; first += piece)
        {
            var count = Math.Min(piece, elements - first);
            using var part = flat.narrow(0, first, count);
            new ReadOnlySpan<byte>(_data + entry.Begin + first * size, (int)(count * size)).CopyTo(part.bytes);
        }
    }

    private (Dictionary<string, SafetensorsEntry>, Dictionary<string, string>) ReadHeader(ReadOnlySpan<byte> json, long dataLength)
    {
        var entries = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw Fault("its header is not a JSON object");
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (property.Name == "__metadata__")
                {
                    foreach (var text in property.Value.EnumerateObject()) metadata[text.Name] = text.Value.GetString() ?? "";
                }
                else if (!entries.TryAdd(property.Name, ReadEntry(property.Name, property.Value)))
                {
                    throw Fault($"'{property.Name}' stands in its header twice");
                }
            }
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InputException($"{Path}: its header can't be read: {failure.Message.ReplaceLineEndings(" ")}; copy or download the file again.", failure);
        }

        long reached = 0;
        foreach (var (name, entry) in entries.OrderBy(pair => pair.Value.Begin).ThenBy(pair => pair.Value.End))
        {
            if (entry.Begin != reached) throw Fault($"the bytes of '{name}' begin at {entry.Begin} where the tensor before it ends at {reached}");
            reached = entry.End;
        }

        if (reached != dataLength) throw Fault($"its tensors take {reached} bytes and {dataLength} are there: it is cut short or damaged");
        return (entries, metadata);
    }

    private SafetensorsEntry ReadEntry(string name, JsonElement json)
    {
        var (type, size) = json.GetProperty("dtype").GetString() switch
        {
            "F64" => (ScalarType.Float64, 8),
            "F32" => (ScalarType.Float32, 4),
            "F16" => (ScalarType.Float16, 2),
            "BF16" => (ScalarType.BFloat16, 2),
            "I64" => (ScalarType.Int64, 8),
            "I32" => (ScalarType.Int32, 4),
            "I16" => (ScalarType.Int16, 2),
            "I8" => (ScalarType.Int8, 1),
            "U8" => (ScalarType.Byte, 1),
            "BOOL" => (ScalarType.Bool, 1),
            var other => throw Fault($"'{name}' is of the type {other}, which this program doesn't read"),
        };
        var shape = json.GetProperty("shape").EnumerateArray().Select(item => item.GetInt64()).ToArray();
        var offsets = json.GetProperty("data_offsets").EnumerateArray().Select(item => item.GetInt64()).ToArray();
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0]) throw Fault($"'{name}' has impossible offsets {Shapes.Format(offsets)}");
        try
        {
            long expected = size;
            foreach (var length in shape) expected = checked(expected * (length >= 0 ? length : throw new OverflowException()));
            if (expected != offsets[1] - offsets[0])
                throw Fault($"'{name}' of shape {Shapes.Format(shape)} needs {expected} bytes and has {offsets[1] - offsets[0]}");
        }
        catch (OverflowException)
        {
            throw Fault($"'{name}' has the impossible shape {Shapes.Format(shape)}");
        }

        return new SafetensorsEntry(type, shape, offsets[0], offsets[1]);
    }

    private InputException Fault(string what) => new($"{Path}: {what}; copy or download the file again.");
}

/// <summary>Shapes as messages show them.</summary>
internal static class Shapes
{
    public static string Format(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
