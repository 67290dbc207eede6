using System.Numerics;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The methods of Python's <c>str</c>.</summary>
internal static class TextMethods
{
    /// <summary>The methods by name.</summary>
    public static MethodTable<string> Table { get; } = new()
    {
        { "capitalize", "", (text, _) => Casing.Capitalized(text) },
        { "casefold", "", (text, _) => Casing.Folded(text) },
        { "center", "width, fillchar=' ', /", (text, call) => Padded(text, call, (missing, width) => missing / 2 + (missing & width & 1)) },
        { "count", "sub, start=None, end=None, /", Count },
        { "endswith", "suffix, start=None, end=None, /", (text, call) => Affixed(text, call, (part, affix) => part.EndsWith(affix, StringComparison.Ordinal)) },
        { "expandtabs", "tabsize=8", ExpandTabs },
        { "find", "sub, start=None, end=None, /", (text, call) => Find(text, call, isLast: false) },
        { "format", "*args, **kwargs", (text, call) => TextFormat.Apply(text, (PythonTuple)call[0]!, (PythonDict)call[1]!, call.Rendering) },
        { "format_map", "mapping, /", (text, call) => TextFormat.Apply(text, PythonTuple.Of(), call[0] as PythonDict ?? throw call.Wrong(0, "a dict"), call.Rendering) },
        { "index", "sub, start=None, end=None, /", (text, call) => Required(Find(text, call, isLast: false), call) },
        { "isalnum", "", (text, _) => All(text, character => Characters.IsLetter(character) || Characters.IsNumeric(character)) },
        { "isalpha", "", (text, _) => All(text, Characters.IsLetter) },
        { "isascii", "", (text, _) => text.All(char.IsAscii) },
        { "isdecimal", "", (text, _) => All(text, Characters.IsDecimal) },
        { "isdigit", "", (text, _) => All(text, Characters.IsDigit) },
        { "isidentifier", "", (text, _) => text.Length > 0 && Characters.IsNameStart(CodePoints.At(text, 0)) && All(text, Characters.IsNamePart) },
        { "islower", "", (text, _) => HasCase(text, Characters.IsLower, character => Characters.IsUpper(character) || Characters.IsTitle(character)) },
        { "isnumeric", "", (text, _) => All(text, Characters.IsNumeric) },
        { "isprintable", "", (text, _) => text.Length == 0 || All(text, Characters.IsPrintable) },
        { "isspace", "", (text, _) => text.Length > 0 && text.All(WhiteSpace.Is) },
        { "istitle", "", (text, _) => IsTitled(text) },
        { "isupper", "", (text, _) => HasCase(text, Characters.IsUpper, character => Characters.IsLower(character) || Characters.IsTitle(character)) },
        { "join", "iterable, /", Join },
        { "ljust", "width, fillchar=' ', /", (text, call) => Padded(text, call, (_, _) => 0) },
        { "lower", "", (text, _) => Casing.Lower(text) },
        { "lstrip", "chars=None, /", (text, call) => Stripped(text, call.OptionalText(0), fromStart: true, fromEnd: false) },
        { "maketrans", "x, y=None, z=None, /", (_, call) => Translation(call) },
        { "partition", "sep, /", (text, call) => Partition(text, Separator(call), text.IndexOf(call.Text(0), StringComparison.Ordinal), isLast: false) },
        { "removeprefix", "prefix, /", (text, call) => text.StartsWith(call.Text(0), StringComparison.Ordinal) ? text[call.Text(0).Length..] : text },
        { "removesuffix", "suffix, /", (text, call) => text.EndsWith(call.Text(0), StringComparison.Ordinal) ? text[..^call.Text(0).Length] : text },
        { "replace", "old, new, count=-1, /", (text, call) => Replaced(text, call.Text(0), call.Text(1), call.Integer(2), call) },
        { "rfind", "sub, start=None, end=None, /", (text, call) => Find(text, call, isLast: true) },
        { "rindex", "sub, start=None, end=None, /", (text, call) => Required(Find(text, call, isLast: true), call) },
        { "rjust", "width, fillchar=' ', /", (text, call) => Padded(text, call, (missing, _) => missing) },
        { "rpartition", "sep, /", (text, call) => Partition(text, Separator(call), text.LastIndexOf(call.Text(0), StringComparison.Ordinal), isLast: true) },
        { "rsplit", "sep=None, maxsplit=-1", (text, call) => Split(text, call, TextSplitting.WordsFromEnd, TextSplitting.PartsFromEnd) },
        { "rstrip", "chars=None, /", (text, call) => Stripped(text, call.OptionalText(0), fromStart: false, fromEnd: true) },
        { "split", "sep=None, maxsplit=-1", (text, call) => Split(text, call, TextSplitting.Words, TextSplitting.Parts) },
        { "splitlines", "keepends=False", (text, call) => Listed(WhiteSpace.Lines(text, call.IsTrue(0)), text, call) },
        { "startswith", "prefix, start=None, end=None, /", (text, call) => Affixed(text, call, (part, affix) => part.StartsWith(affix, StringComparison.Ordinal)) },
        { "strip", "chars=None, /", (text, call) => Stripped(text, call.OptionalText(0), fromStart: true, fromEnd: true) },
        { "swapcase", "", (text, _) => Casing.Swapped(text) },
        { "title", "", (text, _) => Casing.Titled(text) },
        { "translate", "table, /", Translated },
        { "upper", "", (text, _) => Casing.Upper(text) },
        { "zfill", "width, /", Zeroed },
    };

