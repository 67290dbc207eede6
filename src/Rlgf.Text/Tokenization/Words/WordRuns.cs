using System.Globalization;
using System.Text;

namespace Rlgf.Text.Tokenization.Words;

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

    /// <summary><c>\w</c> as Unicode Technical Standard 18 has it (Annex C): letters, marks, decimal digits, connectors and joiners.</summary>
    private static Kind KindOf(Rune rune) =>
        Rune.IsWhiteSpace(rune)
            ? Kind.Space
            : Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber or UnicodeCategory.NonSpacingMark
                or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation
                || rune.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189)
                ? Kind.Word
                : Kind.Other;
}
