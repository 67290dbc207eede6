using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Subwords;

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

    /// <summary>The ids of a text's bytes; none where the vocabulary lacks one of them.</summary>
    public int[] Ids(ReadOnlySpan<char> text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        var ids = new int[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            ids[i] = _ids[bytes[i]];
            if (ids[i] < 0)
                return [];
        }
        return ids;
    }

    /// <summary>The byte that a token is, or null where it's another kind of token.</summary>
    public static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', _, _, '>'] && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;
}
