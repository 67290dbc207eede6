namespace Rlgf.Models.Tests;

/// <summary>Data too large for the repository, in a folder "shared" beside it or above; RLGF_SHARED names another place.</summary>
internal static class SharedFolder
{
    /// <summary>The path of a shared file or folder; the test is skipped where there is none.</summary>
    public static string Require(params string[] parts)
    {
        var root = Environment.GetEnvironmentVariable("RLGF_SHARED");
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); root is null && folder is not null; folder = folder.Parent)
        {
            if (Directory.Exists(Path.Combine(folder.FullName, "shared", "fixtures"))) root = Path.Combine(folder.FullName, "shared");
        }

        var path = root is null ? null : Path.Combine([root, .. parts]);
        if (path is null || !Path.Exists(path)) Assert.Skip($"needs shared/{string.Join('/', parts)}, which this checkout doesn't have");
        return path!;
    }
}
