using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;

namespace Rlgf.Runs;

/// <summary>A checkpoint whose files are all as they were written.</summary>
/// <param name="Path">Its folder.</param>
/// <param name="Number">Iterations or steps done.</param>
/// <param name="State">What the run keeps beside weights and optimisers.</param>
/// <param name="Notes">What a user should know about how it was found, one line each.</param>
internal sealed record Checkpoint<TState>(string Path, int Number, TState State, IReadOnlyList<string> Notes);

/// <summary>
/// Checkpoints as folders such as <c>iteration-00010</c>. Each has a <c>state.json</c> with the run's state, the checkpoints that the run has made and kept (<c>checkpoints</c>), the checksum of
/// every other file (<c>files</c>) and its own (<c>checksum</c>). Only what the run has recorded there is ever deleted.
/// </summary>
/// <param name="folder">Where they lie.</param>
/// <param name="naming">What they are called.</param>
/// <param name="keep">How many are kept, the newest.</param>
/// <param name="numberOf">The number that a state belongs to.</param>
/// <param name="besides">An older one that a state asks to keep besides; null for none.</param>
internal sealed class CheckpointStore<TState>(string folder, CheckpointNaming naming, int keep, Func<TState, int> numberOf, Func<TState, int?>? besides = null) where TState : class
{
    private const string StateFile = CheckpointNaming.StateFile, RecordedKey = "checkpoints", FilesKey = "files", ChecksumKey = "checksum";

    private readonly SortedSet<int> _recorded = [];
    private Checkpoint<TState>? _newest;

    /// <summary>The newest checkpoint, with every file compared with its checksum; null where there is none.</summary>
    /// <exception cref="InputException">The newest is damaged; names it, and the one before that is whole.</exception>
    public Checkpoint<TState>? Newest => _newest ??= FindNewest();

    /// <summary>Whether a checkpoint is there.</summary>
    /// <param name="number">Its number.</param>
    public bool Holds(int number) => _recorded.Contains(number) && Directory.Exists(PathOf(number));

    /// <summary>Writes a checkpoint, unless the run has it already, and then removes what is older than those to keep.</summary>
    /// <param name="state">The state; says the number.</param>
    /// <param name="write">Writes everything else into the folder that it is given.</param>
    /// <exception cref="IOException">It can't be written, for example since the disk is full; the ones before are untouched.</exception>
    public void Save(TState state, Action<string> write)
    {
        var number = numberOf(state);
        var path = PathOf(number);
        _recorded.RemoveWhere(old => !Directory.Exists(PathOf(old)));
        if (_recorded.Contains(number)) return;
        PutAside(path);
        AtomicFolder.Write(path, inside =>
        {
            write(inside);
            AtomicFile.WriteText(Path.Combine(inside, StateFile), Sealed(state, [.. _recorded, number], inside));
        });
        _recorded.Add(number);
        // Asked again, it is looked for anew: the run may go back to it.
        _newest = null;
        var needed = besides?.Invoke(state);
        Remove(_recorded.SkipLast(Math.Max(1, keep)).Where(old => old != needed));
        RemoveLeftovers();
    }

    /// <summary>One checkpoint, with every file compared with its checksum.</summary>
    /// <param name="number">Its number.</param>
    /// <exception cref="InputException">It isn't there or is damaged.</exception>
    public Checkpoint<TState> At(int number) => !HasState(number) ? throw new InputException($"{PathOf(number)}: the checkpoint that the run would go back to isn't there")
        : Read(number, out var state, out _) is { } fault ? throw new InputException($"{PathOf(number)}: the checkpoint that the run would go back to is damaged: {fault}")
        : new(PathOf(number), number, state!, []);

    /// <summary>Makes a checkpoint the newest: gives it a new state, and then removes all that the run has made after it.</summary>
    /// <param name="state">The state; says the number.</param>
    public void GoBack(TState state)
    {
        var number = numberOf(state);
        var later = _recorded.Where(other => other > number).ToArray();
        _recorded.RemoveWhere(other => other > number);
        // What follows is not there for one who reads this, so that a kill before all is removed leaves them to be gone back from again.
        AtomicFile.WriteText(Path.Combine(PathOf(number), StateFile), Sealed(state, [.. _recorded], PathOf(number)));
        _newest = null;
        Remove(later);
    }

    private void Remove(IEnumerable<int> numbers)
    {
        // From the newest on: what is left by a kill is newest where the first of them was.
        foreach (var number in numbers.OrderDescending().ToArray())
        {
            AtomicFolder.Delete(PathOf(number));
            _recorded.Remove(number);
        }
    }