    /// <summary>A text without some characters, or white space, at its ends.</summary>
    public static string Stripped(string text, string? characters, bool fromStart, bool fromEnd)
    {
        if (characters is null)
        {
            text = fromStart ? WhiteSpace.TrimStart(text) : text;
            return fromEnd ? WhiteSpace.TrimEnd(text) : text;
        }
        var set = CodePoints.Each(characters).ToHashSet();
        var (start, end) = (0, text.Length);
        while (fromStart && start < end && set.Contains(text.Substring(start, CodePoints.Width(text, start))))
            start += CodePoints.Width(text, start);
        while (fromEnd && end > start)
        {
            var width = end - start > 1 && CodePoints.Width(text, end - 2) == 2 ? 2 : 1;
            if (!set.Contains(text.Substring(end - width, width)))
                break;
            end -= width;
        }
        return text[start..end];
    }

    /// <summary>A text with another in place of a part; a number of times where that isn't negative.</summary>
    public static string Replaced(string text, string old, string replacement, int most, BoundCall call)
    {
        var result = new StringBuilder(text.Length);
        var done = 0;
        for (var from = 0; most != 0; most--)
        {
            var at = old.Length > 0 ? text.IndexOf(old, from, StringComparison.Ordinal) : from > text.Length ? -1 : from;
            if (at < 0)
                break;
            call.Rendering.Step();
            result.Append(text, done, at - done).Append(replacement);
            call.Rendering.RequireSize(result.Length);
            done = at + old.Length;
            // Nothing stands before every character and at the end.
            from = old.Length > 0 ? done : at < text.Length ? at + CodePoints.Width(text, at) : text.Length + 1;
        }
        return result.Append(text, done, text.Length - done).ToString();
    }

    /// <summary>Whether all characters are of a kind and there are some.</summary>
    private static bool All(string text, Predicate<int> isKind)
    {
        for (var at = 0; at < text.Length; at += CodePoints.Width(text, at))
        {
            if (!isKind(CodePoints.At(text, at)))
                return false;
        }
        return text.Length > 0;
    }

    private static bool HasCase(string text, Predicate<int> isCase, Predicate<int> isOther)
    {
        var isAny = false;
        for (var at = 0; at < text.Length; at += CodePoints.Width(text, at))
        {
            var character = CodePoints.At(text, at);
            if (isOther(character))
                return false;
            isAny |= isCase(character);
        }
        return isAny;
    }

    private static bool IsTitled(string text)
    {
        var (isAny, isInWord) = (false, false);
        for (var at = 0; at < text.Length; at += CodePoints.Width(text, at))
        {
            var character = CodePoints.At(text, at);
            var isCapital = Characters.IsUpper(character) || Characters.IsTitle(character);
            if (isCapital ? isInWord : Characters.IsLower(character) && !isInWord)
                return false;
            isInWord = Characters.IsCased(character);
            isAny |= isInWord;
        }
        return isAny;
    }

    private static string Padded(string text, BoundCall call, Func<int, int, int> left)
    {
        var fill = CodePoints.Count(call.Text(1)) == 1 ? call.Text(1) : throw call.Wrong(1, "one character");
        var missing = call.Integer(0) - (long)CodePoints.Count(text);
        if (missing <= 0)
            return text;
        call.Rendering.RequireSize(call.Integer(0));
        var before = left((int)missing, call.Integer(0));
        return Fill(before) + text + Fill((int)missing - before);

        string Fill(int count) => string.Concat(Enumerable.Repeat(fill, count));
    }

    private static string Zeroed(string text, BoundCall call)
    {
        call.Rendering.RequireSize(call.Integer(0));
        var missing = Math.Max(0, call.Integer(0) - CodePoints.Count(text));
        return text.Insert(text.Length > 0 && text[0] is '+' or '-' ? 1 : 0, new string('0', missing));
    }

    /// <summary>The part between the second and third argument, in UTF-16 units; null where it begins behind its end.</summary>
    private static (int Start, int End)? Range(string text, BoundCall call)
    {
        var count = CodePoints.Count(text);
        var (start, end) = (Bound(1, 0), Math.Min(Bound(2, count), count));
        return start > end ? null : (CodePoints.ToOffset(text, start), CodePoints.ToOffset(text, end));

        int Bound(int index, int otherwise)
        {
            if (call[index] is null)
                return otherwise;
            var at = call.Integer(index);
            return at < 0 ? Math.Max(0, at + count) : at;
        }
    }

