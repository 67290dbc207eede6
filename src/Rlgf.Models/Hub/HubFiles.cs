using System.IO.Enumeration;
using Rlgf.Base;

namespace Rlgf.Models.Hub;

/// <summary>Which files of a repository to fetch.</summary>
internal static class HubFiles
{
    private static readonly string[] Beside = ["*.json", "*.txt", "*.model", "*.jinja"];
    private static readonly string[] Weights = ["*.safetensors", "pytorch_model*.bin"];

    /// <summary>Chooses files.</summary>
    /// <param name="names">All files.</param>
    /// <param name="patterns">What is asked for, with * and ?; empty for what a model needs: configuration, tokenizer, and weights as safetensors or, where there are none, in PyTorch's format.</param>
    /// <param name="model">For messages.</param>
    /// <exception cref="InputException">Nothing fits a pattern, or there are no weights of a known kind.</exception>
    public static IReadOnlyList<string> Choose(IReadOnlyList<string> names, IReadOnlyList<string> patterns, string model)
    {
        if (patterns.Count > 0)
        {
            if (patterns.FirstOrDefault(pattern => !names.Any(name => Fits(name, pattern))) is { } unused) throw new InputException($"{model}: no file fits '{unused}'; there are {List(names)}.");
            return [.. names.Where(name => patterns.Any(pattern => Fits(name, pattern)))];
        }

        // Files in folders are copies for other programs.
        string[] top = [.. names.Where(name => !name.Contains('/', StringComparison.Ordinal))];
        var weights = Weights.Select(pattern => top.Where(name => Fits(name, pattern)).ToArray()).FirstOrDefault(found => found.Length > 0);
        if (weights is null)
        {
            var gguf = top.Where(name => Fits(name, "*.gguf")).ToArray();
            throw new InputException(gguf.Length == 0
                ? $"{model}: there are no weights as safetensors or in PyTorch's format; there are {List(names)}."
                : $"{model}: the weights are GGUF files; choose one by --include and convert it (rlgf convert): {List(gguf)}.");
        }

        // An index belongs to weights of its own format.
        var otherIndex = weights[0].EndsWith(".bin", StringComparison.Ordinal) ? "*.safetensors.index.json" : "*.bin.index.json";
        return [.. top.Where(name => Beside.Any(pattern => Fits(name, pattern)) && !Fits(name, otherIndex)), .. weights];
    }

    /// <summary>Makes sure that a name from a server stays in the folder that it is put into.</summary>
    public static string RequireInside(string name, string model) =>
        name.Split('/').All(part => part.Length > 0 && part != "." && part != ".." && part.IndexOfAny(Path.GetInvalidFileNameChars()) < 0 && !part.Contains('\\', StringComparison.Ordinal) && !part.Contains(':', StringComparison.Ordinal))
            ? name
            : throw new InputException($"{model}: the server lists a file '{name}', which leaves its folder.");

    private static bool Fits(string name, string pattern) => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false);

    private static string List(IReadOnlyList<string> names) => NameList.Of(names, most: 20);
}
