using System.Text;
using Rlgf.Tokenizers.Normalization;

namespace Rlgf.Tokenizers.Words;

/// <summary><c>\w+|[^\w\s]+</c>: runs of word characters and runs of others are words, white space is left out.</summary>
internal sealed class WordRuns : IPreTokenizer
{
    private enum Kind { Space, Word, Other }

    public void Split(Word text, List<Word> into)
    {
        var (start, at, run) = (0, 0, Kind.Space);
        foreach (var rune in text.Span.EnumerateRunes())
        {
            var kind = KindOf(rune);
            if (kind != run)
            {
                Take();
                (start, run) = (at, kind);
            }
            at += rune.Utf16SequenceLength;
        }
        Take();

        void Take()
        {
            if (run != Kind.Space && at > start)
                into.Add(text.Part(start, at));
        }
    }

    private static Kind KindOf(Rune rune) => Rune.IsWhiteSpace(rune) ? Kind.Space : WordCharacters.Has(rune) ? Kind.Word : Kind.Other;
}
