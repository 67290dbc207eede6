using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Answers;

/// <summary>A model that can be asked for.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Folder">Where it came from.</param>
/// <param name="Parent">The name of the model that it is an adapter on; null for the model itself.</param>
/// <param name="Created">Since when it is served.</param>
internal sealed record ModelEntry(string Name, string Folder, string? Parent, DateTimeOffset Created);

/// <summary>The model that is served and the adapters on it, by their names. Adapters come from below one folder only.</summary>
internal sealed class ModelShelf : IDisposable
{
    private readonly Lock _gate = new();

    /// <summary>Held while an adapter is read: one after the other, and no request waits for it.</summary>
    private readonly Lock _loading = new();
    private readonly ServedModel _served;
    private readonly ModelEngine _engine;
    private readonly string? _adaptersFolder;
    private readonly string _name;
    private readonly List<(ModelEntry Entry, ILanguageModel Model)> _models;
    private bool _isDisposed;

    /// <summary>Begins with the model itself.</summary>
    /// <param name="served">The model.</param>
    /// <param name="name">Its name.</param>
    /// <param name="engine">Who writes with it.</param>
    /// <param name="adaptersFolder">The folder that adapters are below; null where none may be loaded.</param>
    public ModelShelf(ServedModel served, string name, ModelEngine engine, string? adaptersFolder)
    {
        (_served, _name, _engine) = (served, name, engine);
        _adaptersFolder = adaptersFolder is null ? null : Resolved(adaptersFolder);
        _models = [(new ModelEntry(name, served.Text.Folder, null, DateTimeOffset.UtcNow), served.Text.Model)];
    }

    /// <summary>All that can be asked for, the model itself first.</summary>
    public IReadOnlyList<ModelEntry> Entries
    {
        get
        {
            lock (_gate) return [.. _models.Select(model => model.Entry)];
        }
    }

    /// <summary>Hands the rows of a request to the engine, with the model that it asks for.</summary>
    /// <param name="name">Its name; null for the model itself.</param>
    /// <param name="rowsOf">The rows to write with a model.</param>
    /// <returns>The model's name, how many rows there are, and what becomes of them; null where there is no model of that name.</returns>
    public (string Name, int Rows, Writing Writing)? Write(string? name, Func<ILanguageModel, IReadOnlyList<RowOrder>> rowsOf)
    {
        // An adapter that is unloaded at the same time is given up before or after, not between.
        lock (_gate)
        {
            if (Find(name) is not { } found) return null;
            var rows = rowsOf(found.Model);
            return (found.Entry.Name, rows.Count, _engine.Write(rows));
        }
    }

    /// <summary>Puts an adapter on the model.</summary>
    /// <param name="name">What it is called from now on.</param>
    /// <param name="path">Its folder, from the folder of adapters.</param>
    /// <exception cref="InputException">The name is taken, the folder isn't below the folder of adapters, or what it holds is no adapter for the model.</exception>
    public void Load(string name, string path)
    {
        if (_adaptersFolder is null) throw new InputException("this server was started without a folder of adapters (--adapters)");
        var folder = Below(_adaptersFolder, path);
        lock (_loading)
        {
            // Nobody else adds a name meanwhile.
            if (Has(name)) throw new InputException($"there is a model '{name}' already: unload it first");
            var adapted = Read(folder, _adaptersFolder);
            lock (_gate)
            {
                if (!_isDisposed)
                {
                    _models.Add((new ModelEntry(name, path, _name, DateTimeOffset.UtcNow), adapted));
                    return;
                }
            }

            adapted.Dispose();
            throw new OperationCanceledException("the server was stopped");
        }
    }

    /// <summary>Takes an adapter away; what is being written with it is finished.</summary>
    /// <returns>False where there is no adapter of that name.</returns>
    public bool Unload(string name)
    {
        lock (_gate)
        {
            var at = _models.FindIndex(1, model => model.Entry.Name == name);
            if (at < 0) return false;
            _engine.Retire(_models[at].Model);
            _models.RemoveAt(at);
            return true;
        }
    }

    /// <summary>Gives the adapters up, once the engine has ended; the model itself is its owner's.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            foreach (var (_, adapted) in _models.Skip(1)) adapted.Dispose();
            _models.RemoveRange(1, _models.Count - 1);
        }
    }

    private bool Has(string name)
    {
        lock (_gate) return _models.Exists(model => model.Entry.Name == name);
    }

    private ILanguageModel Read(string folder, string adaptersFolder)
    {
        try
        {
            return LanguageModelFolder.LoadAdapter(_served.Text.Model, _served.Text.Folder, folder);
        }
        catch (InputException refused)
        {
            // Where the folders of this machine lie is nobody's business.
            throw new InputException(refused.Message.Replace(adaptersFolder + Path.DirectorySeparatorChar, "", StringComparison.Ordinal).Replace(Path.GetFullPath(_served.Text.Folder), _name, StringComparison.Ordinal), refused);
        }
    }

    private (ModelEntry Entry, ILanguageModel Model)? Find(string? name) => name is null ? _models[0] : _models.FindIndex(model => model.Entry.Name == name) is var at and >= 0 ? _models[at] : null;

    /// <summary>A folder below another, links followed; what lies elsewhere is refused in the same words as what isn't there.</summary>
    private static string Below(string root, string path)
    {
        // A text with a zero is the path of nothing.
        var folder = path.Contains('\0', StringComparison.Ordinal) ? "" : Resolved(Path.Combine(root, path));
        return Directory.Exists(folder) && folder.StartsWith(root + Path.DirectorySeparatorChar, StringComparison.Ordinal)
            ? folder
            : throw new InputException($"there is no folder '{path}' below the folder of adapters that this server was started with");
    }

    /// <summary>The real path: every part of it that is a link is followed.</summary>
    private static string Resolved(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Path.GetDirectoryName(full) is not { } parent) return full;
        var here = Path.Combine(Resolved(parent), Path.GetFileName(full));
        try
        {
            return new DirectoryInfo(here).ResolveLinkTarget(returnFinalTarget: true) is { } target ? Resolved(target.FullName) : here;
        }
        catch (IOException)
        {
            return here;
        }
    }
}
