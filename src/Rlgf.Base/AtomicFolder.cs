namespace Rlgf.Base;

/// <summary>Whole folders that appear under their name when all that is in them is on disk, and lose the name before anything in them goes.</summary>
public static class AtomicFolder
{
    /// <summary>Ending of a folder that is being written.</summary>
    public const string UnfinishedEnding = ".unfinished";

    /// <summary>Ending of a folder that is being deleted.</summary>
    public const string DeletedEnding = ".deleted";

    /// <summary>Writes a folder under a temporary name and renames it when it is whole and on disk.</summary>
    /// <param name="path">The folder; nothing may be there.</param>
    /// <param name="write">Writes into the folder that it is given, files through <see cref="AtomicFile"/>, which forces each to disk.</param>
    /// <exception cref="IOException">It can't be written, for example since the disk is full; nothing of it is left then.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public static void Write(string path, Action<string> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        var unfinished = path + UnfinishedEnding;
        try
        {
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
            DurableDisk.CreateFolder(unfinished);
            write(unfinished);
            DurableDisk.RenameFolder(unfinished, path);
        }
        catch
        {
            // On a full disk, what can't be finished must not keep others from being written.
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
            throw;
        }
    }

    /// <summary>Deletes a folder that is there. Cut off in the middle, it leaves nothing under the folder's name.</summary>
    /// <exception cref="IOException">It can't be deleted.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public static void Delete(string path)
    {
        var deleted = path + DeletedEnding;
        if (Directory.Exists(deleted)) Directory.Delete(deleted, recursive: true);
        DurableDisk.RenameFolder(path, deleted);
        Directory.Delete(deleted, recursive: true);
    }
}
