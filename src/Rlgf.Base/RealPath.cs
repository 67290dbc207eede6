namespace Rlgf.Base;

/// <summary>Which file or folder a path leads to, whatever links are on the way.</summary>
public static class RealPath
{
    /// <summary>As many links as systems follow before they take them for a circle.</summary>
    private const int MostLinks = 40;

    private static readonly StringComparison Comparison = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;

    /// <summary>The full path without symbolic links; what doesn't exist is kept as it is.</summary>
    /// <param name="path">A file or folder, which need not exist.</param>
    public static string Of(string path)
    {
        var real = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        for (var links = 0; links < MostLinks; links++)
        {
            if (FirstLink(real) is not var (link, target, after)) return real;
            real = Path.TrimEndingDirectorySeparator(Path.GetFullPath(Path.Combine(Path.GetDirectoryName(link)!, target, after)));
        }

        return real;
    }

    /// <summary>Whether two paths lead to one file or folder. Two names of one file (hard links) are two files here: what is written replaces a name, and the other keeps the content.</summary>
    public static bool AreSame(string one, string other) => string.Equals(Of(one), Of(other), Comparison);

    /// <summary>Whether something lies in a folder, at any depth.</summary>
    public static bool IsBelow(string path, string folder) => Of(path).StartsWith(Of(folder) is var real && Path.EndsInDirectorySeparator(real) ? real : real + Path.DirectorySeparatorChar, Comparison);

    private static (string Link, string Target, string After)? FirstLink(string path)
    {
        var root = Path.GetPathRoot(path)!;
        var names = path[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries);
        var at = root;
        for (var i = 0; i < names.Length; i++)
        {
            at = Path.Combine(at, names[i]);
            if (new FileInfo(at).LinkTarget is { } target) return (at, target, Path.Combine(names[(i + 1)..]));
        }

        return null;
    }
}
