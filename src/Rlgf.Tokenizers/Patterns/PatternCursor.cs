using System.Text;

namespace Rlgf.Tokenizers.Patterns;

/// <summary>A regular expression while it is read, code point by code point.</summary>
internal sealed class PatternCursor(string pattern)
{
    private readonly int[] _codes = [.. pattern.EnumerateRunes().Select(rune => rune.Value)];

    /// <summary>How many code points are read.</summary>
    public int Position { get; set; }

    public bool AtEnd => Position >= _codes.Length;

    /// <summary>The next code point, -1 at the end.</summary>
    public int Peek => PeekAt(0);

    public int PeekAt(int ahead) => Position + ahead < _codes.Length ? _codes[Position + ahead] : -1;

    /// <summary>Reads one.</summary>
    public int Take(string otherwise) => AtEnd ? throw Error(otherwise) : _codes[Position++];

    /// <summary>Reads one if it is the next.</summary>
    public bool TryTake(int code)
    {
        if (Peek != code)
            return false;
        Position++;
        return true;
    }

    /// <summary>Reads a text if it is what comes next.</summary>
    public bool TryTake(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (PeekAt(i) != text[i])
                return false;
        }
        Position += text.Length;
        return true;
    }

    /// <summary>Whether a code point comes anywhere later.</summary>
    public bool HasLater(int code) => _codes.AsSpan(Position).Contains(code);

    /// <summary>Reads digits of a base, at most so many; null where there is none.</summary>
    /// <exception cref="PatternException">The number has no end.</exception>
    public long? Number(int numberBase, int most = 19)
    {
        var (start, number) = (Position, 0L);
        while (Position - start < most && DigitOf(Peek) is var digit and >= 0 && digit < numberBase)
        {
            number = number * numberBase + digit;
            if (number > uint.MaxValue)
                throw Error("a number that is too large");
            Position++;
        }
        return Position == start ? null : number;
    }

    /// <summary>What was read since a position.</summary>
    public string Since(int start)
    {
        var text = new StringBuilder();
        foreach (var code in _codes.AsSpan(start, Position - start))
            text.Append(new Rune(code).ToString());
        return text.ToString();
    }

    /// <summary>The error to throw about what was read last, or about another place.</summary>
    public PatternException Error(string what, int? at = null) => new(what, Math.Max(1, at + 1 ?? Position));

    private static int DigitOf(int code) => code switch
    {
        >= '0' and <= '9' => code - '0',
        >= 'a' and <= 'f' => code - 'a' + 10,
        >= 'A' and <= 'F' => code - 'A' + 10,
        _ => -1,
    };
}
