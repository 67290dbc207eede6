using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>Unicode's canonical decompositions and combining classes, from <c>canonical-composition.txt</c>, and the formula for Hangul (Unicode Standard, 3.12).</summary>
internal static class CanonicalComposition
{
    private const int HangulBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28;

    private static readonly Dictionary<int, int> Classes = [];
    private static readonly Dictionary<int, int[]> Parts = [];
    private static readonly Dictionary<(int, int), int> Composed = [];

    static CanonicalComposition()
    {
        using var stream = typeof(CanonicalComposition).Assembly.GetManifestResourceStream("canonical-composition.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var fields = line.Split(' ');
            var codes = fields.Skip(1).Select(field => int.Parse(field, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray();
            if (fields[0] == "class")
            {
                Classes.Add(codes[0], codes[1]);
                continue;
            }
            Parts.Add(codes[0], codes[1..]);
            if (fields[0] == "pair")
                Composed.Add((codes[1], codes[2]), codes[0]);
        }
    }

    /// <summary>The canonical combining class; 0 for a starter.</summary>
    public static int ClassOf(Rune rune) => rune.Value < 0x300 ? 0 : Classes.GetValueOrDefault(rune.Value);

    /// <summary>Appends the full canonical decomposition of a character, itself where it has none.</summary>
    public static void Decompose(Rune rune, List<Rune> into)
    {
        var syllable = rune.Value - HangulBase;
        if (syllable is >= 0 and < LeadCount * VowelCount * TailCount)
        {
            into.Add(new Rune(LeadBase + syllable / (VowelCount * TailCount)));
            into.Add(new Rune(VowelBase + syllable / TailCount % VowelCount));
            if (syllable % TailCount != 0)
                into.Add(new Rune(TailBase + syllable % TailCount));
        }
        else if (Parts.TryGetValue(rune.Value, out var parts))
        {
            foreach (var part in parts)
                Decompose(new Rune(part), into);
        }
        else
        {
            into.Add(rune);
        }
    }

    /// <summary>The character that two make together, or null.</summary>
    public static Rune? TryCompose(Rune first, Rune second)
    {
        var lead = first.Value - LeadBase;
        var vowel = second.Value - VowelBase;
        if (lead is >= 0 and < LeadCount && vowel is >= 0 and < VowelCount)
            return new Rune(HangulBase + (lead * VowelCount + vowel) * TailCount);

        var syllable = first.Value - HangulBase;
        var tail = second.Value - TailBase;
        if (syllable is >= 0 and < LeadCount * VowelCount * TailCount && syllable % TailCount == 0 && tail is > 0 and < TailCount)
            return new Rune(first.Value + tail);

        return Composed.TryGetValue((first.Value, second.Value), out var composed) ? new Rune(composed) : null;
    }
}
