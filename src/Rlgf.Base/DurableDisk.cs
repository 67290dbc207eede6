using System.Runtime.InteropServices;

namespace Rlgf.Base;

/// <summary>What was done to the disk.</summary>
internal enum DiskAction
{
    /// <summary>A file's content was forced to disk.</summary>
    Flush,

    /// <summary>A file or folder got another name.</summary>
    Rename,

    /// <summary>A folder was made.</summary>
    Create,

    /// <summary>The names in a folder were forced to disk.</summary>
    Sync,
}

/// <summary>One thing that was done to the disk.</summary>
/// <param name="Action">What.</param>
/// <param name="Path">To which file or folder; of a rename, the new name.</param>
/// <param name="From">Of a rename, the old name.</param>
internal readonly record struct DiskStep(DiskAction Action, string Path, string? From = null);

/// <summary>
/// The one place where files are made to outlive a power cut. A system may write content, names and deletions to disk in any order; what must come first is forced there: content
/// before the name that promises it, and the name (which is content of the folder) before what it replaces goes.
/// </summary>
internal static class DurableDisk
{
    // errno: the file system can't do it, or the user may not read the folder.
    private const int PermissionDenied = 13, Interrupted = 4, NotPossible = 22;

    private static readonly AsyncLocal<Action<DiskStep>?> Watcher = new();

    /// <summary>Tells of every step of this flow of control; null ends it.</summary>
    public static void Watch(Action<DiskStep>? watcher) => Watcher.Value = watcher;

    /// <summary>Forces a file's content to disk.</summary>
    public static void Flush(FileStream stream)
    {
        stream.Flush(flushToDisk: true);
        Tell(DiskAction.Flush, stream.Name);
    }

    /// <summary>Renames a file whose content is on disk, over one that has the name.</summary>
    public static void RenameFile(string from, string to)
    {
        RequireReplaceable(to);
        File.Move(from, to, overwrite: true);
        Tell(DiskAction.Rename, to, from);
        SyncFolder(ParentOf(to));
    }

    /// <summary>Makes sure that a file may take a name: one that a device, a pipe or a socket has is not given away, whoever may do that.</summary>
    /// <exception cref="IOException">It may not.</exception>
    public static void RequireReplaceable(string path)
    {
        if (RegularFile.Problem(path) is { } problem && RegularFile.IsSpecial(path)) throw new IOException($"it {problem.Split(';')[0]}");
    }

    /// <summary>Renames a folder whose files are on disk, once the names in it are too.</summary>
    public static void RenameFolder(string from, string to)
    {
        foreach (var below in Directory.EnumerateDirectories(from, "*", SearchOption.AllDirectories)) SyncFolder(below);
        SyncFolder(from);
        Directory.Move(from, to);
        Tell(DiskAction.Rename, to, from);
        SyncFolder(ParentOf(to));
    }

    /// <summary>Makes a folder, and those that it lies in, unless they are there.</summary>
    public static void CreateFolder(string path)
    {
        if (Directory.Exists(path)) return;
        var parent = ParentOf(path);
        CreateFolder(parent);
        Directory.CreateDirectory(path);
        Tell(DiskAction.Create, path);
        SyncFolder(parent);
    }

    /// <summary>Forces the names in a folder to disk. Windows does so by itself and has no call for it.</summary>
    /// <exception cref="IOException">The disk is broken or full.</exception>
    public static void SyncFolder(string path)
    {
        if (!OperatingSystem.IsWindows()) Synchronise(path);
        Tell(DiskAction.Sync, path);
    }

    /// <summary>The folder that something lies in.</summary>
    public static string ParentOf(string path) => Path.GetDirectoryName(Path.GetFullPath(Path.TrimEndingDirectorySeparator(path))) ?? Path.GetFullPath(path);

    private static void Synchronise(string folder)
    {
        // .NET takes ".." as text; the system would look for what stands before it.
        var handle = Open(Path.GetFullPath(folder), 0); // O_RDONLY, on every system
        if (handle < 0)
        {
            if (Marshal.GetLastPInvokeError() == PermissionDenied) return;
            throw Failure(folder);
        }

        try
        {
            while (FSync(handle) != 0)
            {
                var error = Marshal.GetLastPInvokeError();
                // Some network file systems have no such thing as a folder's content.
                if (error == NotPossible) return;
                if (error != Interrupted) throw Failure(folder);
            }
        }
        finally
        {
            _ = Close(handle);
        }
    }

    private static IOException Failure(string folder)
    {
        var error = Marshal.GetLastPInvokeError();
        return new IOException($"{Marshal.GetPInvokeErrorMessage(error)}: '{folder}'", error);
    }

    private static void Tell(DiskAction action, string path, string? from = null) => Watcher.Value?.Invoke(new DiskStep(action, Path.GetFullPath(path), from is null ? null : Path.GetFullPath(from)));

    [DllImport("libc", EntryPoint = "open", ExactSpelling = true, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", ExactSpelling = true, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int FSync(int handle);

    [DllImport("libc", EntryPoint = "close", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Close(int handle);
}
