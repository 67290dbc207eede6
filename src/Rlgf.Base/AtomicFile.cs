using System.Text;

namespace Rlgf.Base;

/// <summary>
/// Whole files written so that a reader, or a run that was killed, sees either the old content or the new, never a part; once written, a file outlives a power cut.
/// </summary>
public static class AtomicFile
{
    /// <summary>Ending of the temporary name, beside the file itself so that the rename stays within one disk.</summary>
    public const string TemporaryEnding = ".tmp";

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Writes a file under a temporary name, forces it to disk and renames it over <paramref name="path"/>. Creates the folder if need be.</summary>
    /// <exception cref="IOException">The file can't be written, for example since the disk is full, or since something else than a file has its name; the old content is untouched.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        DurableDisk.RequireReplaceable(path);
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder) DurableDisk.CreateFolder(folder);
        var temporary = path + TemporaryEnding;
        // Where another writes it, it is the other's, and not to be deleted.
        var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None);
        try
        {
            using (stream)
            {
                write(stream);
                DurableDisk.Flush(stream);
            }
            DurableDisk.RenameFile(temporary, path);
        }
        catch
        {
            TryDelete(temporary);
            throw;
        }
    }

    /// <summary>Writes text as UTF-8 without a byte order mark; see <see cref="Write"/>.</summary>
    public static void WriteText(string path, string text)
    {
        var bytes = Utf8.GetBytes(text);
        Write(path, stream => stream.Write(bytes));
    }

    /// <summary>Appends text as UTF-8 in one write and forces it to disk: a kill or a power cut loses at most what is being appended. Creates file and folder if need be.</summary>
    /// <exception cref="IOException">It can't be written; a part of the text may be there.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public static void AppendText(string path, string text)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder) DurableDisk.CreateFolder(folder);
        var isNew = !File.Exists(path);
        using (var stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0))
        {
            stream.Write(Utf8.GetBytes(text));
            DurableDisk.Flush(stream);
        }
        if (isNew) DurableDisk.SyncFolder(DurableDisk.ParentOf(path));
    }

    /// <summary>Gives a file that was written under another name its own, over what has that name, in such a way that a power cut leaves one of the two whole.</summary>
    /// <param name="unfinished">The file under its other name; nobody has it open.</param>
    /// <param name="path">Its own name, on the same disk.</param>
    /// <exception cref="IOException">It can't be written.</exception>
    public static void Complete(string unfinished, string path)
    {
        using (var stream = new FileStream(unfinished, FileMode.Open, FileAccess.Write, FileShare.None)) DurableDisk.Flush(stream);
        DurableDisk.RenameFile(unfinished, path);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The first failure is the one to report.
        }
    }
}
