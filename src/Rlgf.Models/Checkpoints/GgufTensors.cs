using System.Runtime.InteropServices;
using Rlgf.Base;
using Rlgf.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>The tensors of a GGUF file: floating-point numbers in their types, quantised ones as float32.</summary>
public sealed class GgufTensors : ITensorFile
{
    private const long Piece = 1 << 20;

    private GgufTensors(GgufFile file)
    {
        File = file;
        Entries = file.Tensors.ToDictionary(pair => pair.Key, pair => new StoredTensor(ReadAs(pair.Value.Type), pair.Value.Shape), StringComparer.Ordinal);
    }

    /// <summary>The file with its keys.</summary>
    public GgufFile File { get; }

    /// <inheritdoc/>
    public string Path => File.Path;

    /// <summary>The tensors by name; those that are quantised, with the type they are read as.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Entries { get; }

    /// <summary>Opens a file; see <see cref="GgufFile.Open"/>.</summary>
    /// <exception cref="InputException">It can't be used.</exception>
    public static GgufTensors Open(string path) => new(GgufFile.Open(path));

    /// <summary>Why a file can't be made a folder of; null where it can.</summary>
    internal static InputException? WhyNotConverted(string path)
    {
        try
        {
            using var file = GgufFile.Open(path);
            _ = new GgufModel(file).ToConfiguration(new GgufTokenizer(file.Metadata));
            return null;
        }
        catch (InputException fault)
        {
            return fault;
        }
    }

    /// <inheritdoc/>
    public void CopyTo(string name, Tensor destination)
    {
        this.RequireShape(name, destination);
        Copy(File, name, destination);
    }

    /// <inheritdoc/>
    public void Dispose() => File.Dispose();

    /// <summary>Copies a tensor's numbers into one of the same shape, of any type and on any device.</summary>
    internal static void Copy(GgufFile file, string name, Tensor destination)
    {
        var type = file.Tensors[name].Type;
        if (type is GgufType.F32 or GgufType.F16 or GgufType.BF16)
        {
            StoredNumbers.Copy((offset, bytes) => file.ReadStored(name, offset, bytes), ReadAs(type), destination);
            return;
        }

        using var gradients = no_grad();
        if (destination.dtype == ScalarType.Float32 && destination.device_type == DeviceType.CPU && destination.is_contiguous())
        {
            Dequantize(file, name, destination);
            return;
        }

        using var numbers = empty(destination.shape, dtype: ScalarType.Float32, device: CPU);
        Dequantize(file, name, numbers);
        destination.copy_(numbers);
    }

    private static void Dequantize(GgufFile file, string name, Tensor destination)
    {
        using var flat = destination.view(-1);
        var elements = flat.NumberOfElements;
        for (long first = 0; first < elements; first += Piece)
        {
            using var part = flat.narrow(0, first, Math.Min(Piece, elements - first));
            file.Read(name, first, MemoryMarshal.Cast<byte, float>(part.bytes));
        }

        PackedProducts.Changed(destination);
    }

    private static ScalarType ReadAs(GgufType type) => type switch
    {
        GgufType.F16 => ScalarType.Float16,
        GgufType.BF16 => ScalarType.BFloat16,
        _ => ScalarType.Float32,
    };
}
