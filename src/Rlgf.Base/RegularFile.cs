using System.Runtime.InteropServices;

namespace Rlgf.Base;

/// <summary>
/// Files whose names come from outside, opened for reading. What is no file (a folder, a named pipe, a device, a socket) is refused before it is opened: the opening of a pipe that nobody writes to
/// never ends, and a device has no content of its own.
/// </summary>
public static class RegularFile
{
    private const int BufferBytes = 4096;

    /// <summary>Names of what this process has open already, such as the pipe of a shell's <c>&lt;(command)</c>: it has a writer, or has ended.</summary>
    private static readonly string[] OpenFiles = ["/dev/stdin", "/dev/fd/", "/proc/self/fd/"];

    /// <summary>Refuses a path that leads to something else than a file. Nothing is said of one that leads nowhere.</summary>
    /// <param name="path">The file, or a link to it.</param>
    /// <param name="isReadOnce">Whether it is read once from its beginning to its end, so that a pipe that is open already will do.</param>
    /// <exception cref="InputException">It is a folder, a pipe, a device or a socket.</exception>
    public static void Require(string path, bool isReadOnce = false)
    {
        if (Problem(path, isReadOnce) is { } problem) throw new InputException($"{path}: {problem}");
    }

    /// <summary>What <see cref="Require"/> says behind the path; null where it says nothing.</summary>
    /// <param name="path">The file, or a link to it.</param>
    /// <param name="isReadOnce">As for <see cref="Require"/>.</param>
    public static string? Problem(string path, bool isReadOnce = false)
    {
        if (Directory.Exists(path)) return "is a folder, and a file is needed";
        if (!IsSpecial(path, out var what) || (isReadOnce && Array.Exists(OpenFiles, name => path.StartsWith(name, StringComparison.Ordinal)))) return null;
        return $"is {what}, and a file is needed; write what comes from there into a file, and name that";
    }

    /// <summary>Whether a path leads to a pipe, a device or a socket.</summary>
    public static bool IsSpecial(string path) => IsSpecial(path, out _);

    /// <summary>Opens a file for reading.</summary>
    /// <param name="path">The file.</param>
    /// <param name="share">What others may do with it meanwhile.</param>
    /// <param name="bufferSize">Bytes of the stream's buffer.</param>
    /// <param name="options">Advice to the system.</param>
    /// <param name="isReadOnce">As for <see cref="Require"/>.</param>
    /// <exception cref="InputException">It is something else than a file.</exception>
    /// <exception cref="IOException">It is not there, or can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not read it.</exception>
    public static FileStream Open(string path, FileShare share = FileShare.Read, int bufferSize = BufferBytes, FileOptions options = FileOptions.None, bool isReadOnce = false)
    {
        Require(path, isReadOnce);
        return new FileStream(path, FileMode.Open, FileAccess.Read, share, bufferSize, options);
    }

    /// <summary>Reads a file of text; errors as of <see cref="Open"/>.</summary>
    public static string ReadText(string path)
    {
        Require(path);
        return File.ReadAllText(path);
    }

    /// <summary>Reads a file; errors as of <see cref="Open"/>.</summary>
    public static byte[] ReadBytes(string path)
    {
        Require(path);
        return File.ReadAllBytes(path);
    }

    private static bool IsSpecial(string path, out string what)
    {
        what = KindOf(path) switch { 0x1000 => "a named pipe", 0x2000 or 0x6000 => "a device", 0xC000 => "a socket", _ => "" };
        return what.Length > 0;
    }

    /// <summary>The kind in a file's mode (S_IFMT); 0 where there is none, or no way to ask.</summary>
    private static unsafe int KindOf(string path)
    {
        const int Kind = 0xF000, WorkingFolder = -100, KindOnly = 1;
        // Larger than either system's answer; the mode's place in it is a part of their binary interfaces.
        const int AnswerBytes = 512, ModeOnLinux = 28, ModeOnMac = 4;
        var answer = stackalloc byte[AnswerBytes];
        // As .NET opens it, which takes ".." as text: the system would look for what stands before it.
        if (path.Length > 0 && !path.Contains('\0', StringComparison.Ordinal)) path = Path.GetFullPath(path);
        try
        {
            if (OperatingSystem.IsLinux()) return StatX(WorkingFolder, path, 0, KindOnly, answer) == 0 ? *(ushort*)(answer + ModeOnLinux) & Kind : 0;
            if (!OperatingSystem.IsMacOS()) return 0;
            var failed = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? Stat(path, answer) : StatOfIntel(path, answer);
            return failed == 0 ? *(ushort*)(answer + ModeOnMac) & Kind : 0;
        }
        catch (EntryPointNotFoundException)
        {
            return 0; // A C library from before 2018.
        }
    }

    [DllImport("libc", EntryPoint = "statx", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int StatX(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, byte* answer);

    [DllImport("libc", EntryPoint = "stat", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int Stat([MarshalAs(UnmanagedType.LPUTF8Str)] string path, byte* answer);

    [DllImport("libc", EntryPoint = "stat$INODE64", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int StatOfIntel([MarshalAs(UnmanagedType.LPUTF8Str)] string path, byte* answer);
}
