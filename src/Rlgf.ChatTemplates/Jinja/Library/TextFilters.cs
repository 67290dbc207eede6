using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Filters that make texts of texts.</summary>
internal static class TextFilters
{
    private const int Leeway = 5;

    /// <summary>The filters by name.</summary>
    public static FunctionTable Table { get; } = new()
    {
        { "capitalize", "s", call => Changed(call, Casing.Capitalized) },
        { "lower", "s", call => Changed(call, Casing.Lower) },
        { "title", "s", call => Casing.TitledWords(PythonText.Str(call[0])) },
        { "upper", "s", call => Changed(call, Casing.Upper) },
        { "trim", "value, chars=None", call => Changed(call, text => TextMethods.Stripped(text, call.OptionalText(1), fromStart: true, fromEnd: true)) },
        { "center", "value, width=80", call => Method(call[0], "center", call, call[1]) },
        { "format", "value, *args, **kwargs", Format },
        { "indent", "s, width=4, first=False, blank=False", Indent },
        { "replace", "s, old, new, count=None", Replace },
        { "string", "object", call => call[0] is Markup ? call[0] : PythonText.Str(call[0]) },
        { "truncate", "s, length=255, killwords=False, end='...', leeway=None", Truncate },
        { "wordcount", "s", call => (BigInteger)CountWords(PythonText.Str(call[0])) },
        { "wordwrap", "s, width=79, break_long_words=True, wrapstring=None, break_on_hyphens=True", WrapLines },
        { "pprint", "value", call => PrettyPrint.Of(call[0], call.Rendering) },
        { "tojson", "x, ensure_ascii=False, indent=None, separators=None, sort_keys=False", JsonText.OfCall },
    };

    /// <summary>Calls a method of a text.</summary>
    public static object? Method(object? value, string name, BoundCall call, params object?[] arguments) =>
        ((ICallable)Attributes.Get(value is Markup ? value : PythonText.Str(value), name, call.Rendering)!).Call(
            new CallArguments(arguments, CallArguments.None.Named), call.Rendering);

    private static object Changed(BoundCall call, Func<string, string> change) =>
        call[0] is Markup markup ? new Markup(change(markup.Text)) : change(PythonText.Str(call[0]));

    private static object? Format(BoundCall call)
    {
        var (values, named) = ((PythonTuple)call[1]!, (PythonDict)call[2]!);
        if (values.Items.Count > 0 && named.Count > 0)
            throw call.Error("with values by position and by name");
        return Arithmetic.Apply("%", call[0] is Markup ? call[0] : PythonText.Str(call[0]), named.Count > 0 ? named : values, call.Rendering);
    }

    private static object Indent(BoundCall call)
    {
        var indentation = PythonText.AsText(call[1]) ?? new string(' ', Math.Clamp(call.Integer(1), 0, 10_000));
        var lines = WhiteSpace.Lines(call.Text(0) + "\n");
        for (var i = 0; i < lines.Count; i++)
        {
            var isIndented = i == 0 ? call.IsTrue(2) : lines[i].Length > 0 || call.IsTrue(3);
            lines[i] = isIndented ? indentation + lines[i] : lines[i];
        }
        call.Rendering.RequireSize(lines.Sum(line => line.Length + 1L));
        var text = string.Join('\n', lines);
        return call[0] is Markup ? new Markup(text) : text;
    }

    private static object? Replace(BoundCall call)
    {
        var most = call[3] is null ? BigInteger.MinusOne : call.WholeNumber(3);
        if (!call.Rendering.Escapes)
            return Method(PythonText.Str(call[0]), "replace", call, PythonText.Str(call[1]), PythonText.Str(call[2]), most);
        var text = call[1] is Markup || (call[2] is Markup && call[0] is not Markup) ? new Markup(Html.Escape(call[0])) : call[0];
        return Method(text, "replace", call, PythonText.Str(call[1]), call[2] is Markup ? call[2] : PythonText.Str(call[2]), most);
    }

    private static object? Truncate(BoundCall call)
    {
        var (length, end) = (call.Integer(1), call.Text(3));
        var leeway = call[4] is null ? Leeway : call.Integer(4);
        if (length < CodePoints.Count(end) || leeway < 0)
            throw call.Error("with a length below that of the end, or a leeway below 0");
        var count = Iteration.Count(call[0]) ?? throw call.Wrong(0, "a str");
        if (count <= length + (long)leeway)
            return call[0];
        var text = call.Text(0);
        var kept = text[..CodePoints.ToOffset(text, length - CodePoints.Count(end))];
        if (!call.IsTrue(2))
            kept = TextSplitting.PartsFromEnd(kept, " ", 1)[0];
        return call[0] is Markup ? new Markup(kept + Html.Escape(call[3])) : kept + end;
    }

    private static int CountWords(string text)
    {
        var (count, isInWord) = (0, false);
        for (var at = 0; at < text.Length; at += CodePoints.Width(text, at))
        {
            var character = CodePoints.At(text, at);
            var isWord = character == '_' || Characters.IsLetter(character) || Characters.IsNumeric(character);
            count += isWord && !isInWord ? 1 : 0;
            isInWord = isWord;
        }
        return count;
    }

    private static string WrapLines(BoundCall call)
    {
        if (call.Integer(1) <= 0)
            throw call.Error("with a width that isn't above 0");
        var lines = WhiteSpace.Lines(call.Text(0))
            .SelectMany(line => WordWrap.Lines(line, call.Integer(1), call.IsTrue(2), call.IsTrue(4)) is { Count: > 0 } wrapped ? wrapped : [""]).ToList();
        var separator = call.OptionalText(3) ?? "\n";
        call.Rendering.RequireSize(lines.Sum(line => (long)line.Length + separator.Length));
        return string.Join(separator, lines);
    }
}
