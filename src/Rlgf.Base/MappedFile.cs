using System.IO.MemoryMappedFiles;

namespace Rlgf.Base;

/// <summary>
/// A file that is read through the system's memory map. Only the piece that is being copied is mapped: a whole map would count as memory of this process page by page,
/// so that loading would seem to take the model's size twice.
/// </summary>
public sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile _map;

    private MappedFile(string path, long length, MemoryMappedFile map)
    {
        Path = path;
        Length = length;
        _map = map;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>In bytes.</summary>
    public long Length { get; }

    /// <summary>Opens a file that isn't empty.</summary>
    /// <param name="path">The file.</param>
    /// <param name="atLeast">The fewest bytes that it can have.</param>
    /// <param name="kind">What it is, for messages.</param>
    /// <exception cref="InputException">It can't be read, or has fewer than <paramref name="atLeast"/> bytes.</exception>
    public static MappedFile Open(string path, int atLeast, string kind)
    {
        try
        {
            // The stream's length and not the path's, which in a hub's cache is that of a link.
            var stream = RegularFile.Open(path);
            var length = stream.Length;
            Span<byte> start = stackalloc byte[ForeignContent.Enough];
            start = start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
            var foreign = ForeignContent.DescribeInBinary(start);
            if (foreign is null && length >= atLeast) return new MappedFile(path, length, MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false));
            stream.Dispose();
            if (foreign is not null) throw new InputException($"{path}: {foreign}.");
            throw new InputException($"{path}: it has {length} bytes, too few for {kind}; copy or download it again.");
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: there is no such file; {kind} is needed.", failure);
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

    /// <inheritdoc/>
    public void Dispose() => _map.Dispose();
}
