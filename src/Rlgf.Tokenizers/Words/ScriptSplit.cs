using System.Globalization;
using System.Text;
using Rlgf.Tokenizers.Normalization;

namespace Rlgf.Tokenizers.Words;

/// <summary>
/// Cuts text where one script ends and another begins. Hiragana and Katakana count as Han; a space, or a character that has no script, belongs to what is before it.
/// </summary>
/// <remarks>
/// As sentencepiece and the tokenizers library have it, with the scripts of Unicode 9.0 (from <c>unicode-scripts.txt</c>): a character of a later version has none.
/// What stands before the first character with a script is left out.
/// </remarks>
internal sealed class ScriptSplit : IPreTokenizer
{
    private const string None = "";

    /// <summary>The long vowel mark, which the data have as common to two scripts.</summary>
    private const int LongVowel = 0x30FC;

    /// <summary>The first characters of ranges, in order.</summary>
    private static readonly int[] Firsts;
    private static readonly (int Last, string Script)[] Ranges;

    static ScriptSplit()
    {
        var rows = new List<(int First, int Last, string Script)>();
        using var reader = new StreamReader(typeof(ScriptSplit).Assembly.GetManifestResourceStream("unicode-scripts.txt")!);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var fields = line.Split(' ');
            rows.Add((Number(fields[0]), Number(fields[1]), fields[2] is "Hiragana" or "Katakana" ? "Han" : fields[2]));
        }
        Firsts = [.. rows.Select(row => row.First)];
        Ranges = [.. rows.Select(row => (row.Last, row.Script))];

        static int Number(string field) => int.Parse(field, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    public void Split(Word text, List<Word> into)
    {
        var (start, at, last) = (-1, 0, None);
        foreach (var rune in text.Span.EnumerateRunes())
        {
            var script = ScriptOf(rune);
            if (script != None && script != last)
            {
                if (start >= 0)
                    into.Add(text.Part(start, at));
                (start, last) = (at, script);
            }
            at += rune.Utf16SequenceLength;
        }
        if (start >= 0)
            into.Add(text.Part(start, at));
    }

    private static string ScriptOf(Rune rune)
    {
        if (rune.Value is ' ' or LongVowel)
            return rune.Value == ' ' ? None : "Han";
        var found = Array.BinarySearch(Firsts, rune.Value);
        var range = found >= 0 ? found : ~found - 1;
        return range >= 0 && rune.Value <= Ranges[range].Last ? Ranges[range].Script : None;
    }
}
