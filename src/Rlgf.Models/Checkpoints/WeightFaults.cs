using Rlgf.Base;

namespace Rlgf.Models.Checkpoints;

/// <summary>What doesn't fit between stored tensors and a module's parameters. Shown are a few of each kind: of a file that belongs to another model all names are wrong.</summary>
internal sealed class WeightFaults
{
    private const int MostOfAKind = 4;

    /// <summary>Heads of classifiers, in the families' own names, and the one that TRL puts beside a policy.</summary>
    private static readonly (string Head, string Hint)[] Heads =
    [
        ("score.", "a classifier's (a reward model, perhaps), not a language model's"), ("classifier.", "a classifier's, not a language model's"), ("classification_head.", "a classifier's, not a language model's"),
        ("v_head.", "a policy's with TRL's value head: save the model without it (in Python: model.pretrained_model.save_pretrained(folder))"),
    ];

    private readonly List<string> _absent = [];
    private readonly List<string> _missing = [];
    private readonly List<string> _shapes = [];
    private readonly List<string> _unexpected = [];

    /// <summary>Whether there is any.</summary>
    public bool Any => _absent.Count + _missing.Count + _shapes.Count + _unexpected.Count > 0;

    /// <summary>A tensor that an index lists and no file holds.</summary>
    public void Absent(string name, string shard) => _absent.Add($"'{name}' is not in {shard}, where the index has it");

    /// <summary>A parameter without a tensor.</summary>
    public void Missing(string name) => _missing.Add(name);

    /// <summary>A tensor of another shape than its parameter's.</summary>
    public void Shape(string name, IReadOnlyList<long> stored, string whoAsks, IReadOnlyList<long> asked) =>
        _shapes.Add($"'{name}' has the shape {Shapes.Format(stored)} where {whoAsks} {Shapes.Format(asked)}");

    /// <summary>A tensor without a parameter.</summary>
    public void Unexpected(string name) => _unexpected.Add(name);

    /// <summary>All in one line.</summary>
    public override string ToString()
    {
        _missing.Sort(StringComparer.Ordinal);
        _unexpected.Sort(StringComparer.Ordinal);
        var kinds = new[]
        {
            NameList.Of(_absent, MostOfAKind, "; ", "are not where the index has them"),
            NameList.Of([.. _missing.Select(name => $"'{name}' is missing")], MostOfAKind, "; ", "are missing"),
            NameList.Of(_shapes, MostOfAKind, "; ", "have another shape"),
            NameList.Of([.. _unexpected.Select(name => $"'{name}' is unexpected")], MostOfAKind, "; ", "are unexpected"),
        };
        return string.Join("; ", kinds.Where(kind => kind.Length > 0)) + Hint();
    }

    private string Hint()
    {
        foreach (var (head, hint) in Heads)
        {
            if (_unexpected.Exists(name => name.StartsWith(head, StringComparison.Ordinal))) return $"; the weights seem to be {hint}";
        }

        return _missing is ["lm_head.weight" or "embed_out.weight"] ? "; if the head is the embedding, config.json must say so (tie_word_embeddings: true)" : "";
    }
}
