using System.Buffers.Binary;
using System.Text.Json;
using Rlgf.Base;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>A safetensors file: eight bytes with the length of a JSON header, the header (name → type, shape, byte range), the numbers.</summary>
/// <remarks>
/// Nothing in the header is believed: types must be known, lengths must follow from shapes, and the ranges must cover the file without gap or overlap, as the format demands
/// (https://huggingface.co/docs/safetensors). Every fault is an <see cref="InputException"/> that names the file.
/// </remarks>
public sealed class SafetensorsFile : ITensorFile
{
    /// <summary>The format allows 100 MB; a header of this length lists more than 200,000 tensors, which no model has in one file.</summary>
    private const long LongestHeader = 32_000_000;

    private readonly MappedFile _file;
    private readonly long _dataStart;
    private readonly Dictionary<string, StoredTensor> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (long Begin, long End)> _ranges = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    private SafetensorsFile(MappedFile file)
    {
        _file = file;
        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(file.Read(0, sizeof(ulong)));
        if (headerLength > (ulong)(file.Length - sizeof(ulong)))
            throw Fault($"its header is said to be {headerLength} bytes long, of {file.Length} in the file: it is cut short or not a safetensors file");
        if (headerLength > LongestHeader) throw Fault($"its header has {headerLength} bytes, more than any model needs: it is not a safetensors file");
        _dataStart = sizeof(ulong) + (long)headerLength;
        ReadHeader(file.Read(sizeof(ulong), (int)headerLength));
        CheckRanges();
    }

    /// <summary>The file.</summary>
    public string Path => _file.Path;

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Entries => _entries;

    /// <summary>The texts under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="InputException">It's absent, cut short or malformed.</exception>
    public static SafetensorsFile Open(string path)
    {
        var file = MappedFile.Open(path, sizeof(ulong), "a safetensors file");
        try
        {
            return new SafetensorsFile(file);
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
        _file.CopyTo(_dataStart + _ranges[name].Begin, _entries[name].Type, destination);
    }

    /// <inheritdoc/>
    public bool CopyRowsTo(string name, long first, Tensor destination)
    {
        var entry = this.Entry(name);
        var row = destination.NumberOfElements / destination.shape[0];
        if (!entry.Shape.Skip(1).SequenceEqual(destination.shape.Skip(1)) || first < 0 || first > entry.Shape[0] - destination.shape[0])
            throw new ArgumentException($"'{name}' of shape {Shapes.Format(entry.Shape)} has no rows of shape {Shapes.Format(destination.shape)} from {first} on.", nameof(destination));
        _file.CopyTo(_dataStart + _ranges[name].Begin + first * row * StoredTypes.SizeOf(entry.Type), entry.Type, destination);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void ReadHeader(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw Fault("its header is not a JSON object");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                reader.Read();
                using var value = JsonDocument.ParseValue(ref reader);
                if (name == "__metadata__") ReadMetadata(value.RootElement);
                else ReadEntry(name, value.RootElement);
            }

            // What follows the object may only be spaces; the reader throws at anything else.
            while (reader.Read())
            {
            }
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InputException($"{Path}: its header can't be read: {(failure is JsonException fault ? JsonFault.Words(fault) : failure.Message.TrimEnd('.'))}; copy or download the file again.", failure);
        }
    }

    private void ReadMetadata(JsonElement json)
    {
        foreach (var text in json.EnumerateObject()) _metadata[text.Name] = text.Value.GetString() ?? "";
    }

    private void ReadEntry(string name, JsonElement json)
    {
        var typeName = json.GetProperty("dtype").GetString();
        if (StoredTypes.Parse(typeName) is not { } type)
        {
            var what = $"'{name}' is of the type {typeName}, which isn't read";
            throw StoredTypes.AdviceFor(typeName) is { } advice ? new InputException($"{Path}: {what}: {advice}.") : Fault(what);
        }


        var shape = json.GetProperty("shape").EnumerateArray().Select(item => item.GetInt64()).ToArray();
        var offsets = json.GetProperty("data_offsets").EnumerateArray().Select(item => item.GetInt64()).ToArray();
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0]) throw Fault($"'{name}' has impossible offsets {Shapes.Format(offsets)}");
        if (Shapes.Elements(shape) is not { } elements) throw Fault($"'{name}' has the impossible shape {Shapes.Format(shape)}");
        var bytes = elements * StoredTypes.SizeOf(type);
        if (bytes != offsets[1] - offsets[0]) throw Fault($"'{name}' of shape {Shapes.Format(shape)} needs {bytes} bytes and has {offsets[1] - offsets[0]}");
        if (!_entries.TryAdd(name, new StoredTensor(type, shape))) throw Fault($"'{name}' stands in its header twice");
        _ranges.Add(name, (offsets[0], offsets[1]));
    }

    private void CheckRanges()
    {
        long reached = 0;
        foreach (var (name, (begin, end)) in _ranges.OrderBy(pair => pair.Value))
        {
            if (begin != reached) throw Fault($"the bytes of '{name}' begin at {begin} where the tensor before it ends at {reached}");
            reached = end;
        }

        if (reached != _file.Length - _dataStart) throw Fault($"its tensors take {reached} bytes and {_file.Length - _dataStart} are there: it is cut short or damaged");
    }

    private InputException Fault(string what) => new($"{Path}: {what}; copy or download the file again.");
}
