namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The methods of <c>Markup</c>: those of <c>str</c>, whose results are HTML and whose texts are escaped where they become part of it.</summary>
internal static class MarkupMethods
{
    /// <summary>A method of some HTML; null where there is none of that name.</summary>
    public static PythonFunction? Find(Markup markup, string name)
    {
        switch (name)
        {
            case "striptags":
                return new PythonFunction(name, new Signature(""), call => Html.WithoutTags(markup.Text, call.Rendering));
            case "unescape":
                return new PythonFunction(name, new Signature(""), _ => System.Net.WebUtility.HtmlDecode(markup.Text));
            case "format":
                return new PythonFunction(
                    name,
                    new Signature("*args, **kwargs"),
                    call => new Markup(TextFormat.Apply(markup.Text, (PythonTuple)call[0]!, (PythonDict)call[1]!, call.Rendering, Html.Escape)));
        }
        return TextMethods.Table.TryGetValue(name, out var method)
            ? new PythonFunction(name, new Signature("*args, **kwargs"), call => Called(method, markup, name, call), $"<bound method Markup.{name} of {PythonText.Repr(markup)}>")
            : null;
    }

    private static object? Called(Method<string> method, Markup markup, string name, BoundCall call)
    {
        var arguments = ((PythonTuple)call[0]!).Items.ToList();
        var escaped = name switch { "join" => 0, "replace" or "ljust" or "rjust" or "center" => 1, _ => int.MaxValue };
        if (escaped < arguments.Count)
        {
            arguments[escaped] = name == "join"
                ? (Iteration.Of(arguments[escaped], call.Rendering) ?? throw call.Error("without a list")).Select(item => (object?)Html.Escape(item)).ToList()
                : Html.Escape(arguments[escaped]);
        }
        var named = ((PythonDict)call[1]!).ToDictionary(entry => (string)entry.Key!, entry => entry.Value);
        return AsMarkup(method.Of(markup.Text, name, "Markup").Call(new CallArguments(arguments, named), call.Rendering));
    }

    private static object? AsMarkup(object? value) => value switch
    {
        string text => new Markup(text),
        List<object?> list => list.ConvertAll(AsMarkup),
        PythonTuple tuple => new PythonTuple([.. tuple.Items.Select(AsMarkup)]),
        _ => value,
    };
}
