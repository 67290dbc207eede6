using System.Globalization;
using System.Text;

namespace Rlgf.Tokenizers.Words;

/// <summary>What the word patterns tell apart.</summary>
internal enum CharacterClass : byte
{
    /// <summary>Neither of the others: punctuation, symbols, marks, controls; also the end of the text's unpaired surrogates.</summary>
    Other,

    /// <summary><c>\p{L}</c>.</summary>
    Letter,

    /// <summary><c>\p{N}</c>.</summary>
    Number,

    /// <summary><c>\s</c>, Unicode's White_Space.</summary>
    Space,
}

/// <summary>The class of the character at a position.</summary>
internal static class CharacterClasses
{
    private static readonly CharacterClass[] BasicPlane = MakeBasicPlane();

    /// <summary>The class of the character that begins at <paramref name="at"/>, and its length in UTF-16 units.</summary>
    public static CharacterClass ClassAt(ReadOnlySpan<char> text, int at, out int length)
    {
        length = 1;
        if (char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
        {
            length = 2;
            return ClassOf(new Rune(text[at], text[at + 1]));
        }
        return BasicPlane[text[at]];
    }

    /// <summary>The first position from <paramref name="at"/> on where a run of one class ends.</summary>
    public static int EndOfRun(ReadOnlySpan<char> text, int at, CharacterClass of, int atMost = int.MaxValue)
    {
        for (; at < text.Length && atMost > 0 && ClassAt(text, at, out var length) == of; atMost--)
            at += length;
        return at;
    }

    private static CharacterClass[] MakeBasicPlane()
    {
        var classes = new CharacterClass[char.MaxValue + 1];
        for (var unit = 0; unit < classes.Length; unit++)
            classes[unit] = Rune.TryCreate((char)unit, out var rune) ? ClassOf(rune) : CharacterClass.Other;
        return classes;
    }

    private static CharacterClass ClassOf(Rune rune) =>
        Rune.IsWhiteSpace(rune)
            ? CharacterClass.Space
            : Rune.GetUnicodeCategory(rune) switch
            {
                UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
                    or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => CharacterClass.Letter,
                UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => CharacterClass.Number,
                _ => CharacterClass.Other,
            };
}
