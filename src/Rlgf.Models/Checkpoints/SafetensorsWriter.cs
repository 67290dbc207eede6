using System.Text.Encodings.Web;
using System.Text.Json;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>A tensor that is to be stored. Its numbers are made when its turn comes and let go after it, so that a model in another type is never whole in memory beside the first.</summary>
/// <param name="Name">Its name in the file.</param>
/// <param name="Type">Type of the stored numbers.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Numbers">Gives a tensor of that shape, of any type and on any device; called inside a dispose scope.</param>
public sealed record TensorToStore(string Name, ScalarType Type, IReadOnlyList<long> Shape, Func<Tensor> Numbers)
{
    /// <summary>A tensor that exists, to be stored in its own type or another.</summary>
    public static TensorToStore Of(string name, Tensor tensor, ScalarType? type = null)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return new TensorToStore(name, type ?? tensor.dtype, tensor.shape, () => tensor);
    }

    /// <summary>Bytes of its numbers in the file.</summary>
    internal long Bytes => Shapes.Elements(Shape)!.Value * StoredTypes.SizeOf(Type);
}

/// <summary>Writes safetensors files. A file appears under its name only when it is complete.</summary>
public static class SafetensorsWriter
{
    private static readonly JsonWriterOptions HeaderOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes tensors by name, in their own types.</summary>
    /// <param name="path">The file; one that exists is replaced once the new one is complete.</param>
    /// <param name="tensors">Name and tensor, on any device.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>; <c>format: pt</c>, which other tools ask for, is always there.</param>
    /// <exception cref="IOException">The file can't be written (a full disk, say); what was there before is untouched.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null) =>
        Write(path, tensors.Select(pair => TensorToStore.Of(pair.Key, pair.Value)), metadata);

    /// <summary>Writes tensors one after the other.</summary>
    /// <param name="path">The file; one that exists is replaced once the new one is complete.</param>
    /// <param name="tensors">The tensors, in any order.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>; <c>format: pt</c>, which other tools ask for, is always there.</param>
    /// <exception cref="InputException">A number is beyond the range of the type it is to be stored in.</exception>
    /// <exception cref="IOException">The file can't be written (a full disk, say); what was there before is untouched.</exception>
    public static void Write(string path, IEnumerable<TensorToStore> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal).ToArray();
        AtomicFile.Write(path, stream =>
        {
            WriteHeader(stream, ordered, metadata);
            foreach (var tensor in ordered) WriteData(stream, tensor, path);
        });
    }

    private static void WriteHeader(Stream stream, TensorToStore[] tensors, IReadOnlyDictionary<string, string>? metadata)
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
            foreach (var tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", StoredTypes.NameOf(tensor.Type));
                json.WriteStartArray("shape");
                foreach (var length in tensor.Shape) json.WriteNumberValue(length);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += tensor.Bytes);
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

    private static void WriteData(Stream stream, TensorToStore tensor, string path)
    {
        const long piece = 1 << 22;
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var numbers = tensor.Numbers().detach();
        if (!numbers.shape.SequenceEqual(tensor.Shape)) throw new ArgumentException($"'{tensor.Name}' was announced as {Shapes.Format(tensor.Shape)} and is {Shapes.Format(numbers.shape)}.", nameof(tensor));
        var flat = numbers.contiguous().view(-1);
        var elements = flat.size(0);
        for (long first = 0; first < elements; first += piece)
        {
            using var pieceScope = NewDisposeScope();
            var part = flat.narrow(0, first, Math.Min(piece, elements - first));
            var stored = part.to(tensor.Type).cpu();
            if (tensor.Type == ScalarType.Float16 && part.dtype != ScalarType.Float16 && stored.isinf().any().item<bool>() && !part.isinf().any().item<bool>())
                throw new InputException($"{path}: '{tensor.Name}' has numbers beyond the range of float16 (65,504): store the weights as bfloat16 or float32.");
            stream.Write(stored.bytes);
        }
    }
}