    /// <summary>Removes all that the run has made.</summary>
    public void Clear()
    {
        foreach (var number in _recorded.Where(number => Directory.Exists(PathOf(number)))) AtomicFolder.Delete(PathOf(number));
        _recorded.Clear();
        RemoveLeftovers();
        if (Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
    }

    private Checkpoint<TState>? FindNewest()
    {
        List<string> notes = [];
        var numbers = naming.NumbersIn(folder).OrderDescending().ToArray();
        for (var i = 0; i < numbers.Length; i++)
        {
            if (!HasState(numbers[i]))
            {
                if (Directory.EnumerateFileSystemEntries(PathOf(numbers[i])).Any()) notes.Add($"{PathOf(numbers[i])} has no {StateFile}, so it is no checkpoint of this run, and is left alone");
                continue;
            }

            if (Read(numbers[i], out var state, out var recorded) is { } fault) throw Damaged(numbers[i], fault, numbers[(i + 1)..]);
            if (recorded is null) notes.Add($"{PathOf(numbers[i])} was written before checkpoints had checksums: that it is whole can't be seen");
            _recorded.UnionWith(recorded ?? [numbers[i]]);
            return new Checkpoint<TState>(PathOf(numbers[i]), numbers[i], state!, notes);
        }

        return null;
    }

    private InputException Damaged(int number, string fault, int[] older)
    {
        var whole = older.Where(HasState).FirstOrDefault(other => Read(other, out _, out _) is null, -1);
        return new InputException($"{PathOf(number)}: the checkpoint is damaged: {fault}; " + (whole < 0
            ? "there is no whole one before it: remove it to begin anew"
            : $"the newest whole one is {naming.NameOf(whole)}: remove what is newer to go on from there"));
    }

    /// <summary>Reads a checkpoint's state and compares its files with their checksums.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="state">The state.</param>
    /// <param name="recorded">Checkpoints that the run had; null in a checkpoint from before there were checksums.</param>
    /// <returns>What is wrong; null where all is right.</returns>
    private string? Read(int number, out TState? state, out IReadOnlyList<int>? recorded)
    {
        (state, recorded) = (null, null);
        var path = PathOf(number);
        try
        {
            var json = JsonNode.Parse(RegularFile.ReadText(Path.Combine(path, StateFile)), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new JsonException("it is not an object");
            if (json.ContainsKey(RecordedKey) || json.ContainsKey(FilesKey) || json.ContainsKey(ChecksumKey))
            {
                var own = json[ChecksumKey]?.GetValue<string>();
                json.Remove(ChecksumKey);
                if (own != Checksum.Of(json.ToJsonString())) return $"{StateFile} is not what was written";
                foreach (var (name, sum) in json[FilesKey]!.AsObject())
                {
                    if (!File.Exists(Path.Combine(path, name))) return $"{name} is missing";
                    if (Checksum.OfFile(Path.Combine(path, name)) != sum!.GetValue<string>()) return $"{name} is not what was written";
                }

                recorded = [.. json[RecordedKey]!.AsArray().Select(other => other!.GetValue<int>())];
                json.Remove(FilesKey);
                json.Remove(RecordedKey);
            }

            state = json.Deserialize<TState>(RunJson.Indented) ?? throw new JsonException("it is empty");
            return numberOf(state) == number ? null : $"{StateFile} is that of {naming.NameOf(numberOf(state))}";
        }
        catch (Exception failure) when (failure is JsonException or IOException or UnauthorizedAccessException or InvalidOperationException or FormatException or ArgumentException)
        {
            return $"{StateFile} or what it lists can't be read ({(failure is JsonException fault ? JsonFault.Words(fault) : failure.Message.ReplaceLineEndings(" "))})";
        }
    }

    private static string Sealed(TState state, IReadOnlyList<int> recorded, string inside)
    {
        var json = JsonSerializer.SerializeToNode(state, RunJson.Indented)!.AsObject();
        json[RecordedKey] = new JsonArray([.. recorded.Select(number => (JsonNode)number)]);
        json[FilesKey] = new JsonObject(Directory.EnumerateFiles(inside, "*", SearchOption.AllDirectories)
            .Select(file => (File: file, Name: Path.GetRelativePath(inside, file).Replace('\\', '/'))).Where(file => file.Name != StateFile).OrderBy(file => file.Name, StringComparer.Ordinal)
            .Select(file => KeyValuePair.Create(file.Name, (JsonNode?)Checksum.OfFile(file.File))));
        // As it will be read: the sum is over the text of what is parsed, whatever its line breaks.
        json = JsonNode.Parse(json.ToJsonString(RunJson.Indented))!.AsObject();
        json[ChecksumKey] = Checksum.Of(json.ToJsonString());
        return json.ToJsonString(RunJson.Indented) + "\n";
    }

    /// <summary>Makes room for a checkpoint where something lies that the run did not make.</summary>
    private static void PutAside(string path)
    {
        if (!Directory.Exists(path)) return;
        if (!Directory.EnumerateFileSystemEntries(path).Any())
        {
            Directory.Delete(path);
            return;
        }

        var aside = Enumerable.Range(1, int.MaxValue).Select(i => string.Create(CultureInfo.InvariantCulture, $"{path}.aside-{i}")).First(name => !Path.Exists(name));
        Directory.Move(path, aside);
    }

    /// <summary>Removes what a killed run left half written or half deleted.</summary>
    private void RemoveLeftovers()
    {
        foreach (var ending in (string[])[AtomicFolder.UnfinishedEnding, AtomicFolder.DeletedEnding])
            foreach (var path in Directory.Exists(folder) ? Directory.GetDirectories(folder, naming.Prefix + "*" + ending) : [])
                if (naming.NumberOf(Path.GetFileName(path)[..^ending.Length]) is not null) Directory.Delete(path, recursive: true);
    }

    private bool HasState(int number) => CheckpointNaming.HasState(PathOf(number));

    private string PathOf(int number) => Path.Combine(folder, naming.NameOf(number));
}
