using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Upper and lower case as Python has it: one letter may become several.</summary>
internal static class Casing
{
    private static readonly Dictionary<int, string[]> Mappings = UnicodeData.Lines("case-mappings.txt").Select(line => line.Split(';')).ToDictionary(
        parts => Convert.ToInt32(parts[0], 16),
        parts => Array.ConvertAll(parts[1..], forms => string.Concat(forms.Split(' ').Select(form => CodePoints.Text(Convert.ToInt32(form, 16))))));

    private enum Form
    {
        Upper,
        Lower,
        Title,
        Folded,
    }

    /// <summary><c>str.upper()</c>.</summary>
    public static string Upper(string text) => Mapped(text, (_, _) => Form.Upper);

    /// <summary><c>str.lower()</c>.</summary>
    public static string Lower(string text) => Mapped(text, (_, _) => Form.Lower);

    /// <summary><c>str.casefold()</c>.</summary>
    public static string Folded(string text) => Mapped(text, (_, _) => Form.Folded);

    /// <summary><c>str.swapcase()</c>.</summary>
    public static string Swapped(string text) =>
        Mapped(text, (character, _) => Characters.IsUpper(character) ? Form.Lower : Characters.IsLower(character) ? Form.Upper : null);

    /// <summary><c>str.capitalize()</c>.</summary>
    public static string Capitalized(string text) => Mapped(text, (_, offset) => offset == 0 ? Form.Title : Form.Lower);

    /// <summary><c>str.title()</c>: every run of letters with case begins with a capital.</summary>
    public static string Titled(string text)
    {
        var isInWord = false;
        return Mapped(text, (character, _) =>
        {
            var form = isInWord ? Form.Lower : Form.Title;
            isInWord = Characters.IsCased(character);
            return form;
        });
    }

    /// <summary>Jinja's <c>title</c> filter: every word between spaces, hyphens and opening brackets begins with a capital.</summary>
    public static string TitledWords(string text)
    {
        var startsWord = true;
        return Mapped(text, (character, _) =>
        {
            var isBetween = character is '-' or '(' or '{' or '[' or '<' || (character < 0x10000 && WhiteSpace.Is((char)character));
            Form? form = isBetween ? null : startsWord ? Form.Upper : Form.Lower;
            startsWord = isBetween;
            return form;
        });
    }

    private static string Mapped(string text, Func<int, int, Form?> formOf)
    {
        var mapped = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length; at += CodePoints.Width(text, at))
        {
            var character = CodePoints.At(text, at);
            mapped.Append(formOf(character, at) is { } form ? Mapped(text, at, character, form) : CodePoints.Text(character));
        }
        return mapped.ToString();
    }

    private static string Mapped(string text, int offset, int character, Form form)
    {
        if (form == Form.Lower && character == 'Σ')
            return IsFinalSigma(text, offset) ? "ς" : "σ";
        if (Mappings.TryGetValue(character, out var forms))
            return forms[(int)form];
        if (!Rune.IsValid(character))
            return CodePoints.Text(character);
        var rune = new Rune(character);
        return (form is Form.Upper or Form.Title ? Rune.ToUpperInvariant(rune) : Rune.ToLowerInvariant(rune)).ToString();
    }

    /// <summary>Whether a sigma ends a word.</summary>
    private static bool IsFinalSigma(string text, int offset)
    {
        var before = offset;
        do
            before -= before > 1 && char.IsLowSurrogate(text[before - 1]) ? 2 : 1;
        while (before >= 0 && Characters.IsCaseIgnorable(CodePoints.At(text, before)));
        if (before < 0 || !Characters.IsCased(CodePoints.At(text, before)))
            return false;
        var after = offset + 1;
        while (after < text.Length && Characters.IsCaseIgnorable(CodePoints.At(text, after)))
            after += CodePoints.Width(text, after);
        return after == text.Length || !Characters.IsCased(CodePoints.At(text, after));
    }
}
