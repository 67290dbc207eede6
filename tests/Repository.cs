namespace Rlgf.Tests.Shared;

/// <summary>The repository that the tests lie in.</summary>
internal static class Repository
{
    /// <summary>Its folder.</summary>
    public static string Root
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "Rlgf.slnx"))) return folder.FullName;
            }

            throw new InvalidOperationException("The tests lie outside the repository.");
        }
    }
}
