using System.Text.RegularExpressions;

namespace Rlgf.Models.Blocks;

/// <summary>Names of an adapter's tensors: in a module as PEFT has them without its wrappers, in a file with them.</summary>
internal static partial class LoraNames
{
    /// <summary>A of a table of vectors, which is no module of its own.</summary>
    public const string EmbeddingDown = "lora_embedding_A";

    /// <summary>B of a table of vectors.</summary>
    public const string EmbeddingUp = "lora_embedding_B";

    private const string Prefix = "base_model.model.";
    private const string DownEnding = ".lora_A.weight";
    private const string BaseLayer = ".base_layer.";

    /// <summary>Whether a parameter is A or B.</summary>
    public static bool IsFactor(string nameInModule) => Factor().IsMatch(nameInModule);

    /// <summary>The map or table that A belongs to; null for another parameter.</summary>
    public static string? AdaptedBy(string nameInModule) =>
        nameInModule.EndsWith(DownEnding, StringComparison.Ordinal) ? nameInModule[..^DownEnding.Length]
        : nameInModule.EndsWith($".{EmbeddingDown}", StringComparison.Ordinal) ? nameInModule[..^(EmbeddingDown.Length + 1)] : null;

    /// <summary>A module's name for a stored tensor; null for one that PEFT keeps aside and doesn't use.</summary>
    /// <remarks>
    /// Beside the names that PEFT saves, those of a whole state are read: with the adapter's name (<c>lora_A.default.weight</c>), and with the levels at which PEFT keeps the base's part and the one that is trained in its place.
    /// </remarks>
    public static string? InModule(string nameInFile)
    {
        var name = nameInFile.StartsWith(Prefix, StringComparison.Ordinal) ? nameInFile[Prefix.Length..] : nameInFile;
        if (name.Contains(".original_module.", StringComparison.Ordinal)) return null;
        name = FactorWithAdapter().Replace(name, ".$1$2$3");
        return SavedWhole().Replace(name, ".").Replace(BaseLayer, ".", StringComparison.Ordinal);
    }

    /// <summary>The name under which PEFT looks for a parameter.</summary>
    /// <param name="nameInModule">The parameter.</param>
    /// <param name="isBaseOfAdapter">Whether it is the weight of a map or table that has an adapter.</param>
    public static string InFile(string nameInModule, bool isBaseOfAdapter) =>
        Prefix + (isBaseOfAdapter && nameInModule.LastIndexOf('.') is var dot and > 0 ? $"{nameInModule[..dot]}{BaseLayer}{nameInModule[(dot + 1)..]}" : nameInModule);

    [GeneratedRegex(@"\.(lora_[AB]\.weight|lora_embedding_[AB])$", RegexOptions.CultureInvariant)]
    private static partial Regex Factor();

    [GeneratedRegex(@"\.(?:(lora_[AB])\.[^.]+(\.weight)|(?:(lora_embedding_[AB])\.[^.]+))$", RegexOptions.CultureInvariant)]
    private static partial Regex FactorWithAdapter();

    [GeneratedRegex(@"\.modules_to_save\.(?:default\.)?", RegexOptions.CultureInvariant)]
    private static partial Regex SavedWhole();
}
