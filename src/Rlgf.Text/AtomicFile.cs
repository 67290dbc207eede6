namespace Rlgf.Text;

/// <summary>Whole files written so that a reader, or a run that was killed, sees either the old content or the new, never a part.</summary>
public static class AtomicFile
{
    /// <summary>Ending of the temporary name, beside the file itself so that the rename stays within one disk.</summary>
    public const string TemporaryEnding = ".tmp";

    /// <summary>Writes a file under a temporary name, forces it to disk and renames it over <paramref name="path"/>. Creates the folder if need be.</summary>
    /// <exception cref="IOException">The file can't be written, for example since the disk is full; the old content is untouched.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder) Directory.CreateDirectory(folder);
        var temporary = path + TemporaryEnding;
        try
        {
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
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
        var bytes = new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: false).GetBytes(text);
        Write(path, stream => stream.Write(bytes));
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
