using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using Rlgf.Models.Lora;

namespace Rlgf.Models.Loading;

/// <summary>What an adapter's file brings to its base, by the names that a module has for it.</summary>
/// <remarks>
/// PEFT leaves a head that is tied to the embedding as it was when the embedding is trained or adapted, and the reverse, unless <c>ensure_weight_tying</c> says otherwise: the model then has two weights where the base has one.
/// Here it becomes a model with a head of its own (<see cref="SeparatesHead"/>).
/// </remarks>
internal sealed class AdapterContents : IDisposable
{
    private readonly ITensorFile _file;
    private readonly Dictionary<string, string> _stored;

    /// <summary>Reads the names in an adapter's file.</summary>
    /// <param name="file">The file; disposed with this.</param>
    /// <param name="settings">The adapter's settings.</param>
    /// <param name="read">What they are read from, for messages.</param>
    public AdapterContents(ITensorFile file, LoraConfiguration settings, ModelConfiguration read)
    {
        _file = file;
        _stored = file.Entries.Keys.Select(stored => (Name: LoraNames.InModule(stored), stored)).Where(pair => pair.Name is not null).GroupBy(pair => pair.Name!, StringComparer.Ordinal)
            .ToDictionary(names => names.Key, names => names.Count() == 1 ? names.First().stored : throw new InputException($"{file.Path}: '{names.First().stored}' and '{names.Last().stored}' are the same parameter; keep one of them."), StringComparer.Ordinal);
        Settings = settings;
        var ends = settings.Ends;
        if (_stored.Keys.FirstOrDefault(name => name.EndsWith($".{LoraNames.EmbeddingDown}", StringComparison.Ordinal) && LoraNames.AdaptedBy(name) != ends?.Embedding) is { } table)
            throw LoraConfiguration.Refused(read, "target_modules", $"has '{LoraNames.AdaptedBy(table)}', a table of vectors that takes no adapter here");
        if (ends is null) return;
        Require(ends, read);
        if (ends.IsTied && read.Flag("ensure_weight_tying", formatDefault: false)) KeepTied(ends, read);
        else if (ends is { IsTied: true, CanDiffer: true } && (Changes(ends.Embedding) || Changes(ends.Head))) SeparatesHead = ends;
        Replace(ends);
    }

    /// <summary>The adapter's settings.</summary>
    public LoraConfiguration Settings { get; private set; }

    /// <summary>The two ends of a tied base that are two weights with this adapter; null where they stay what they are.</summary>
    public EmbeddingNames? SeparatesHead { get; }

    /// <summary>Maps and tables that have an adapter.</summary>
    public IReadOnlySet<string> Adapted => _stored.Keys.Select(LoraNames.AdaptedBy).OfType<string>().ToHashSet(StringComparer.Ordinal);

    /// <summary>The file.</summary>
    public ITensorFile File => _file;

    /// <summary>The stored name of each parameter.</summary>
    public IReadOnlyDictionary<string, string> Stored => _stored;

    /// <summary>Makes sure that ranks are those that the settings say, before anything of that size is made.</summary>
    public void RequireRanks()
    {
        foreach (var (name, source) in _stored)
        {
            if (LoraNames.AdaptedBy(name) is not { } map) continue;
            var rank = Settings.SizeOf(map).Rank;
            if (_file.Entries[source].Shape is not [var stored, _] || stored != rank)
                throw new InputException($"{_file.Path}: '{source}' has the shape {Shapes.Format(_file.Entries[source].Shape)}, and {AdapterFolder.ConfigurationFile} says r = {rank}.");
        }
    }

    public void Dispose() => _file.Dispose();

    private bool Trains(string module) => Settings.ModulesToSave.Any(name => LoraAdapters.IsBelow($"{module}.weight", name)) && _stored.ContainsKey($"{module}.weight");

    private bool IsAdapted(string module) => Adapted.Contains(module);

    private bool Changes(string module) => Trains(module) || IsAdapted(module);

    /// <summary>Refuses what encoder–decoders can't have: their embedding serves both halves, and PEFT replaces one of its uses.</summary>
    private void Require(EmbeddingNames ends, ModelConfiguration read)
    {
        if (ends.CanDiffer) return;
        foreach (var end in (string[])[ends.Embedding, ends.Head])
        {
            if (IsAdapted(end)) throw LoraConfiguration.Refused(read, "target_modules", $"has '{end}', which takes no adapter in an encoder-decoder");
            if (Trains(end) && (end == ends.Embedding || ends.IsTied)) throw LoraConfiguration.Refused(read, "modules_to_save", $"has '{end}', whose weight encoder and decoder have in common; replacing one use of it isn't supported");
        }
    }

    /// <summary>Embedding and head stay one weight, trained whole; a copy of it that stands under the head's name is left out.</summary>
    private void KeepTied(EmbeddingNames ends, ModelConfiguration read)
    {
        if (IsAdapted(ends.Embedding) || IsAdapted(ends.Head)) throw LoraConfiguration.Refused(read, "ensure_weight_tying", "is true with an adapter on the embedding or the head, which isn't supported");
        MergeHead(ends);
    }

    /// <summary>What is in the file of the two ends and isn't trained stands in place of the base's own. Where they are one weight in the base, what is there of one is also the other's.</summary>
    private void Replace(EmbeddingNames ends)
    {
        var replaced = new[] { ends.Embedding, ends.Head }.Where(end => _stored.ContainsKey($"{end}.weight") && !Trains(end)).ToList();
        if (replaced.Count == 0) return;
        if (ends.IsTied && SeparatesHead is null)
        {
            MergeHead(ends);
            replaced = [ends.Embedding];
        }
        else if (ends.IsTied)
        {
            foreach (var (end, other) in ((string, string)[])[(ends.Embedding, ends.Head), (ends.Head, ends.Embedding)])
            {
                if (!replaced.Contains(end) || Trains(other) || !_stored.TryAdd($"{other}.weight", _stored[$"{end}.weight"])) continue;
                replaced.Add(other);
            }
        }

        Settings = Settings with { Replaced = replaced.Select(end => $"{end}.weight").ToHashSet(StringComparer.Ordinal) };
    }

    private void MergeHead(EmbeddingNames ends)
    {
        if (!_stored.Remove(ends.HeadWeight, out var head)) return;
        if (_stored.TryAdd(ends.EmbeddingWeight, head)) return;
        var embedding = _stored[ends.EmbeddingWeight];
        using var scope = TorchSharp.torch.NewDisposeScope();
        if (!_file.Entries[head].Shape.SequenceEqual(_file.Entries[embedding].Shape) || !_file.Read(head).equal(_file.Read(embedding)).all().item<bool>())
            throw new InputException($"{_file.Path}: '{head}' and '{embedding}' differ, and the base model ties them; name the one that was trained in modules_to_save ({AdapterFolder.ConfigurationFile}).");
    }
}
