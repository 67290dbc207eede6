using Rlgf.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>Moves weights between modules and checkpoints.</summary>
internal static class ModuleWeights
{
    /// <summary>Fills a module's parameters from a checkpoint; every one must be there in the right shape, and nothing else.</summary>
    /// <param name="module">Parameters under the names of the checkpoint format.</param>
    /// <param name="checkpoint">The weights.</param>
    /// <param name="nameInModule">Maps a stored name to the module's name for it; null for what the family may ignore (buffers, tied copies).</param>
    /// <param name="mayBeMissing">Whether a parameter by the module's name for it may stay as it is where the checkpoint has none; null for none.</param>
    /// <exception cref="InputException">Lists all names that are missing or unexpected and all wrong shapes.</exception>
    public static void Load(nn.Module module, Checkpoint checkpoint, Func<string, string?> nameInModule, Func<string, bool>? mayBeMissing = null)
    {
        var stored = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in checkpoint.Names)
        {
            if (nameInModule(name) is { } target && !stored.TryAdd(target, name))
                throw new InputException($"{checkpoint.Folder}: '{name}' and '{stored[target]}' are both '{target}'; keep one of them.");
        }

        var faults = new List<string>();
        var copies = new List<(string Source, Tensor Parameter)>();
        foreach (var (name, parameter) in Named(module))
        {
            if (!stored.Remove(name, out var source))
            {
                if (mayBeMissing?.Invoke(name) != true) faults.Add($"'{name}' is missing");
            }
            else if (!checkpoint.Entry(source).Shape.SequenceEqual(parameter.shape))
                faults.Add($"'{name}' has the shape {Shapes.Format(checkpoint.Entry(source).Shape)} where config.json asks for {Shapes.Format(parameter.shape)}");
            else copies.Add((source, parameter));
        }

        faults.AddRange(stored.Values.Order(StringComparer.Ordinal).Select(name => $"'{name}' is unexpected"));
        if (faults.Count > 0) throw new InputException($"{checkpoint.Folder}: the weights don't fit config.json: {string.Join("; ", faults)}.");
        foreach (var (source, parameter) in copies) checkpoint.CopyTo(source, parameter);
    }

    /// <summary>Copies the parameters of one module into those of the same name of another; those that only one of them has stay.</summary>
    public static void Copy(nn.Module from, nn.Module to)
    {
        using var gradients = no_grad();
        var source = Named(from).ToDictionary(StringComparer.Ordinal);
        foreach (var (name, parameter) in Named(to))
        {
            if (source.TryGetValue(name, out var value)) parameter.copy_(value);
        }
    }

    /// <summary>Parameters by name, each once.</summary>
    public static IEnumerable<KeyValuePair<string, Tensor>> Named(nn.Module module) =>
        module.named_parameters().Select(pair => new KeyValuePair<string, Tensor>(pair.name, pair.parameter));
}
