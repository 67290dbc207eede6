namespace Rlgf.ChatTemplates.Jinja;

/// <summary>A parameter of a macro.</summary>
internal sealed record Parameter(string Name, IExpression? Default);

/// <summary>What a macro or a call block does.</summary>
/// <param name="Name">Its name; null for call blocks.</param>
/// <param name="Parameters">What it takes.</param>
/// <param name="Body">What it does.</param>
/// <param name="Scope">Its names.</param>
/// <param name="Read">Names that it reads: it takes a caller and more arguments than it names where it reads those.</param>
internal sealed record MacroFunction(string? Name, IReadOnlyList<Parameter> Parameters, Body Body, Scope Scope, IReadOnlySet<string> Read);

/// <summary><c>{% macro a(b, c=d) %} … {% endmacro %}</c>.</summary>
internal sealed record MacroDefinition(string Name, MacroFunction Function) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Set(Name, new Macro(Function, frame));
        return Flow.Next;
    }
}

/// <summary><c>{% call(a) b() %} … {% endcall %}</c>: a macro is called and may call what stands within.</summary>
internal sealed record CallBlock(Call Call, MacroFunction Function, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        var value = Call.Evaluate(frame, new Macro(Function, frame));
        frame.Rendering.Write(frame.Rendering.Escapes ? Html.Escape(value) : PythonText.Str(value));
        return Flow.Next;
    }
}

/// <summary>A macro that can be called.</summary>
/// <param name="function">What it does.</param>
/// <param name="frame">Where it was defined.</param>
internal sealed class Macro(MacroFunction function, Frame frame) : ICallable
{
    private const string Caller = "caller";

    private readonly bool _escapes = frame.Rendering.Escapes;

    /// <inheritdoc/>
    public string TypeName => "Macro";

    private string Called => function.Name is { } name ? $"{name}()" : "caller()";

    /// <inheritdoc/>
    public string Repr() => function.Name is { } name ? $"<Macro {PythonText.Quoted(name)}>" : "<Macro anonymous>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value)
    {
        value = name switch
        {
            "name" => function.Name,
            "arguments" => new PythonTuple([.. function.Parameters.Select(parameter => parameter.Name)]),
            "catch_kwargs" => Takes("kwargs"),
            "catch_varargs" => Takes("varargs"),
            "caller" => function.Read.Contains(Caller),
            "explicit_caller" => function.Parameters.Any(parameter => parameter.Name == Caller),
            _ => this,
        };
        return value != this;
    }

    /// <inheritdoc/>
    public object? Call(CallArguments arguments, Rendering rendering)
    {
        var inner = frame.Inner(function.Scope);
        Bind(arguments, inner);
        var escapes = rendering.Escapes;
        rendering.Escapes = _escapes;
        var text = rendering.Capture(() => function.Body.Execute(inner));
        rendering.Escapes = escapes;
        return escapes ? new Markup(text) : text;
    }

    private bool Takes(string name) => function.Read.Contains(name) && function.Parameters.All(parameter => parameter.Name != name);

    private void Bind(CallArguments arguments, Frame inner)
    {
        var named = new Dictionary<string, object?>(arguments.Named);
        var values = new List<(bool IsGiven, object? Value)>();
        for (var i = 0; i < function.Parameters.Count; i++)
            values.Add(i < arguments.Positional.Count ? (true, arguments.Positional[i]) : (named.Remove(function.Parameters[i].Name, out var value), value));
        var takesCaller = Takes(Caller);
        if (takesCaller)
            inner.Set(Caller, named.Remove(Caller, out var caller) && caller is not null ? caller : new Undefined(Caller));
        if (Takes("kwargs"))
            inner.Set("kwargs", PythonDict.Of(named));
        else if (named.Count > 0)
            throw new TemplateException($"calls {Called} with '{named.First().Key}', which it doesn't take");
        if (Takes("varargs"))
            inner.Set("varargs", new PythonTuple([.. arguments.Positional.Skip(function.Parameters.Count)]));
        else if (arguments.Positional.Count > function.Parameters.Count)
            throw new TemplateException($"calls {Called} with {arguments.Positional.Count} arguments; it takes {function.Parameters.Count}");
        // Until its own turn a parameter without a value is undefined for the defaults of others.
        for (var i = 0; i < values.Count; i++)
            inner.Set(function.Parameters[i].Name, values[i].IsGiven ? values[i].Value : new Undefined(function.Parameters[i].Name));
        for (var i = 0; i < values.Count; i++)
        {
            if (!values[i].IsGiven && function.Parameters[i].Default is { } otherwise)
                inner.Set(function.Parameters[i].Name, otherwise.Evaluate(inner));
        }
    }
}
