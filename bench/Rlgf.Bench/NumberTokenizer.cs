using System.Globalization;
using Rlgf.Tokenizers;

namespace Rlgf.Bench;

/// <summary>A token's text is its id and a space: random models need no better, and the tokenizer's own time is not what is measured.</summary>
internal sealed class NumberTokenizer(int vocabulary) : ITokenizer
{
    public int VocabularySize => vocabulary;

    public int? BosId => null;

    public int? EosId => null;

    public int? PadId => null;

    public int[] Encode(string text, bool addSpecialTokens = false) =>
        [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => int.Parse(word, CultureInfo.InvariantCulture))];

    public TokenizedText EncodeWithOffsets(string text) => throw new NotSupportedException();

    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true) => string.Concat(ids.ToArray().Select(id => TokenOf(id)));

    public bool EndsOnCharacter(ReadOnlySpan<int> ids) => true;

    public string? TokenOf(int id) => id.ToString(CultureInfo.InvariantCulture) + " ";

    public int? IdOf(string token) => int.TryParse(token, CultureInfo.InvariantCulture, out var id) ? id : null;

    public void Save(string folder) => throw new NotSupportedException();
}
