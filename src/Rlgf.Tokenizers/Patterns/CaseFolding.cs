using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>Full case folding (Unicode's C and F), from <c>case-folding.txt</c>, both ways.</summary>
internal static class CaseFolding
{
    private static readonly Dictionary<int, int[]> Folds = Read();

    // By the folded text, since one that is folded to two or three characters is looked up by these.
    private static readonly Dictionary<string, List<int>> Unfolds = Folds.GroupBy(fold => KeyOf(fold.Value)).ToDictionary(group => group.Key, group => group.Select(fold => fold.Key).ToList());

    /// <summary>Every folded text with what is folded to it, those of one character first, then by length.</summary>
    public static IReadOnlyList<(int[] Folded, IReadOnlyList<int> Unfolded)> Groups { get; } =
        [.. Unfolds.Values.Select(unfolded => (Folds[unfolded[0]], (IReadOnlyList<int>)unfolded)).OrderBy(group => group.Item1.Length)];

    /// <summary>What a character is folded to: one to three characters, itself where it has no folding.</summary>
    public static int[] FoldOf(int code) => Folds.TryGetValue(code, out var folded) ? folded : [code];

    /// <summary>The characters that are folded to a text of one to three characters.</summary>
    public static IReadOnlyList<int> UnfoldsOf(params ReadOnlySpan<int> folded) => Unfolds.TryGetValue(KeyOf(folded), out var unfolds) ? unfolds : [];

    /// <summary>A folded character with all that are folded to it.</summary>
    public static CodePointSet Variants(int folded) => CodePointSet.Of([folded, .. UnfoldsOf(folded)]);

    private static string KeyOf(ReadOnlySpan<int> codes)
    {
        var key = new StringBuilder();
        foreach (var code in codes)
            key.Append(char.ConvertFromUtf32(code));
        return key.ToString();
    }

    private static Dictionary<int, int[]> Read()
    {
        var folds = new Dictionary<int, int[]>();
        using var reader = new StreamReader(typeof(CaseFolding).Assembly.GetManifestResourceStream("case-folding.txt")!);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var codes = line.Split(' ').Select(field => int.Parse(field, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToArray();
            folds.Add(codes[0], codes[1..]);
        }
        return folds;
    }
}
