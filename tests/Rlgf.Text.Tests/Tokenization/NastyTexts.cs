namespace Rlgf.Text.Tests.Tokenization;

/// <summary>Random texts made of what breaks tokenizers: emoji sequences, combining marks, scripts of 2 to 4 bytes a character, odd spaces, special tokens' text.</summary>
internal static class NastyTexts
{
    private static readonly string[] Pieces =
    [
        "a", "film", " the", " The", "  ", "\n", "\r\n", "\t", " ", "'s", "'LL", "don't", "1999", "12", "...", "!?", "é", "e\u0301", "Å", "\u0323\u0307", "ß", "İ", "中文", "映画", "한국",
        "😀", "👩‍👩‍👧‍👦", "👍🏽", "🇫🇷", "1️⃣", "𝕏", "𠀀", "𞤀", "\u200D", "\u00A0", "\u3000", "\u2028", "\uFEFF", "\u0000", "\uFFFD", "<|endoftext|>", "<s>", "<mask>", "</s>", "Ġ", "نص", "हिन्दी", "ภาพ",
    ];

    public static IEnumerable<string> Generate(int count, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < count; i++)
            yield return string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => Pieces[random.Next(Pieces.Length)]));
    }
}
