using System.Globalization;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What kinds of characters Python's <c>str.is…</c> ask for.</summary>
internal static class Characters
{
    private static readonly (int First, int Last, char Kind)[] Others = [.. UnicodeData.Lines("character-kinds.txt").Select(line => line.Split(';')).Select(
        part => (Convert.ToInt32(part[0], 16), Convert.ToInt32(part[1], 16), part[2][0]))];

    /// <summary>Whether a character has a look of its own: <c>repr()</c> escapes all others.</summary>
    public static bool IsPrintable(int character) => character == ' ' || CategoryOf(character) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or
        UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    /// <summary>Whether it is a letter.</summary>
    public static bool IsLetter(int character) => CategoryOf(character) <= UnicodeCategory.OtherLetter;

    /// <summary>Whether it is one of ten digits.</summary>
    public static bool IsDecimal(int character) => CategoryOf(character) == UnicodeCategory.DecimalDigitNumber;

    /// <summary>Whether it is a digit of any form.</summary>
    public static bool IsDigit(int character) => CharUnicodeInfo.GetDigitValue(CodePoints.Text(character), 0) >= 0;

    /// <summary>Whether it has a number as its value.</summary>
    public static bool IsNumeric(int character) => CharUnicodeInfo.GetNumericValue(CodePoints.Text(character), 0) != -1 || IsOther(character, 'n');

    /// <summary>Whether it is upper case.</summary>
    public static bool IsUpper(int character) => CategoryOf(character) == UnicodeCategory.UppercaseLetter || IsOther(character, 'u');

    /// <summary>Whether it is lower case.</summary>
    public static bool IsLower(int character) => CategoryOf(character) == UnicodeCategory.LowercaseLetter || IsOther(character, 'l');

    /// <summary>Whether it is a capital that stands for two letters.</summary>
    public static bool IsTitle(int character) => CategoryOf(character) == UnicodeCategory.TitlecaseLetter;

    /// <summary>Whether it has case.</summary>
    public static bool IsCased(int character) => IsUpper(character) || IsLower(character) || IsTitle(character);

    /// <summary>Whether case goes through it: marks, and signs such as the apostrophe.</summary>
    public static bool IsCaseIgnorable(int character) =>
        character is '\'' or '.' or ':' or '^' or '`' or 0xA8 or 0xAD or 0xAF or 0xB4 or 0xB7 or 0xB8 or 0x387 or 0x2018 or 0x2019 or 0x2024 or 0x2027 ||
        CategoryOf(character) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or
            UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;

    /// <summary>Whether a name may begin with it.</summary>
    public static bool IsNameStart(int character) => character == '_' || IsLetter(character) || CategoryOf(character) == UnicodeCategory.LetterNumber;

    /// <summary>Whether a name may have it.</summary>
    public static bool IsNamePart(int character) => IsNameStart(character) || character == 0xB7 || CategoryOf(character) is
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.ConnectorPunctuation;

    private static UnicodeCategory CategoryOf(int character) => CharUnicodeInfo.GetUnicodeCategory(character);

    private static bool IsOther(int character, char kind) =>
        character >= 0xAA && Array.Exists(Others, range => character >= range.First && character <= range.Last && range.Kind == kind);
}
