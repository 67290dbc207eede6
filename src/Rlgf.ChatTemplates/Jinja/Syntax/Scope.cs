using System.Runtime.CompilerServices;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>
/// A part of a template with names of its own. Jinja decides before a template runs which part a name belongs to: one that a part sets, in its course and before it
/// reads it, is undefined there up to then, though there may be one of that name around.
/// </summary>
internal sealed class Scope
{
    private readonly Scope? _outer;
    private readonly List<Scope> _inner = [];
    private readonly HashSet<string> _known = [];
    private readonly List<string> _hidden = [];
    private readonly List<Use> _log;
    private List<Use> _uses = [];

    /// <summary>A part within another, or one that sees none around.</summary>
    public Scope(Scope? outer)
    {
        _outer = outer;
        _log = outer?._log ?? [];
        outer?._inner.Add(this);
    }

    /// <summary>Names that are undefined here until they are set. Known when the whole template is parsed.</summary>
    public IReadOnlyList<string> Hidden => _hidden;

    /// <summary>How many uses of names are recorded.</summary>
    public int Mark => _uses.Count;

    /// <summary>How many uses of names are recorded here, around and within.</summary>
    public int LogMark => _log.Count;

    /// <summary>Records that a name is read.</summary>
    public void Read(string name) => Record(new Use(name, IsSet: false, []));

    /// <summary>Records that a name is set.</summary>
    public void Set(string name) => Record(new Use(name, IsSet: true, []));

    /// <summary>Names that are read after a mark of the log, there and in parts within, and aren't set before that.</summary>
    public HashSet<string> ReadSince(int logMark)
    {
        var (read, set) = (new HashSet<string>(), new HashSet<string>());
        foreach (var use in _log.Skip(logMark))
        {
            if (use.IsSet)
                set.Add(use.Name);
            else if (!set.Contains(use.Name))
                read.Add(use.Name);
        }
        return read;
    }

    /// <summary>Records a name that has a value from the beginning.</summary>
    public void Declare(string name) => _known.Add(name);

    /// <summary>Forgets what was recorded since a mark.</summary>
    public void Forget(int mark)
    {
        _log.RemoveRange(_log.Count - (_uses.Count - mark), _uses.Count - mark);
        _uses.RemoveRange(mark, _uses.Count - mark);
    }

    /// <summary>Records branches, one of which is taken.</summary>
    /// <returns>Records one branch after the other.</returns>
    public T Branch<T>(List<object> branches, Func<T> parse)
    {
        var around = _uses;
        _uses = [];
        var result = parse();
        branches.Add(_uses);
        _uses = around;
        return result;
    }

    /// <summary>Ends branches.</summary>
    public void EndBranches(List<object> branches) => _uses.Add(new Use("", IsSet: false, [.. branches.Cast<List<Use>>()]));

    /// <summary>Works out what is hidden, here and within.</summary>
    public void Resolve()
    {
        Resolve(_uses, isBranch: false);
        foreach (var inner in _inner)
            inner.Resolve();
    }

    private void Record(Use use)
    {
        _uses.Add(use);
        _log.Add(use);
    }

    private void Resolve(List<Use> uses, bool isBranch)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        foreach (var use in uses)
        {
            foreach (var branch in use.Branches)
                Resolve(branch, isBranch: true);
            if (use.Branches.Count > 0)
                continue;
            if (!use.IsSet && !IsKnownHere(use.Name))
                _known.Add(use.Name);
            else if (use.IsSet && _known.Add(use.Name) && !isBranch && !(_outer?.IsKnownHere(use.Name) ?? false))
                _hidden.Add(use.Name);
        }
    }

    private bool IsKnownHere(string name)
    {
        for (var scope = this; scope is not null; scope = scope._outer)
        {
            if (scope._known.Contains(name))
                return true;
        }
        return false;
    }

    private sealed record Use(string Name, bool IsSet, IReadOnlyList<List<Use>> Branches);
}