    private static object Find(string text, BoundCall call, bool isLast)
    {
        var part = call.Text(0);
        if (Range(text, call) is not var (start, end))
            return BigInteger.MinusOne;
        var within = text.AsSpan(start, end - start);
        var at = isLast ? (part.Length == 0 ? within.Length : within.LastIndexOf(part)) : within.IndexOf(part);
        return (BigInteger)(at < 0 ? -1 : CodePoints.ToPosition(text, start + at));
    }

    private static object Required(object position, BoundCall call) =>
        ((BigInteger)position).Sign >= 0 ? position : throw call.Error($"for {PythonText.Quoted(call.Text(0))}, which isn't there");

    private static object Count(string text, BoundCall call)
    {
        var part = call.Text(0);
        if (Range(text, call) is not var (start, end))
            return BigInteger.Zero;
        var within = text[start..end];
        return (BigInteger)(part.Length == 0 ? CodePoints.Count(within) + 1 : TextSplitting.Parts(within, part, -1).Count - 1);
    }

    private static object Affixed(string text, BoundCall call, Func<string, string, bool> holds)
    {
        object?[] affixes = call[0] is PythonTuple several ? [.. several.Items] : [call[0]];
        if (affixes.Any(affix => PythonText.AsText(affix) is null))
            throw call.Wrong(0, "a str or a tuple of them");
        return Range(text, call) is var (start, end) && affixes.Any(affix => holds(text[start..end], PythonText.AsText(affix)!));
    }

    private static string ExpandTabs(string text, BoundCall call)
    {
        var (expanded, column, size) = (new StringBuilder(), 0, call.Integer(0));
        foreach (var character in CodePoints.Each(text))
        {
            if (character == "\t")
            {
                var spaces = size > 0 ? size - column % size : 0;
                call.Rendering.RequireSize(expanded.Length + (long)spaces);
                expanded.Append(' ', spaces);
                column += spaces;
            }
            else
            {
                expanded.Append(character);
                column = character is "\n" or "\r" ? 0 : column + 1;
            }
        }
        return expanded.ToString();
    }

    private static string Join(string text, BoundCall call)
    {
        var joined = new StringBuilder();
        var isFirst = true;
        foreach (var item in call.Elements(0))
        {
            joined.Append(isFirst ? "" : text).Append(PythonText.AsText(item) ?? throw call.Error($"with a {PythonText.TypeOf(item)} among the texts"));
            call.Rendering.RequireSize(joined.Length);
            isFirst = false;
        }
        return joined.ToString();
    }

    private static string Separator(BoundCall call) => call.Text(0) is { Length: > 0 } separator ? separator : throw call.Error("with an empty separator");

    private static PythonTuple Partition(string text, string separator, int at, bool isLast) => at < 0
        ? isLast ? PythonTuple.Of("", "", text) : PythonTuple.Of(text, "", "")
        : PythonTuple.Of(text[..at], separator, text[(at + separator.Length)..]);

    private static List<object?> Split(string text, BoundCall call, Func<string, int, List<string>> words, Func<string, string, int, List<string>> parts) =>
        Listed(call[0] is null ? words(text, call.Integer(1)) : parts(text, Separator(call), call.Integer(1)), text, call);

    private static List<object?> Listed(List<string> parts, string text, BoundCall call)
    {
        call.Rendering.Step(parts.Count + text.Length / 1024);
        return [.. parts];
    }

    private static PythonDict Translation(BoundCall call)
    {
        var table = new PythonDict();
        if (call[1] is null)
        {
            foreach (var (key, value) in call[0] as PythonDict ?? throw call.Wrong(0, "a dict"))
                table[PythonText.AsText(key) is { Length: > 0 } character ? (BigInteger)CodePoints.At(character, 0) : key] = value;
            return table;
        }
        string[] from = [.. CodePoints.Each(call.Text(0))], to = [.. CodePoints.Each(call.Text(1))];
        if (from.Length != to.Length)
            throw call.Error("with texts of different lengths");
        for (var i = 0; i < from.Length; i++)
            table[(BigInteger)CodePoints.At(from[i], 0)] = (BigInteger)CodePoints.At(to[i], 0);
        foreach (var dropped in CodePoints.Each(call.OptionalText(2) ?? ""))
            table[(BigInteger)CodePoints.At(dropped, 0)] = null;
        return table;
    }

    private static string Translated(string text, BoundCall call)
    {
        var table = call[0] as PythonDict ?? throw call.Wrong(0, "a dict");
        var translated = new StringBuilder();
        foreach (var character in CodePoints.Each(text))
        {
            call.Rendering.RequireSize(translated.Length);
            if (!table.TryGet((BigInteger)CodePoints.At(character, 0), out var other))
                translated.Append(character);
            else if (other is not null)
                translated.Append(Numbers.AsInteger(other) is { } code && code >= 0 && code < 0x110000 ? CodePoints.Text((int)code) : PythonText.AsText(other) ?? throw call.Wrong(0, "a dict of characters"));
        }
        return translated.ToString();
    }
}
