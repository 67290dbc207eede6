using System.Buffers;
using System.Globalization;
using System.Text;

namespace Rlgf.Recipes;

/// <summary>What a text in a recipe is for, which decides what it can't be.</summary>
internal enum TextUse
{
    /// <summary>Anything.</summary>
    Any,

    /// <summary>A name for logs, reports and folders.</summary>
    Name,

    /// <summary>A file or folder to read.</summary>
    ReadPath,

    /// <summary>A folder to write to.</summary>
    WrittenPath,
}

/// <summary>Names and paths that would do harm, or that some file system or terminal would change.</summary>
internal static class RecipeNames
{
    /// <summary>File systems take 255 bytes, and what is written has an ending of its own.</summary>
    private const int MostBytesOfName = 200;

    private const int MostBytesOfPath = 4000;

    /// <summary>What Windows doesn't take in a name, the path separators of all systems among it.</summary>
    private const string NotInNames = "/\\:*?\"<>|";

    private static readonly SearchValues<char> ForbiddenInNames = SearchValues.Create(NotInNames);

    private static readonly string[] Devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

    /// <summary>What is wrong with a text, to go on after its key; null if nothing is.</summary>
    public static string? Problem(string text, TextUse use) => use switch
    {
        TextUse.Any => null,
        _ when string.IsNullOrWhiteSpace(text) => "is empty",
        _ when text.EnumerateRunes().FirstOrDefault(rune => use == TextUse.Name ? IsUnseen(rune) : Misleads(rune)) is { Value: not 0 } unseen => $"holds the invisible character U+{unseen.Value:X4}",
        _ when text.Contains('\0', StringComparison.Ordinal) => "holds the invisible character U+0000",
        TextUse.Name => ProblemOfName(text),
        _ => Encoding.UTF8.GetByteCount(text) > MostBytesOfPath ? $"is longer than {MostBytesOfPath} bytes" : null,
    };

    private static string? ProblemOfName(string name)
    {
        if (Encoding.UTF8.GetByteCount(name) > MostBytesOfName) return $"is longer than {MostBytesOfName} bytes";
        if (name.AsSpan().IndexOfAny(ForbiddenInNames) is var at and >= 0) return $"is '{RecipeText.Shown(name)}'; a name can't hold '{name[at]}' (nor any of {NotInNames}), since files are called after it";
        if (name.Contains("..", StringComparison.Ordinal) || name is ['.', ..] or [.., '.'] || name.Trim() != name)
            return $"is '{RecipeText.Shown(name)}'; a name can't hold '..', nor begin or end with a dot or a blank";
        return IsDevice(name) ? $"is '{name}', which is a device on Windows" : null;
    }

    /// <summary>Windows takes a device's name with any ending for the device: nul.yaml is NUL.</summary>
    private static bool IsDevice(string name)
    {
        var stem = name.Split('.')[0].TrimEnd().ToUpperInvariant();
        return Devices.Contains(stem) || (stem.Length == 4 && (stem.StartsWith("COM", StringComparison.Ordinal) || stem.StartsWith("LPT", StringComparison.Ordinal)) && stem[3] is (>= '0' and <= '9') or '¹' or '²' or '³');
    }

    /// <summary>Control and format characters, separators of lines, and halves of surrogate pairs, which become U+FFFD here.</summary>
    private static bool IsUnseen(Rune rune) => Misleads(rune) || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Format || rune == Rune.ReplacementChar;

    /// <summary>Control characters and those that turn a line's direction. Others that are not seen, such as joiners, belong to some languages' names of folders.</summary>
    private static bool Misleads(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        || rune.Value is (>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069);
}
