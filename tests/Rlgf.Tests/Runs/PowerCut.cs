using Rlgf.Base;

namespace Rlgf.Tests.Runs;

/// <summary>
/// What a power cut could leave, told from the order in which things were forced to disk. A name that was not forced may be there or not, and so may the deletion of one; content that
/// was not forced may be anything.
/// </summary>
internal sealed class PowerCut
{
    private readonly string _folder;
    private readonly HashSet<string> _flushed = [];
    private readonly HashSet<string> _namesNotForced = [];
    private readonly HashSet<string> _safe = [];
    private readonly List<string> _renamed = [];

    /// <summary>Watches what this flow of control does with the checkpoints in a folder.</summary>
    public PowerCut(string folder) => _folder = Path.GetFullPath(folder);

    /// <summary>Checkpoints that were whole on disk at some time.</summary>
    public int Saved { get; private set; }

    /// <summary>What went wrong, one line each.</summary>
    public List<string> Faults { get; } = [];

    public void See(DiskStep step)
    {
        switch (step.Action)
        {
            case DiskAction.Flush:
                _flushed.Add(step.Path);
                break;
            case DiskAction.Create:
                _namesNotForced.Add(step.Path);
                break;
            case DiskAction.Rename:
                SeeRename(step.From!, step.Path);
                break;
            case DiskAction.Sync:
                _namesNotForced.RemoveWhere(name => Path.GetDirectoryName(name) == step.Path);
                foreach (var whole in _renamed.Where(name => Path.GetDirectoryName(name) == step.Path))
                {
                    _safe.Add(whole);
                    Saved++;
                }
                _renamed.RemoveAll(name => Path.GetDirectoryName(name) == step.Path);
                break;
        }

        if (Saved > 0 && _safe.Count == 0) Faults.Add($"after {step.Action} {step.Path} a power cut could leave no checkpoint");
    }

    private void SeeRename(string from, string to)
    {
        if (File.Exists(to))
        {
            if (!_flushed.Remove(from)) Faults.Add($"{to} got its name before its content was on disk");
            _flushed.Add(to);
            _namesNotForced.Add(to);
            return;
        }

        // A folder that loses its name may have lost it on disk at once.
        _safe.Remove(from);
        if (Path.GetDirectoryName(to) != _folder || to.EndsWith(AtomicFolder.DeletedEnding, StringComparison.Ordinal)) return;
        foreach (var entry in Directory.GetFileSystemEntries(to, "*", SearchOption.AllDirectories))
        {
            var before = Path.Combine(from, Path.GetRelativePath(to, entry));
            if (File.Exists(entry) && !_flushed.Contains(before)) Faults.Add($"{to} got its name before the content of {entry} was on disk");
            if (_namesNotForced.Contains(before)) Faults.Add($"{to} got its name before the name {entry} was on disk");
        }
        _renamed.Add(to);
    }
}
