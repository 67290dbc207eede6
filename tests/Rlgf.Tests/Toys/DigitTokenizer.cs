using System.Globalization;
using Rlgf.Tokenizers;

namespace Rlgf.Tests.Toys;

/// <summary>Tokens are digits: id 3 is "3". One of them may be the end token, which has no text.</summary>
internal sealed class DigitTokenizer(int vocabulary, int? end = null) : ITokenizer
{
    public int VocabularySize => vocabulary;
    public int? BosId => null;
    public int? EosId => end;
    public int? PadId => null;

    public int[] Encode(string text, bool addSpecialTokens = false) => [.. text.Select(c => c - '0')];

    public TokenizedText EncodeWithOffsets(string text) =>
        new(Encode(text), [.. text.Select(c => c.ToString())], [.. text.Select((_, i) => (i, i + 1))]);

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) =>
        string.Concat(ids.ToArray().Where(id => !skipSpecialTokens || id != end).Select(id => id.ToString(CultureInfo.InvariantCulture)));

    public bool EndsOnCharacter(ReadOnlySpan<int> ids) => true;

    public string? TokenOf(int id) => id >= 0 && id < vocabulary ? id.ToString(CultureInfo.InvariantCulture) : null;

    public int? IdOf(string token) => int.TryParse(token, CultureInfo.InvariantCulture, out var id) && id < vocabulary ? id : null;

    public void Save(string folder) { }
}
