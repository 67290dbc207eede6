using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Models.Hub;

/// <summary>
/// A model's part of the cache, as all tools of the ecosystem lay it out: <c>blobs/ETAG</c> holds a file's content once, <c>snapshots/COMMIT/NAME</c> links to it, <c>refs/REVISION</c> holds the commit that a
/// branch or tag stood at.
/// </summary>
/// <remarks>https://huggingface.co/docs/hub/local-cache.</remarks>
internal sealed partial class HubCache
{
    private readonly string _folder;

    public HubCache(string cacheFolder, HubModel model)
    {
        _folder = Path.Combine(cacheFolder, $"models--{model.Name.Replace("/", "--", StringComparison.Ordinal)}");
    }

    /// <summary>The newest snapshot of a model's main branch that is there; asks nobody.</summary>
    /// <param name="cacheFolder">The cache.</param>
    /// <param name="name">The model's name on a hub, or anything else.</param>
    /// <returns>The folder; null where the name can't be a model's, or it hasn't been fetched.</returns>
    public static string? Find(string cacheFolder, string name)
    {
        if (!HubModel.IsName(name)) return null;
        var cache = new HubCache(cacheFolder, new HubModel(name));
        try
        {
            var folder = cache.SnapshotFolder(RegularFile.ReadText(Path.Combine(cache._folder, "refs", "main")).Trim());
            return File.Exists(Path.Combine(folder, "config.json")) ? folder : null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The name on a hub that leads to a folder: the reverse of <see cref="Find"/>.</summary>
    /// <returns>The name; null where the folder is none of the cache's, or not that of the newest snapshot.</returns>
    public static string? NameOf(string cacheFolder, string folder)
    {
        const string start = "models--";
        if (Path.GetDirectoryName(Path.GetDirectoryName(folder)) is not { } cached || !Path.GetFileName(cached).StartsWith(start, StringComparison.Ordinal)) return null;
        var name = Path.GetFileName(cached)[start.Length..].Replace("--", "/", StringComparison.Ordinal);
        return Find(cacheFolder, name) is { } found && Path.GetFullPath(found) == Path.GetFullPath(folder) ? name : null;
    }

    /// <summary>Where a commit's files are found.</summary>
    public string SnapshotFolder(string commit) => Path.Combine(_folder, "snapshots", commit);

    /// <summary>Where a content goes.</summary>
    /// <exception cref="InputException">The server's name for it is none that can name a file.</exception>
    public string BlobPath(string etag) =>
        FileName().IsMatch(etag) ? Path.Combine(_folder, "blobs", etag) : throw new InputException($"the server names a content '{etag}', which can't name a file: it is no hub, or not a sound one.");

    /// <summary>Makes a blob appear under its name in a snapshot: as a link, or as a copy where the system allows no links.</summary>
    public void Link(string commit, string name, string blob)
    {
        var path = Path.Combine(SnapshotFolder(commit), name);
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        var target = Path.GetRelativePath(folder, blob);
        var existing = new FileInfo(path);
        if (existing.LinkTarget == target) return;
        if (existing.LinkTarget is not null || existing.Exists) existing.Delete();
        try
        {
            File.CreateSymbolicLink(path, target);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            File.Copy(blob, path, overwrite: true);
        }
    }

    /// <summary>Notes which commit a branch or tag stood at.</summary>
    public void WriteReference(string revision, string commit)
    {
        if (revision != commit) AtomicFile.WriteText(Path.Combine(_folder, "refs", Path.Combine(revision.Split('/'))), commit);
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9_.-]{0,150}$")]
    private static partial Regex FileName();
}
