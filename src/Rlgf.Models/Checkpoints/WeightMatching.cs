using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>Which stored tensor each of a module's parameters is filled from.</summary>
/// <param name="Pairs">The parameters that are filled, each once.</param>
/// <param name="Copies">Stored tensors beside these that are tied to a parameter, and must hold the same numbers as it.</param>
/// <param name="Notes">What was read under another name than the family's own, a sentence each.</param>
internal sealed record WeightMatches(
    IReadOnlyList<(string Name, Tensor Parameter, string StoredName)> Pairs, IReadOnlyList<(string Name, Tensor Parameter, string StoredName)> Copies, IReadOnlyList<string> Notes);

/// <summary>Finds a checkpoint's tensors for the parameters of a module.</summary>
internal static class WeightMatching
{
    /// <summary>What wrappers put before all names when their own state is saved in place of the model's: DataParallel, and torch.compile.</summary>
    private static readonly string[] Wrappers = ["module.", "_orig_mod."];

    /// <summary>Finds them all.</summary>
    /// <param name="module">Parameters under the names of the checkpoint format.</param>
    /// <param name="checkpoint">The weights.</param>
    /// <param name="names">How its names are read.</param>
    /// <exception cref="InputException">Names that are missing or unexpected, and wrong shapes.</exception>
    public static WeightMatches Match(nn.Module module, Checkpoint checkpoint, StoredNames names)
    {
        var notes = new List<string>();
        var wrapper = WrapperOf(checkpoint.Names);
        if (wrapper.Length > 0) notes.Add($"all names in the files begin with '{wrapper}', which {(wrapper == Wrappers[0] ? "DataParallel" : "torch.compile")} puts there; they are read without it");
        var stored = new Dictionary<string, string>(StringComparer.Ordinal);
        var tied = new List<(string Parameter, string StoredName)>();
        foreach (var name in checkpoint.Names)
        {
            var plain = name[wrapper.Length..];
            if (names.InModule(plain) is { } target)
            {
                if (!stored.TryAdd(target, name)) throw new InputException($"{checkpoint.Folder}: '{name}' and '{stored[target]}' are both '{target}'; keep one of them.");
            }
            else if (names.TiedTo(plain) is { } parameter) tied.Add((parameter, name));
        }

        var others = OtherNames(checkpoint, wrapper, names);
        var own = stored.ToDictionary(StringComparer.Ordinal);
        string? Source(string name) => own.GetValueOrDefault(name) ?? others.GetValueOrDefault(name) ?? tied.FirstOrDefault(copy => copy.Parameter == name).StoredName;
        var faults = new WeightFaults();
        var pairs = new List<(string, Tensor, string)>();
        var copies = new List<(string, Tensor, string)>();
        var served = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, parameter) in module.named_parameters().Select(pair => (pair.name, (Tensor)pair.parameter)))
        {
            var isThere = stored.Remove(name);
            var source = Source(name);
            if (source is null && names.StandsFor(name) is { } other) (isThere, source) = (true, Source(other));
            if (source is null)
            {
                if (!names.MayBeMissing(name)) faults.Missing(name);
                continue;
            }

            served.Add(source);
            if (!checkpoint.Entry(source).Shape.SequenceEqual(parameter.shape)) faults.Shape(name, checkpoint.Entry(source).Shape, "config.json asks for", parameter.shape);
            else pairs.Add((name, parameter, source));
            if (!isThere) notes.Add($"'{name}' is stored as '{source}', which it is tied to");
            if (names.ComparesTied) copies.AddRange(tied.Where(copy => copy.Parameter == name && copy.StoredName != source).Select(copy => (name, parameter, copy.StoredName)));
        }

        foreach (var name in stored.Values.Where(name => !served.Contains(name))) faults.Unexpected(name);
        foreach (var (name, shard) in checkpoint.Absent)
        {
            if (names.InModule(name[WrapperLength(name, wrapper)..]) is { } target && !pairs.Exists(pair => pair.Item1 == target)) faults.Absent(name, shard);
        }

        return faults.Any ? throw new InputException($"{checkpoint.Folder}: the weights don't fit config.json: {faults}.") : new WeightMatches(pairs, copies, notes);
    }

    /// <summary>
    /// Refuses tied tensors that differ: transformers 4 uses the embedding alone, 5 both of them, so that the file means two models.
    /// </summary>
    /// <param name="checkpoint">The weights.</param>
    /// <param name="matches">What was found in them; its parameters are filled.</param>
    public static void RequireEqualCopies(Checkpoint checkpoint, WeightMatches matches)
    {
        foreach (var (name, parameter, storedName) in matches.Copies)
        {
            using var scope = NewDisposeScope();
            using var gradients = no_grad();
            if (checkpoint.Entry(storedName).Shape.SequenceEqual(parameter.shape))
            {
                var copy = empty_like(parameter);
                checkpoint.CopyTo(storedName, copy);
                if (copy.equal(parameter).all().item<bool>()) continue;
            }

            throw new InputException(
                $"{checkpoint.Folder}: '{storedName}' differs from '{name}', to which config.json ties it; "
                + (storedName.Contains("embed_tokens", StringComparison.Ordinal) ? "embeddings of their own for encoder and decoder aren't supported." : "set tie_word_embeddings to false there to use both, or take it out of the file."));
        }
    }

    /// <summary>Parameters that the files name as the same as a tensor that they hold (safetensors does so in a file's <c>__metadata__</c>), and which tensor that is.</summary>
    private static Dictionary<string, string> OtherNames(Checkpoint checkpoint, string wrapper, StoredNames names)
    {
        var others = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, storedName) in checkpoint.SameAs)
        {
            if (names.InModule(name[WrapperLength(name, wrapper)..]) is { } target) others.TryAdd(target, storedName);
        }

        return others;
    }

    private static string WrapperOf(IReadOnlyCollection<string> names)
    {
        var wrapper = "";
        while (names.Count > 0 && Array.Find(Wrappers, next => names.All(name => name.StartsWith(wrapper + next, StringComparison.Ordinal))) is { } found) wrapper += found;
        return wrapper;
    }

    private static int WrapperLength(string name, string wrapper) => name.StartsWith(wrapper, StringComparison.Ordinal) ? wrapper.Length : 0;
}
