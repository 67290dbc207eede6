using System.IO.MemoryMappedFiles;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>
/// A file that is read through the system's memory map. Only the piece that is being copied is mapped: a whole map would count as memory of this process page by page,
/// so that loading would seem to take the model's size twice.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    /// <summary>Numbers copied at once: at most 8 MB.</summary>
    private const long Piece = 1 << 20;

    private readonly MemoryMappedFile _map;

    private MappedFile(string path, long length, MemoryMappedFile map)
    {
        Path = path;
        Length = length;
        _map = map;
    }

    public string Path { get; }

    /// <summary>In bytes.</summary>
    public long Length { get; }

    /// <summary>Opens a file that isn't empty.</summary>
    /// <exception cref="InputException">It can't be read, or has fewer than <paramref name="atLeast"/> bytes.</exception>
    public static MappedFile Open(string path, int atLeast, string kind)
    {
        try
        {
            // The stream's length and not the path's, which in a hub's cache is that of a link.
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            var length = stream.Length;
            Span<byte> start = stackalloc byte[ForeignContent.Enough];
            start = start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
            var foreign = ForeignContent.DescribeInBinary(start);
            if (foreign is null && length >= atLeast) return new MappedFile(path, length, MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false));
            stream.Dispose();
            if (foreign is not null) throw new InputException($"{path}: {foreign}.");
            throw new InputException($"{path}: it has {length} bytes, too few for {kind}; copy or download it again.");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be read: {failure.Message}", failure);
        }
    }

    /// <summary>Copies bytes.</summary>
    /// <exception cref="InputException">They lie beyond the file's end, or can't be read.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        if (destination.IsEmpty) return;
        if (offset < 0 || offset > Length - destination.Length) throw new InputException($"{Path}: {destination.Length} bytes at {offset} are beyond its {Length}: it is cut short; copy or download it again.");
        try
        {
            using var view = _map.CreateViewAccessor(offset, destination.Length, MemoryMappedFileAccess.Read);
            byte* start = null;
            try
            {
                view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
                new ReadOnlySpan<byte>(start + view.PointerOffset, destination.Length).CopyTo(destination);
            }
            finally
            {
                if (start is not null) view.SafeMemoryMappedViewHandle.ReleasePointer();
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{Path}: can't be read: {failure.Message}", failure);
        }
    }

    /// <summary>Reads bytes into a new array.</summary>
    public byte[] Read(long offset, int count)
    {
        var bytes = new byte[count];
        Read(offset, bytes);
        return bytes;
    }

    /// <summary>Copies numbers that lie one after the other into a tensor, whatever its type and device.</summary>
    /// <param name="offset">Of the first number, in bytes.</param>
    /// <param name="type">Type of the stored numbers.</param>
    /// <param name="destination">As many numbers are read as it has.</param>
    public void CopyTo(long offset, ScalarType type, Tensor destination)
    {
        using var gradients = no_grad();
        if (!destination.is_contiguous())
        {
            using var ordered = empty(destination.shape, dtype: type);
            CopyTo(offset, type, ordered);
            destination.copy_(ordered);
            return;
        }

        var elements = destination.NumberOfElements;
        var size = StoredTypes.SizeOf(type);
        using var flat = destination.view(-1);
        using var buffer = destination.dtype == type && destination.device_type == DeviceType.CPU ? null : empty(Math.Min(Piece, elements), dtype: type);
        for (long first = 0; first < elements; first += Piece)
        {
            var count = Math.Min(Piece, elements - first);
            using var part = flat.narrow(0, first, count);
            if (buffer is null)
            {
                Read(offset + first * size, part.bytes);
            }
            else
            {
                using var stored = buffer.narrow(0, 0, count);
                Read(offset + first * size, stored.bytes);
                part.copy_(stored);
            }
        }
    }

    public void Dispose() => _map.Dispose();
}
