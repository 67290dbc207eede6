using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>BERT's own normalizer: controls out, every space a plain one, spaces around Chinese characters, accents off, small letters.</summary>
internal sealed class BertNormalizer(bool cleansText, bool spacesChinese, bool stripsAccents, bool lowercases) : INormalizer
{
    private static readonly Rune Space = new(' ');
    private static readonly UnicodeNormalizer FormD = new(UnicodeForm.D);
    private static readonly LowercaseNormalizer Lowercase = new();

    public Word Normalize(Word text)
    {
        if (cleansText)
            text = Clean(text);
        if (spacesChinese)
            text = SpaceChinese(text);
        if (stripsAccents)
            text = StripAccents(FormD.Normalize(text));
        return lowercases ? Lowercase.Normalize(text) : text;
    }

    private static Word Clean(Word text)
    {
        var cleaned = new Rewriting(text);
        while (cleaned.HasMore)
        {
            var rune = cleaned.Next;
            if (rune.Value is '\t' or '\n' or '\r')
                cleaned.Replace(Space);
            else if (rune.Value is 0 or 0xFFFD || Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse)
                cleaned.Drop();
            else
                cleaned.Replace(Rune.IsWhiteSpace(rune) ? Space : rune);
        }
        return cleaned.Finish();
    }

    private static Word SpaceChinese(Word text)
    {
        if (text.Span.IndexOfAnyInRange('\u3400', '\uFAFF') < 0)
            return text;
        var spaced = new Rewriting(text);
        while (spaced.HasMore)
        {
            var rune = spaced.Next;
            if (!IsChinese(rune.Value))
            {
                spaced.Keep();
                continue;
            }
            spaced.Replace(Space);
            spaced.Insert(rune);
            spaced.Insert(Space);
        }
        return spaced.Finish();
    }

    private static Word StripAccents(Word text)
    {
        var kept = new Rewriting(text);
        while (kept.HasMore)
        {
            if (Rune.GetUnicodeCategory(kept.Next) == UnicodeCategory.NonSpacingMark)
                kept.Drop();
            else
                kept.Keep();
        }
        return kept.Finish();
    }

    /// <summary>The blocks of CJK ideographs that BERT's tokenizer lists; other scripts of the region are words like any other.</summary>
    private static bool IsChinese(int code) => code is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0x20000 and <= 0x2A6DF)
        or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
