using System.Buffers;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>
/// One UTF-16 unit, a symbol, in the place of each code point. Code points that an expression does not tell apart have the same symbol, so that .NET's regular
/// expressions, which read units, match whole characters of any plane, and sets of characters are what the expression means, not what .NET takes them for.
/// </summary>
internal sealed class Alphabet
{
    private const int PageSize = 256;
    private const int MostSymbols = 0xD800;
    private const int MostSets = 2_000;
    private const int MostBounds = 200_000;

    private readonly char[][] _pages;
    private readonly List<int> _examples;

    private Alphabet(char[][] pages, List<int> examples) => (_pages, _examples) = (pages, examples);

    /// <summary>An alphabet that tells apart what is in these sets and what is not.</summary>
    public static Alphabet Of(IReadOnlyCollection<CodePointSet> sets)
    {
        var changes = new List<(int At, int Set)>();
        foreach (var (set, index) in sets.Select((set, index) => (set, index)))
        {
            foreach (var bound in set.Bounds)
                changes.Add((bound, index));
        }
        if (sets.Count > MostSets || changes.Count > MostBounds)
            throw new PatternException($"more than {MostSets} sets of characters, or with more than {MostBounds / 2} ranges together", 0);
        changes.Sort();
        var (symbols, examples, pages) = (new Dictionary<string, char>(), new List<int>(), new char[CodePointSet.End / PageSize][]);
        var isIn = new byte[(sets.Count + 7) / 8];
        for (var (at, next) = (0, 0); at < CodePointSet.End;)
        {
            for (; next < changes.Count && changes[next].At == at; next++)
                isIn[changes[next].Set / 8] ^= (byte)(1 << (changes[next].Set % 8));
            var end = next < changes.Count ? changes[next].At : CodePointSet.End;
            var key = Convert.ToHexString(isIn);
            if (!symbols.TryGetValue(key, out var symbol))
            {
                symbols.Add(key, symbol = Symbol(examples.Count));
                examples.Add(at);
            }
            Fill(pages, at, end, symbol);
            at = end;
        }
        return new Alphabet(pages, examples);
    }

    /// <summary>The alphabet in which each character of a text is a symbol of its own, as references to what was matched need it.</summary>
    public static Alphabet OfText(string text)
    {
        var pages = new char[CodePointSet.End / PageSize][];
        List<int> examples = [.. text.EnumerateRunes().Select(rune => rune.Value).Distinct().Order()];
        for (var i = 0; i < examples.Count; i++)
            Fill(pages, examples[i], examples[i] + 1, Symbol(i));
        return new Alphabet(pages, examples);
    }

    /// <summary>A set as a regular expression that matches one symbol.</summary>
    public string Class(CodePointSet set)
    {
        var text = new StringBuilder("[");
        for (var symbol = 0; symbol < _examples.Count; symbol++)
        {
            var first = symbol;
            while (symbol < _examples.Count && set.Contains(_examples[symbol]))
                symbol++;
            if (symbol > first)
                text.Append(symbol - first == 1 ? $"\\u{first:X4}" : $"\\u{first:X4}-\\u{symbol - 1:X4}");
        }
        return text.Length == 1 ? "(?!)" : text.Append(']').ToString();
    }

    /// <summary>A text in symbols, and where each begins in it; null where they are as many as its units. Half of a surrogate pair is U+FFFD, as in UTF-8.</summary>
    public (string Symbols, int[]? Starts) Translate(string text)
    {
        if (text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
        {
            var pages = _pages;
            return (string.Create(text.Length, text, (symbols, units) =>
            {
                for (var i = 0; i < symbols.Length; i++)
                    symbols[i] = pages[units[i] / PageSize][units[i] % PageSize];
            }), null);
        }
        var (buffer, starts, at) = (new StringBuilder(text.Length), new List<int>(text.Length + 1), 0);
        while (at < text.Length)
        {
            starts.Add(at);
            Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out var length);
            buffer.Append(_pages[rune.Value / PageSize][rune.Value % PageSize]);
            at += length;
        }
        starts.Add(text.Length);
        return (buffer.ToString(), [.. starts]);
    }

    private static char Symbol(int index) =>
        index < MostSymbols ? (char)index : throw new InputException($"a regular expression of the tokenizer would have to tell more than {MostSymbols} characters apart.");

    /// <summary>Whole pages of one symbol are one page.</summary>
    private static void Fill(char[][] pages, int from, int to, char symbol)
    {
        char[]? whole = null;
        while (from < to)
        {
            var (page, end) = (from / PageSize, Math.Min(to, (from / PageSize + 1) * PageSize));
            if (end - from == PageSize)
                pages[page] = whole ??= [.. Enumerable.Repeat(symbol, PageSize)];
            else
                (pages[page] ??= new char[PageSize]).AsSpan(from % PageSize, end - from).Fill(symbol);
            from = end;
        }
    }
}
