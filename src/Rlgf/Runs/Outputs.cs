using Rlgf.Base;
using Rlgf.Models.Loading;

namespace Rlgf.Runs;

/// <summary>
/// Where results may go: never over what they are made from, nor over what a run or a model keeps in its folder. One rule for every command and every training, asked before any work;
/// nothing is touched by asking.
/// </summary>
public static class Outputs
{
    /// <summary>Makes sure that a file of rows can be written and takes nothing with it.</summary>
    /// <param name="path">The file; its folder need not exist and is made with it.</param>
    /// <param name="inputs">Files and folders that the rows are made from; what stands for standard input is none.</param>
    /// <exception cref="InputException">It can't; names what it would replace.</exception>
    public static void RequireFile(string path, params IEnumerable<string> inputs)
    {
        RequireName(path, inputs);
        var folder = FolderOf(path);
        // Rows may lie beside a model, as may anything that nobody reads as a part of it.
        if (!path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) && ModelFiles.HoldsModelOrTokenizer(folder))
            throw new InputException($"{path}: {folder} holds a model or a tokenizer, which rows could replace a part of; write to another folder, or to a file that ends in .jsonl");
        RequireWritableFile(path);
    }

    /// <summary>Makes sure that a model can be written as one file and takes nothing with it but an earlier one of its name. Others of its kind may lie beside it.</summary>
    /// <param name="path">The file; its folder need not exist and is made with it.</param>
    /// <param name="inputs">Files and folders that it is made from.</param>
    /// <exception cref="InputException">It can't; names what it would replace.</exception>
    public static void RequireModelFile(string path, params IEnumerable<string> inputs)
    {
        RequireName(path, inputs);
        foreach (var name in (string[])[path, path + UnfinishedEnding, path + UnfinishedEnding + AtomicFile.TemporaryEnding])
            if (RegularFile.Problem(name) is { } problem) throw new InputException($"{name}: {problem.Split(';')[0]}, under that name{(name == path ? "" : " until it is whole")}; write elsewhere, or remove it");
        RequireWritableFile(path);
    }

    /// <summary>Takes a file's name for as long as it is written, so that nobody else writes it meanwhile.</summary>
    /// <param name="path">The file; its folder is made where there is none.</param>
    /// <returns>What gives it back; a file beside it, whose name ends in <c>.lock</c>, goes then, and so do folders that were made for it and are empty.</returns>
    /// <exception cref="InputException">Another process, or another part of this one, has it; or it can't be written.</exception>
    public static IDisposable Take(string path)
    {
        var made = new List<string>();
        for (var folder = Path.GetFullPath(FolderOf(path)); folder is not null && !Directory.Exists(folder); folder = Path.GetDirectoryName(folder)) made.Add(folder);
        try
        {
            Directory.CreateDirectory(FolderOf(path));
            return new TakenName(new FileStream($"{path}.lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose), made);
        }
        catch (IOException failure) when (RunOwnership.HeldByAnother.Contains(failure.HResult))
        {
            throw new InputException($"{path}: is being written by another command; wait until it ends, or give another name", failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be written: {failure.Message}", failure);
        }
    }

    private static void RequireName(string path, IEnumerable<string> inputs)
    {
        if (path.Length == 0) throw new InputException("the name of the output is empty: name a file");
        if (Directory.Exists(path)) throw new InputException($"{path}: is a folder; rows go into a file: name one in it");
        RequireOutsideOfRuns(path);
        foreach (var input in inputs)
            if (IsSameFile(path, input)) throw new InputException($"{path}: is read as {(input == path ? "input" : $"the input {input}")}, which the rows would replace; write to another file");
    }

    private static void RequireWritableFile(string path)
    {
        var folder = FolderOf(path);
        if (File.Exists(folder)) throw new InputException($"{path}: can't be written: {folder} is a file");
        RequireWritable(folder, File.Exists(path) ? path : null);
    }

    /// <summary>Makes sure that a folder for results can be written and holds nothing that they would replace: no run and no model.</summary>
    /// <param name="folder">The folder, which need not exist; it is made.</param>
    /// <param name="inputs">Files and folders that the results are made from.</param>
    /// <exception cref="InputException">It can't; names what it holds.</exception>
    public static void RequireFolder(string folder, params IEnumerable<string> inputs)
    {
        if (folder.Length == 0) throw new InputException("the name of the output is empty: name a folder");
        if (File.Exists(folder)) throw new InputException($"{folder}: the folder can't be written to: it is a file");
        if (inputs.FirstOrDefault(input => RealPath.AreSame(input, folder)) is not null) throw new InputException($"{folder}: is what the results are made from, which they would replace; choose another folder");
        if (RunFolder.IsRun(folder)) throw new InputException($"{folder}: holds a run, of which files would be replaced; choose another folder");
        if (ModelFiles.HoldsModel(folder)) throw new InputException($"{folder}: holds a model, of which files would be replaced; choose another folder, or remove it first");
        RequireOfItsOwn(folder);
        RequireOutsideOfRuns(folder);
        Make(folder);
    }

    /// <summary>Makes sure that a run can begin or go on in a folder: that it holds a run already, or nothing that a run would replace. Makes nothing.</summary>
    /// <param name="folder">The folder, which need not exist.</param>
    /// <exception cref="InputException">It holds something else; names it.</exception>
    public static void RequireRunFolder(string folder)
    {
        if (File.Exists(folder)) throw new InputException($"{folder}: the folder can't be written to: it is a file");
        RequireOfItsOwn(folder);
        RequireOutsideOfRuns(folder);
        var taken = ModelFiles.HoldsModel(folder) ? $"{folder}: holds a model that no run has made, of which files would be replaced; choose another output"
            : RunFolder.OwnNames.Select(name => Path.Combine(folder, name)).FirstOrDefault(Path.Exists) is { } file ? $"{file}: is there already and belongs to no run, and a run in {folder} would replace it; choose another output"
            : null;
        // Asked last: another process may begin its run just now.
        if (taken is not null && !RunFolder.IsRun(folder)) throw new InputException(taken);
        RequireWritable(folder, file: null);
    }

    /// <summary>Whether an output goes where an input comes from. What is written beside a file, until it is whole, counts too.</summary>
    private static bool IsSameFile(string output, string input) => input != "-" && (RealPath.AreSame(output, input) || RealPath.AreSame(output + UnfinishedEnding, input));

    /// <summary>Ending of rows that are not all there yet.</summary>
    public const string UnfinishedEnding = ".partial";

    /// <summary>A dozen files among those of a whole disk or of a person are a slip of the pen, never meant.</summary>
    private static void RequireOfItsOwn(string folder)
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var what = Path.GetDirectoryName(RealPath.Of(folder)) is null ? "the root of a file system" : home.Length > 0 && RealPath.AreSame(folder, home) ? "somebody's home" : null;
        if (what is not null) throw new InputException($"{folder}: is {what}, and results need a folder of their own: name one in it");
    }

    private static void RequireOutsideOfRuns(string path)
    {
        for (var folder = Path.GetDirectoryName(Path.GetFullPath(path)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (!RunFolder.IsRun(folder) || !RunFolder.OwnNames.Any(name => Path.Combine(folder, name) is var own && (RealPath.AreSame(path, own) || RealPath.IsBelow(path, own)))) continue;
            throw new InputException($"{path}: belongs to the run in {folder}, which reads and writes it; write elsewhere");
        }
    }

    /// <summary>Tries to write without leaving anything: into a file that is there, or else into the nearest folder that is.</summary>
    private static void RequireWritable(string folder, string? file)
    {
        var there = Path.GetFullPath(folder);
        while (!Directory.Exists(there) && Path.GetDirectoryName(there) is { } above) there = above;
        try
        {
            // To open a pipe and close it would be its reader's end.
            if (file is not null && RegularFile.IsSpecial(file)) return;
            if (file is not null)
            {
                new FileStream(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite).Dispose();
                return;
            }

            var probe = Path.Combine(there, $".rlgf-{Environment.ProcessId}-{Environment.CurrentManagedThreadId}");
            Directory.CreateDirectory(probe);
            Directory.Delete(probe);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException(file is null ? $"{folder}: the folder can't be written to: {failure.Message}" : $"{file}: can't be written: {failure.Message}", failure);
        }
    }

    private static void Make(string folder)
    {
        RequireWritable(folder, file: null);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: the folder can't be written to: {failure.Message}", failure);
        }
    }

    /// <param name="held">The lock.</param>
    /// <param name="made">Folders that were made for the file, the innermost first.</param>
    private sealed class TakenName(FileStream held, List<string> made) : IDisposable
    {
        public void Dispose()
        {
            held.Dispose();
            try
            {
                foreach (var folder in made) Directory.Delete(folder);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // It holds something by now, and so do those around it.
            }
        }
    }

    private static string FolderOf(string path) => Path.GetDirectoryName(path) is { Length: > 0 } folder ? folder : ".";
}
