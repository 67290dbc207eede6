using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>Unicode's compatibility decompositions, from <c>compatibility-decomposition.txt</c>, with the canonical ones.</summary>
internal static class CompatibilityDecomposition
{
    private static readonly Dictionary<int, int[]> Parts = [];

    static CompatibilityDecomposition()
    {
        using var stream = typeof(CompatibilityDecomposition).Assembly.GetManifestResourceStream("compatibility-decomposition.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var codes = line.Split(' ').Select(field => int.Parse(field, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray();
            Parts.Add(codes[0], codes[1..]);
        }
    }

    /// <summary>Appends the full decomposition of a character, itself where it has none.</summary>
    public static void Decompose(Rune rune, List<Rune> into)
    {
        if (Parts.TryGetValue(rune.Value, out var parts))
        {
            foreach (var part in parts)
                Decompose(new Rune(part), into);
            return;
        }
        var first = into.Count;
        CanonicalComposition.Decompose(rune, into);
        if (into.Count == first + 1 && into[first] == rune)
            return;
        // A canonical part may be a variant of another character.
        var canonical = into[first..];
        into.RemoveRange(first, canonical.Count);
        foreach (var part in canonical)
            Decompose(part, into);
    }
}
