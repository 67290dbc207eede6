using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.Composition;

/// <summary>A file that a run reads, as it was when the run began.</summary>
/// <param name="Key">The recipe's key that names it, or the folder that it lies in.</param>
/// <param name="Name">Its name; with <c>base/</c> before it for a file of an adapter's base.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Checksum">Of its content, or of parts of it.</param>
/// <param name="Modified">When it was last written, for a file of which only parts were read; null for others.</param>
internal sealed record InputFile(string Key, string Name, long Bytes, string Checksum, DateTimeOffset? Modified);

/// <summary>
/// What the files were that a run was begun with (<c>inputs.json</c>): data, and the weights, settings and tokenizers of all models. A run that goes on with others would be no run that was never
/// stopped. Files up to 64 MiB are read whole; of larger ones size, time, and 64 parts of 256 KiB spread evenly over the file, the first and the last among them: changes that keep the size and miss
/// all parts show in the time only.
/// </summary>
internal sealed record RunInputs(IReadOnlyList<InputFile> Files)
{
    /// <summary>The largest file that is read whole.</summary>
    internal const long MostWholeBytes = 64L << 20;

    /// <summary>Looks at all that a recipe reads. What isn't there is left out: loading it has more to say.</summary>
    public static RunInputs Of(RunRecipe recipe)
    {
        List<InputFile> files = [];
        HashSet<string> seen = [];
        foreach (var (key, path) in RecipePaths.Of(recipe))
        {
            if (!seen.Add(RealPath.Of(path))) continue;
            if (File.Exists(path)) files.Add(Look(key, Path.GetFileName(path), path));
            else if (Directory.Exists(path)) files.AddRange(FilesOf(path).Select(file => Look(key, file.Name, file.Path)));
        }

        return new(files);
    }

    /// <summary>Reads a run's record; null for a run from before there was one.</summary>
    /// <exception cref="InputException">It is malformed.</exception>
    public static RunInputs? Read(RunFolder folder) => File.Exists(folder.InputsPath) ? new(RunJson.ReadFile<InputFile[]>(folder.InputsPath)) : null;

    /// <summary>Writes it into the run's folder.</summary>
    public void Write(RunFolder folder) => RunJson.WriteFile(folder.InputsPath, Files);

    /// <summary>Makes sure that a run goes on with the files that it was begun with.</summary>
    /// <param name="now">What they are now.</param>
    /// <param name="recipe">The recipe, which says where they are.</param>
    /// <returns>What can't be seen, one line each.</returns>
    /// <exception cref="InputException">One is another; names it, with the recipe's key.</exception>
    public IEnumerable<string> RequireSame(RunInputs now, RunRecipe recipe)
    {
        List<string> notes = [];
        var current = now.Files.ToDictionary(file => (file.Key, file.Name));
        var paths = RecipePaths.Of(recipe).ToDictionary(found => found.Key, found => found.Path);
        foreach (var then in Files)
        {
            if (!paths.TryGetValue(then.Key, out var path) || !Path.Exists(path)) continue;
            if (!current.Remove((then.Key, then.Name), out var file)) throw Changed(then, "is gone");
            if (file.Bytes != then.Bytes) throw Changed(then, $"had {then.Bytes} bytes and has {file.Bytes}");
            if (file.Checksum != then.Checksum) throw Changed(then, "has another content");
            if (file.Modified != then.Modified) notes.Add($"{Shown(then, path)} was written since the run began; its size and the parts of it that were compared are the same");
        }

        return current.Values.FirstOrDefault() is { } added ? throw Changed(added, "was not there") : notes;

        InputException Changed(InputFile file, string how) => recipe.Refusal(
            file.Key, $"{Shown(file, paths[file.Key])} is not what the run was begun with: it {how}; put it back as it was, or begin another run (with the policy of a checkpoint as model.path, to keep what was learned)");
    }

    private static string Shown(InputFile file, string path) => Directory.Exists(path) ? Path.Combine(path, file.Name) : path;

    private static IEnumerable<(string Name, string Path)> FilesOf(string folder)
    {
        IReadOnlyList<string> files;
        try
        {
            files = ModelFiles.Of(folder);
        }
        catch (InputException)
        {
            // The base of an adapter is not there, of which loading has more to say.
            return [];
        }

        return files.Select(file => (RealPath.AreSame(Path.GetDirectoryName(Path.GetFullPath(file))!, folder) ? Path.GetFileName(file) : $"base/{Path.GetFileName(file)}", file));
    }

    private static InputFile Look(string key, string name, string path)
    {
        try
        {
            var file = new FileInfo(path);
            var isWhole = file.Length <= MostWholeBytes;
            return new(key, name, file.Length, isWhole ? Checksum.OfFile(path) : Checksum.OfParts(path), isWhole ? null : file.LastWriteTimeUtc);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be read: {failure.Message}", failure);
        }
    }
}
