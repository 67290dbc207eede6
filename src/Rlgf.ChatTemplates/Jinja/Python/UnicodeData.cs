using System.Globalization;
using System.IO.Compression;
using System.Text.RegularExpressions;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What Python knows of Unicode and .NET doesn't, from the tables that <c>Data/make_unicode.py</c> writes.</summary>
internal static partial class UnicodeData
{
    private static readonly string[] IdeographPrefixes = ["CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "KHITAN SMALL SCRIPT CHARACTER-", "NUSHU CHARACTER-"];
    private static readonly string[] Leads = ["G", "GG", "N", "D", "DD", "R", "M", "B", "BB", "S", "SS", "", "J", "JJ", "C", "K", "T", "P", "H"];
    private static readonly string[] Vowels = ["A", "AE", "YA", "YAE", "EO", "E", "YEO", "YE", "O", "WA", "WAE", "OE", "YO", "U", "WEO", "WE", "WI", "YU", "EU", "YI", "I"];
    private static readonly string[] Tails =
        ["", "G", "GG", "GS", "N", "NJ", "NH", "D", "L", "LG", "LM", "LB", "LS", "LT", "LP", "LH", "M", "B", "BS", "S", "SS", "NG", "J", "C", "K", "T", "P", "H"];

    /// <summary>The lines of a table.</summary>
    public static IEnumerable<string> Lines(string table)
    {
        using var stream = typeof(UnicodeData).Assembly.GetManifestResourceStream(table)!;
        using var reader = new StreamReader(table.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(stream, CompressionMode.Decompress) : stream);
        while (reader.ReadLine() is { } line)
            yield return line;
    }

    /// <summary>The character of a name, Python's <c>\N{…}</c>; null where none has it.</summary>
    public static int? Named(string name)
    {
        name = name.ToUpperInvariant();
        foreach (var prefix in IdeographPrefixes)
        {
            if (name.StartsWith(prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(prefix.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) &&
                CharUnicodeInfo.GetUnicodeCategory(Math.Clamp(code, 0, 0x10FFFF)) == UnicodeCategory.OtherLetter)
                return code;
        }
        if (HangulSyllable().Match(name) is { Success: true } match)
        {
            var (lead, vowel, tail) = (Array.IndexOf(Leads, match.Groups[1].Value), Array.IndexOf(Vowels, match.Groups[2].Value), Array.IndexOf(Tails, match.Groups[3].Value));
            return lead < 0 || vowel < 0 || tail < 0 ? null : 0xAC00 + (lead * Vowels.Length + vowel) * Tails.Length + tail;
        }
        foreach (var line in Lines("unicode-names.gz"))
        {
            var space = line.IndexOf(' ', StringComparison.Ordinal);
            if (line.AsSpan(space + 1).SequenceEqual(name))
                return int.Parse(line.AsSpan(0, space), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        }
        return null;
    }

    [GeneratedRegex("^HANGUL SYLLABLE ([^AEIOUWY]*)([AEIOUWY]+)([^AEIOUWY]*)$")]
    private static partial Regex HangulSyllable();
}
