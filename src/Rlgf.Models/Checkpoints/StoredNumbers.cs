using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>Copies bytes into memory, from an offset on.</summary>
internal delegate void ByteSource(long offset, Span<byte> destination);

/// <summary>Numbers that lie one after the other in a file, as tensors.</summary>
internal static class StoredNumbers
{
    /// <summary>Numbers copied at once: at most 8 MB.</summary>
    private const long Piece = 1 << 20;

    /// <summary>Copies numbers into a tensor, whatever its type and device.</summary>
    /// <param name="file">The file.</param>
    /// <param name="offset">Of the first number, in bytes.</param>
    /// <param name="type">Type of the stored numbers.</param>
    /// <param name="destination">As many numbers are read as it has.</param>
    public static void CopyTo(this MappedFile file, long offset, ScalarType type, Tensor destination) => Copy((at, bytes) => file.Read(offset + at, bytes), type, destination);

    /// <summary>Copies numbers into a tensor, whatever its type and device.</summary>
    /// <param name="read">Reads bytes, counted from the first number.</param>
    /// <param name="type">Type of the stored numbers.</param>
    /// <param name="destination">As many numbers are read as it has.</param>
    public static void Copy(ByteSource read, ScalarType type, Tensor destination)
    {
        using var gradients = no_grad();
        if (!destination.is_contiguous())
        {
            using var ordered = empty(destination.shape, dtype: type, device: CPU);
            Copy(read, type, ordered);
            destination.copy_(ordered);
            return;
        }

        var elements = destination.NumberOfElements;
        var size = StoredTypes.SizeOf(type);
        using var flat = destination.view(-1);
        using var buffer = destination.dtype == type && destination.device_type == DeviceType.CPU ? null : empty(Math.Min(Piece, elements), dtype: type, device: CPU);
        for (long first = 0; first < elements; first += Piece)
        {
            var count = Math.Min(Piece, elements - first);
            using var part = flat.narrow(0, first, count);
            if (buffer is null)
            {
                read(first * size, part.bytes);
            }
            else
            {
                using var stored = buffer.narrow(0, 0, count);
                read(first * size, stored.bytes);
                part.copy_(stored);
            }
        }

        PackedProducts.Changed(destination);
    }
}
