using System.Globalization;
using System.Text;

namespace Rlgf.Text.Tokenization.Subwords;

/// <summary>Tokens that are single bytes, spelled <c>&lt;0x0A&gt;</c>: what sentencepiece vocabularies give for characters that they lack.</summary>
internal sealed class ByteFallback
{
    private readonly int[] _ids = new int[256];

    /// <summary>Finds the byte tokens of a vocabulary; any may be missing.</summary>
    public ByteFallback(Dictionary<string, int> vocabulary)
    {
        for (var value = 0; value < 256; value++)
            _ids[value] = vocabulary.TryGetValue(string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>"), out var id) ? id : -1;
    }

    /// <summary>Writes the ids of a character's bytes.</summary>
    /// <returns>How many there are; 0 where the vocabulary lacks one of them.</returns>
    public int Ids(Rune rune, Span<int> into)
    {
        Span<byte> bytes = stackalloc byte[4];
        var length = rune.EncodeToUtf8(bytes);
        for (var i = 0; i < length; i++)
        {
            into[i] = _ids[bytes[i]];
            if (into[i] < 0)
                return 0;
        }
        return length;
    }

    /// <summary>The byte that a token is, or null where it's another kind of token.</summary>
    public static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', _, _, '>'] && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;
}
