using System.Text;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers.Words;

/// <summary>GPT-2's spelling of a text: a visible character for each byte of its UTF-8. All bytes of a character stand for the whole of it.</summary>
internal sealed class ByteSpelling : INormalizer, IPreTokenizer
{
    public Word Normalize(Word text)
    {
        var spelled = new Rewriting(text);
        Span<byte> bytes = stackalloc byte[4];
        while (spelled.HasMore)
        {
            var length = spelled.Next.EncodeToUtf8(bytes);
            for (var i = 0; i < length; i++)
            {
                var character = new Rune(ByteAlphabet.CharacterOf(bytes[i]));
                if (i == 0)
                    spelled.Replace(character);
                else
                    spelled.Insert(character);
            }
        }
        return spelled.Finish();
    }

    public void Split(Word text, List<Word> into) => into.Add(Normalize(text));
}
