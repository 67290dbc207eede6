using System.Collections.Concurrent;
using System.Globalization;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>
/// Sets of characters by name, as Oniguruma 6.9.10 knows them: general categories, scripts, binary properties and blocks of Unicode 16 (from
/// <c>unicode-properties.txt</c>, since .NET has neither scripts nor derived properties) and the names of POSIX brackets.
/// </summary>
internal static class UnicodeProperties
{
    /// <summary>The names that stand in POSIX brackets.</summary>
    public static readonly IReadOnlySet<string> PosixBrackets =
        new HashSet<string> { "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit", "ascii", "word" };

    private static readonly ConcurrentDictionary<string, CodePointSet?> Sets = [];
    private static readonly Dictionary<string, string> Ranges = ReadRanges();

    /// <summary>
    /// <c>\w</c> outside a character class. Of the first 256 characters it takes the superscript digits and the fractions too, which <c>[\w]</c> does not:
    /// there Oniguruma asks a table of Latin 1.
    /// </summary>
    public static CodePointSet WordOutsideClass { get; } = Posix("word").Union(CodePointSet.Of(0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE));

    /// <summary>The set behind the name of a POSIX bracket.</summary>
    public static CodePointSet Posix(string name) => name == "punct" ? Required("posixpunct") : Required(name);

    /// <summary>The set behind a property's name; case, spaces, hyphens and underscores do not count. Null where there is none.</summary>
    public static CodePointSet? Find(string name) => Sets.GetOrAdd(Normalise(name), Make);

    /// <summary>A property's name as it is looked up.</summary>
    public static string Normalise(string name) => string.Concat(name.Where(character => character is not (' ' or '-' or '_'))).ToLowerInvariant();

    /// <summary>A value of Grapheme_Cluster_Break.</summary>
    public static CodePointSet GraphemeBreak(string value) => Required("gcb=" + value);

    private static CodePointSet Required(string name) => Find(name) ?? throw new InvalidOperationException($"There is no property \"{name}\".");

    private static CodePointSet? Make(string name) => name switch
    {
        "any" => CodePointSet.All,
        "assigned" => Required("cn").Complement(),
        "l" or "letter" => UnionOf("lu", "ll", "lt", "lm", "lo"),
        "lc" or "casedletter" => UnionOf("lu", "ll", "lt"),
        "m" or "mark" or "combiningmark" => UnionOf("mn", "mc", "me"),
        "n" or "number" => UnionOf("nd", "nl", "no"),
        "p" or "punctuation" or "punct" => UnionOf("pc", "pd", "ps", "pe", "pi", "pf", "po"),
        "s" or "symbol" => UnionOf("sm", "sc", "sk", "so"),
        "z" or "separator" => UnionOf("zs", "zl", "zp"),
        "c" or "other" => UnionOf("cc", "cf", "cn", "co", "cs"),
        "alnum" => UnionOf("alphabetic", "nd"),
        "alpha" => Required("alphabetic"),
        "ascii" => CodePointSet.Ascii,
        "blank" => Required("zs").Union(CodePointSet.Of('\t')),
        "digit" => Required("nd"),
        "graph" => UnionOf("whitespace", "cc", "cn", "cs").Complement(),
        "lower" => Required("lowercase"),
        "newline" => CodePointSet.Of('\n'),
        "posixpunct" => UnionOf("p", "s"),
        "print" => UnionOf("graph", "zs"),
        "space" => Required("whitespace"),
        "upper" => Required("uppercase"),
        "word" => UnionOf("alphabetic", "m", "nd", "pc"),
        "xdigit" => Required("asciihexdigit"),
        _ => Ranges.TryGetValue(name, out var ranges) ? Parse(ranges) : null,
    };

    private static CodePointSet UnionOf(params IEnumerable<string> names) => names.Select(Required).Aggregate((a, b) => a.Union(b));

    private static CodePointSet Parse(string ranges)
    {
        var bounds = new List<int>();
        var last = 0;
        foreach (var number in ranges.Split(' '))
            bounds.Add(last += int.Parse(number, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
        return CodePointSet.OfBounds(bounds);
    }

    private static Dictionary<string, string> ReadRanges()
    {
        var ranges = new Dictionary<string, string>();
        using var reader = new StreamReader(typeof(UnicodeProperties).Assembly.GetManifestResourceStream("unicode-properties.txt")!);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var bar = line.IndexOf('|', StringComparison.Ordinal);
            foreach (var name in line[..bar].Split(' '))
                ranges.Add(name, line[(bar + 1)..]);
        }
        return ranges;
    }
}
