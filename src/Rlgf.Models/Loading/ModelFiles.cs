using Rlgf.Base;
using Rlgf.Tokenizers;

namespace Rlgf.Models.Loading;

/// <summary>Which files of a folder make up a model or a tokenizer; what else lies there changes nothing that is loaded.</summary>
public static class ModelFiles
{
    private static readonly string[] Weights = [".safetensors", ".gguf"];

    private static readonly string[] Settings = ["config.json", "generation_config.json", "adapter_config.json"];

    /// <summary>Whether a folder holds a model: weights, or an adapter.</summary>
    public static bool HoldsModel(string folder) => Directory.Exists(folder) && (AdapterFolder.Is(folder) || Directory.EnumerateFiles(folder).Any(IsWeights));

    /// <summary>Whether a folder holds a model, or a tokenizer.</summary>
    public static bool HoldsModelOrTokenizer(string folder) => HoldsModel(folder) || TokenizerFolder.Exists(folder);

    /// <summary>The files of a folder that make up its model and tokenizer, and those of its base where it is an adapter's; in the order of their names.</summary>
    /// <exception cref="InputException">The base of an adapter is not to be found.</exception>
    public static IReadOnlyList<string> Of(string folder)
    {
        var own = Directory.EnumerateFiles(folder).Where(path => IsWeights(path) || Settings.Contains(Path.GetFileName(path)) || TokenizerFolder.IsFile(path) || path.EndsWith(".index.json", StringComparison.Ordinal));
        return [.. own.Order(StringComparer.Ordinal), .. AdapterFolder.Is(folder) && AdapterFolder.BaseOf(folder) is var trained && !RealPath.AreSame(trained, folder) ? Of(trained) : []];
    }

    private static bool IsWeights(string path) => Weights.Contains(Path.GetExtension(path)) || Path.GetFileName(path) is var name && name.EndsWith(".bin", StringComparison.Ordinal)
        && (name.StartsWith("pytorch_model", StringComparison.Ordinal) || name.StartsWith("adapter_model", StringComparison.Ordinal));
}
