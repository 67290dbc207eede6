using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families.Decoders;

/// <summary>What a configuration says of each layer.</summary>
internal static class LayerTypes
{
    /// <summary>A layer whose tokens see all before them.</summary>
    public const string Full = "full_attention";

    /// <summary>One whose tokens see those of a window.</summary>
    public const string Sliding = "sliding_attention";

    private const string Key = "layer_types";

    /// <summary>The type of each layer.</summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="known">Types that the family has here.</param>
    /// <param name="formatType">A layer's type where the list isn't there, by its number from 0.</param>
    /// <exception cref="Rlgf.Base.InputException">The list has another length than there are layers, or names another type.</exception>
    public static IReadOnlyList<string> Read(ModelConfiguration configuration, IReadOnlyList<string> known, Func<int, string> formatType)
    {
        var layers = configuration.Size("num_hidden_layers");
        var types = configuration.Texts(Key);
        if (types.Count == 0) return [.. Enumerable.Range(0, layers).Select(formatType)];
        if (types.Count != layers) throw configuration.Fault(Key, $"names {types.Count} layers, and num_hidden_layers is {layers}");
        return types.FirstOrDefault(type => !known.Contains(type, StringComparer.Ordinal)) is { } other
            ? throw configuration.Fault(Key, $"names '{other}': {(known.Count == 1 ? "only" : "supported are")} {string.Join(" and ", known)}{(known.Count == 1 ? " is supported" : "")}")
            : types;
    }
}
