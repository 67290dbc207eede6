using System.Runtime.InteropServices;
using System.Text;
using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers.Decoding;

/// <summary>Tokens that spell bytes: all bytes together are the text, in UTF-8.</summary>
internal sealed class ByteLevelDetokenizer : IDetokenizer
{
    private readonly byte[]?[] _bytes;

    /// <summary>Creates it for a vocabulary, id to token.</summary>
    public ByteLevelDetokenizer(string?[] tokens) => _bytes = [.. tokens.Select(token => token is null ? null : ByteAlphabet.Read(token))];

    public string Decode(ReadOnlySpan<int> ids, bool startsText) => Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(BytesOf(ids)));

    public bool EndsOnCharacter(ReadOnlySpan<int> ids)
    {
        // A character has at most 4 bytes, and a token that writes text at least one: no more than 3 of those can matter.
        var needed = 0;
        var start = ids.Length;
        while (start > 0 && needed < 3)
        {
            if (_bytes[ids[--start]] is { Length: > 0 })
                needed++;
        }
        return Utf8.EndsOnCharacter(CollectionsMarshal.AsSpan(BytesOf(ids[start..])));
    }

    public int SettledTokens(ReadOnlySpan<int> ids) => EndsOnCharacter(ids) ? ids.Length : 0;

    private List<byte> BytesOf(ReadOnlySpan<int> ids)
    {
        var bytes = new List<byte>(ids.Length * 4);
        foreach (var id in ids)
            bytes.AddRange(_bytes[id]!);
        return bytes;
    }
}
