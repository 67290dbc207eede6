using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Lora;

/// <summary>Moves weights between modules and checkpoints.</summary>
internal static class ModuleWeights
{
    /// <summary>Fills a module's parameters from a checkpoint; every one must be there in the right shape, and nothing else.</summary>
    /// <param name="module">Parameters under the names of the checkpoint format.</param>
    /// <param name="checkpoint">The weights.</param>
    /// <param name="names">How its names are read.</param>
    /// <returns>What was read under another name than the family's own, a sentence each.</returns>
    /// <exception cref="InputException">Names that are missing or unexpected, and wrong shapes, nothing is copied then; or tied tensors that differ.</exception>
    public static IReadOnlyList<string> Load(nn.Module module, Checkpoint checkpoint, StoredNames names)
    {
        var matches = WeightMatching.Match(module, checkpoint, names);
        foreach (var (_, parameter, source) in matches.Pairs) checkpoint.CopyTo(source, parameter);
        WeightMatching.RequireEqualCopies(checkpoint, matches);
        return matches.Notes;
    }

    /// <summary>
    /// Copies the parameters of one module into those of the same name of another; those that only one of them has stay. What is frozen is frozen in both, and where the types are the same, both use the same memory for it.
    /// An adapter comes along.
    /// </summary>
    /// <param name="from">The source.</param>
    /// <param name="to">The target.</param>
    /// <param name="nameInTarget">What the target calls a parameter of the source, where the names differ; null for what it has no use for.</param>
    public static void Copy(nn.Module from, nn.Module to, Func<string, string?>? nameInTarget = null)
    {
        using var gradients = no_grad();
        if (LoraAdapters.ConfigurationOf(from) is { } adapter && !LoraAdapters.Has(to))
            LoraAdapters.Attach(to, adapter, LoraAdapters.Adaptable(from).Where(named => named.Part.Adapter is not null).Select(named => named.Name).ToHashSet(StringComparer.Ordinal));
        var source = Named(from).Select(named => (Name: nameInTarget is null ? named.Key : nameInTarget(named.Key), named.Value)).Where(named => named.Name is not null)
            .ToDictionary(named => named.Name!, named => named.Value, StringComparer.Ordinal);
        foreach (var (name, parameter) in Named(to))
        {
            if (!source.TryGetValue(name, out var value)) continue;
            if (value.requires_grad) parameter.copy_(value);
            else Share(value, parameter);
        }
    }

    /// <summary>Lets a module without an adapter use the frozen parameters of another, if they are all that it needs.</summary>
    /// <param name="from">A module with an adapter.</param>
    /// <param name="to">The other.</param>
    /// <param name="comesLater">Parameters that <paramref name="to"/> gets elsewhere.</param>
    /// <returns>Whether it did; otherwise nothing has changed.</returns>
    public static bool TryShare(nn.Module from, nn.Module to, Func<string, bool> comesLater)
    {
        using var gradients = no_grad();
        // What an adapter's file has in place of the base's own is not the base's.
        var adapter = LoraAdapters.ConfigurationOf(from);
        var source = Named(from).Where(named => !named.Value.requires_grad && adapter?.Replaced.Contains(named.Key) != true).ToDictionary(StringComparer.Ordinal);
        var wanted = Named(to).Where(named => !comesLater(named.Key)).ToArray();
        if (!wanted.All(named => source.TryGetValue(named.Key, out var value) && value.shape.SequenceEqual(named.Value.shape) && Holds(value, named.Value))) return false;
        foreach (var (name, parameter) in wanted) Share(source[name], parameter);
        return true;

        // Digits that were rounded away are in the file only.
        static bool Holds(Tensor value, Tensor parameter) => value.dtype == ScalarType.Float32 || value.dtype == parameter.dtype;
    }

    /// <summary>Lets a parameter use another's memory where the types are the same; it is frozen.</summary>
    public static void Share(Tensor value, Tensor parameter)
    {
        parameter.requires_grad = false;
        if (parameter.dtype == value.dtype && parameter.device.ToString() == value.device.ToString()) parameter.set_(value);
        else parameter.copy_(value);
    }

    /// <summary>A module's weights as a whole model's, to be stored: where a map has an adapter, what it adds is part of the weight.</summary>
    public static IEnumerable<TensorToStore> ToStore(nn.Module module, ScalarType type)
    {
        var adapted = LoraAdapters.Adaptable(module).Where(named => named.Part.Adapter is not null).ToDictionary(named => named.Name, named => named.Part, StringComparer.Ordinal);
        foreach (var (name, parameter) in Named(module))
        {
            var (map, part) = name.LastIndexOf('.') is var dot && dot >= 0 ? (name[..dot], name[dot..]) : ("", name);
            if (LoraNames.IsFactor(name)) continue;
            yield return part == ".weight" && adapted.TryGetValue(map, out var adaptable)
                ? new TensorToStore(name, type, parameter.shape, () => Merge(adaptable))
                : TensorToStore.Of(name, parameter, type);
        }

        static Tensor Merge(Blocks.IAdaptable adaptable)
        {
            using var gradients = no_grad();
            return adaptable.MergedWeight();
        }
    }

    /// <summary>Parameters by name, each once.</summary>
    public static IEnumerable<KeyValuePair<string, Tensor>> Named(nn.Module module) =>
        module.named_parameters().Select(pair => new KeyValuePair<string, Tensor>(pair.name, pair.parameter));
}
