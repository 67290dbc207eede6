namespace Rlgf.Base;

/// <summary>Folders that are not there.</summary>
public static class MissingFolder
{
    /// <summary>The fault of a path at which there is no folder: nothing, or a file.</summary>
    /// <param name="path">The path.</param>
    /// <param name="advice">What to do.</param>
    public static InputException Fault(string path, string advice) => new($"{path}: {(File.Exists(path) ? "is a file, and a folder is needed" : "there is no such folder")}; {advice}");
}
