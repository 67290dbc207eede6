using System.Text;

namespace Rlgf.Models.Conversion;

/// <summary>Texts of many kinds, always the same: what two tokenizers or two forms of a model are compared on.</summary>
internal static class ProofTexts
{
    /// <summary>Ordinary sentences, each the beginning of a text that a model goes on with.</summary>
    private static readonly string[] Sentences =
    [
        "The film begins in a small town where nothing has happened for years.",
        "My grandmother used to say that bread tells you everything about a house.",
        "In 1969, the first people walked on the moon, and the world watched.",
        "Water boils at a lower temperature when you climb a high mountain.",
        "She opened the door and found the letter that he had never sent.",
        "To bake good bread you need flour, water, salt and a lot of patience.",
        "Scientists have found that most birds remember the way to the south.",
        "When the war ended, many families came back to empty streets.",
        "The committee decided to meet again on Monday, March 3rd, at 10:30.",
        "He never thought that a single wrong number could change the result.",
        "Every morning I walk along the river and count the boats on it.",
        "It was raining, so we stayed inside and played cards until midnight.",
        "The best way to learn a language is to speak it with other people.",
        "There were 12 apples, 7 pears and 1,250 cherries in the garden.",
        "Music is what remains when everybody has said what they had to say.",
        "A good teacher asks questions that have more than one right answer.",
    ];

    /// <summary>What tokenizers differ on.</summary>
    private static readonly string[] Peculiar =
    [
        "It's 12345 o'clock; they'll've gone, DON'T we'D I'm you're.",
        "naïve café, Ωmega, Straße, ÆØÅ, façade, señor, Żółć, İstanbul",
        "你好，世界！这是一个测试。今天天气很好。",
        "こんにちは世界。カタカナとひらがな、漢字。",
        "한국어 문장입니다. 토큰을 비교합니다.",
        "Привет, мир! Это просто текст на русском языке.",
        "مرحبا بالعالم، هذا نص للاختبار.",
        "नमस्ते दुनिया, यह एक परीक्षण है।",
        "🙂👩‍👧🏽🎉 emoji ❤️ with joiners 🏳️‍🌈 and flags 🇩🇪🇯🇵",
        "def f(x_1: int) -> str:\n    return f\"{x_1:>08.3f}\"  # comment\n",
        "for (int i = 0; i < n; ++i) { a[i] += b[i] * 0x7fff; } // done\n\n",
        "{\"key\": [1, 2.5e-3, null, true], \"other\": {\"nested\": \"va\\\"lue\"}}",
        "SELECT * FROM t WHERE a >= 10 AND b LIKE '%x_%';",
        "https://example.org/path?query=1&other=%20#part, mail@example.org",
        "   three spaces before, two  inside,   three again, one behind ",
        "\ttabs\t\tand\nnew\n\nlines\r\nof every\n\n\nkind\r",
        "control \u0001\u0002\u001f and \u007f characters, \u200b\u00a0\u3000 spaces",
        "3.14159 1,000,000 007 1e10 50% $9.99 €20 £30 ½ ² №5 10^6 2020-12-31",
        "((([[{<>}]]))) !!! ??? ... --- ___ *** ### @@@ ~~~ ||| \\\\ // `` '' \"\"",
        "aaaaaaaaaaaaaaaaaaaaaaaa AAAAAAAAAAAA zzzzzzzz 000000000000 ........",
        "CamelCaseWords snake_case_words kebab-case-words SCREAMING_CASE iOS9 x2y3",
        "“Quoted” — with – dashes … and ‘others’ «so» „weiter“",
        "≤ ≥ ≠ ± × ÷ ∑ ∫ √ ∞ π α β γ → ← ⇒ ∀ ∃ ∈",
        "\u2028line\u2029paragraph\u0085next",
    ];

    /// <summary>So many texts: each piece alone, then two or three joined.</summary>
    public static IReadOnlyList<string> Of(int count)
    {
        string[] pieces = [.. Sentences, .. Peculiar];
        var texts = new List<string>(count);
        for (var i = 0; texts.Count < count; i++)
        {
            var text = new StringBuilder(pieces[i % pieces.Length]);
            // Another neighbour in each round.
            for (var round = 0; round < Math.Min(2, i / pieces.Length); round++) text.Append(((string[])[" ", "\n", ""])[(i + round) % 3]).Append(pieces[(i * 7 + i / pieces.Length + round * 11) % pieces.Length]);
            texts.Add(text.ToString());
        }

        return texts;
    }

    /// <summary>So many texts of two or more ordinary sentences.</summary>
    public static IReadOnlyList<string> Prose(int count) =>
        [.. Enumerable.Range(0, count).Select(i => string.Join(" ", Enumerable.Range(0, 4).Select(k => Sentences[(i * (k + 1) + k * (1 + i / Sentences.Length)) % Sentences.Length]).Distinct()))];
}
