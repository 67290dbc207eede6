using System.Globalization;

namespace Rlgf.App.Terminals;

/// <summary>
/// Standard output or error as this process got it. The terminal may go away, a reader may close its pipe, and what is asked for may have been closed from the start; none of it may end a
/// training, so that what can't be printed is dropped: on standard error always, on standard output after the first failure, which somebody is told of.
/// </summary>
internal sealed class StandardStream : Stream
{
    private const int ReadOnly = 0, WriteOnly = 1, AccessMode = 3;

    private readonly Stream? _inner;
    private readonly string _name;
    private bool _drops;

    private StandardStream(int descriptor, string name, Func<Stream> open, bool drops)
    {
        (_name, _drops) = (name, drops);
        try
        {
            _inner = WasClosed(descriptor) ? null : open();
        }
        catch (Exception failure) when (IsLoss(failure))
        {
            _inner = null;
        }
    }

    /// <summary>Standard output.</summary>
    public static StandardStream Output() => new(1, "standard output", Console.OpenStandardOutput, drops: false);

    /// <summary>Standard error.</summary>
    public static StandardStream Error() => new(2, "standard error", Console.OpenStandardError, drops: true);

    /// <summary>Standard input; empty if it was closed.</summary>
    public static Stream Input() => WasClosed(0) ? Null : Console.OpenStandardInput();

    /// <inheritdoc/>
    public override bool CanRead => false;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            if (_inner is null) throw new IOException($"{_name} is closed");
            _inner.Write(buffer);
        }
        catch (Exception failure) when (IsLoss(failure))
        {
            if (_drops) return;
            _drops = true;
            throw failure is IOException ? failure : new IOException($"{_name} can't be written to: {failure.Message}", failure);
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        try
        {
            _inner?.Flush();
        }
        catch (Exception failure) when (IsLoss(failure) && _drops)
        {
            // Nobody is left to tell.
        }
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _inner?.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>
    /// Whether a descriptor was closed when the process began. Its number then went to the next thing that the runtime opened, such as the pipe by which it hears of signals: to write there
    /// would be the end. Seen on Linux only, by both ends of a pipe in one process or by memory in a file's place; the rlgf script closes the gap elsewhere.
    /// </summary>
    private static bool WasClosed(int descriptor)
    {
        if (!OperatingSystem.IsLinux() || !Directory.Exists("/proc/self/fd")) return false;
        try
        {
            if (Target(descriptor) is not { } target || target.Contains("/memfd:", StringComparison.Ordinal) || target.StartsWith("anon_inode:", StringComparison.Ordinal)) return true;
            if (!target.StartsWith("pipe:", StringComparison.Ordinal)) return false;
            var modes = Directory.GetFileSystemEntries("/proc/self/fd").Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture))
                .Where(other => Target(other) == target).Select(Mode).ToHashSet();
            return modes.Contains(ReadOnly) && modes.Contains(WriteOnly);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException)
        {
            return false;
        }
    }

    private static string? Target(int descriptor)
    {
        try
        {
            return new FileInfo($"/proc/self/fd/{descriptor.ToString(CultureInfo.InvariantCulture)}").LinkTarget;
        }
        catch (IOException)
        {
            return null; // Closed since it was listed.
        }
    }

    /// <summary>proc(5): <c>flags:</c> in octal digits, the mode of access in the last.</summary>
    private static int Mode(int descriptor) => !File.Exists($"/proc/self/fdinfo/{descriptor.ToString(CultureInfo.InvariantCulture)}") ? -1
        : File.ReadLines($"/proc/self/fdinfo/{descriptor.ToString(CultureInfo.InvariantCulture)}").First(line => line.StartsWith("flags:", StringComparison.Ordinal)).TrimEnd()[^1] - '0' & AccessMode;

    private static bool IsLoss(Exception failure) => failure is IOException or UnauthorizedAccessException or ObjectDisposedException or InvalidOperationException;
}
