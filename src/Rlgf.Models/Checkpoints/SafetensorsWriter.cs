using System.Text.Encodings.Web;
using System.Text.Json;
using Rlgf.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>Writes safetensors files. A file appears under its name only when it is complete.</summary>
public static class SafetensorsWriter
{
    private static readonly JsonWriterOptions HeaderOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes tensors by name, in their own types.</summary>
    /// <param name="path">The file; one that exists is replaced once the new one is complete.</param>
    /// <param name="tensors">Name and tensor, on any device.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>; <c>format: pt</c>, which other tools ask for, is always there.</param>
    /// <exception cref="IOException">The file can't be written (a full disk, say); what was there before is untouched.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderBy(pair => pair.Key, StringComparer.Ordinal).ToArray();
        AtomicFile.Write(path, stream =>
        {
            WriteHeader(stream, ordered, metadata);
            foreach (var (_, tensor) in ordered) WriteData(stream, tensor);
        });
    }

    internal static long ByteCount(Tensor tensor) => tensor.NumberOfElements * Code(tensor.dtype).Size;

    private static void WriteHeader(Stream stream, KeyValuePair<string, Tensor>[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, HeaderOptions))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            json.WriteString("format", "pt");
            foreach (var (name, text) in metadata ?? new Dictionary<string, string>()) json.WriteString(name, text);
            json.WriteEndObject();
            long offset = 0;
            foreach (var (name, tensor) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", Code(tensor.dtype).Name);
                json.WriteStartArray("shape");
                foreach (var length in tensor.shape) json.WriteNumberValue(length);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += ByteCount(tensor));
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        // Spaces after the header bring the numbers to a multiple of eight.
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' ');
        stream.Write(BitConverter.GetBytes((ulong)buffer.Length));
        buffer.WriteTo(stream);
    }

    private static void WriteData(Stream stream, Tensor tensor)
    {
        const long piece = 1 << 28;
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var flat = tensor.detach().cpu().contiguous().view(-1);
        var elements = flat.size(0);
        for (long first = 0; first < elements; first += piece)
        {
            stream.Write(flat.narrow(0, first, Math.Min(piece, elements - first)).bytes);
        }
    }

    private static (string Name, int Size) Code(ScalarType type) => type switch
    {
        ScalarType.Float64 => ("F64", 8),
        ScalarType.Float32 => ("F32", 4),
        ScalarType.Float16 => ("F16", 2),
        ScalarType.BFloat16 => ("BF16", 2),
        ScalarType.Int64 => ("I64", 8),
        ScalarType.Int32 => ("I32", 4),
        ScalarType.Int16 => ("I16", 2),
        ScalarType.Int8 => ("I8", 1),
        ScalarType.Byte => ("U8", 1),
        ScalarType.Bool => ("BOOL", 1),
        _ => throw new ArgumentException($"Tensors of type {type} can't be stored."),
    };
}
