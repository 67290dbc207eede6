namespace Rlgf.ChatTemplates.Jinja;

/// <summary>A function that isn't written in the template.</summary>
/// <param name="name">What it is called.</param>
/// <param name="signature">What it takes.</param>
/// <param name="body">What it does.</param>
/// <param name="repr">How it prints, where not as a function.</param>
internal sealed class PythonFunction(string name, Signature signature, Func<BoundCall, object?> body, string? repr = null) : ICallable
{
    /// <inheritdoc/>
    public string TypeName => "builtin_function_or_method";

    /// <inheritdoc/>
    public string Repr() => repr ?? $"<function {name} at {PythonText.Address}>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value)
    {
        value = null;
        return false;
    }

    /// <inheritdoc/>
    public object? Call(CallArguments arguments, Rendering rendering) => body(signature.Bind($"{name}()", arguments, rendering));
}

/// <summary>A method of one of Python's types.</summary>
/// <typeparam name="T">The type.</typeparam>
/// <param name="Signature">What it takes.</param>
/// <param name="Body">What it does.</param>
internal sealed record Method<T>(Signature Signature, Func<T, BoundCall, object?> Body)
{
    /// <summary>The method of one value.</summary>
    public PythonFunction Of(T self, string name, string type) =>
        new(name, Signature, call => Counted(self, call), $"<built-in method {name} of {type} object at {PythonText.Address}>");

    private object? Counted(T self, BoundCall call)
    {
        call.Rendering.Step(((self as string)?.Length ?? 0) / Jinja.Signature.CharactersToAStep);
        return Body(self, call);
    }
}

/// <summary>The methods of a type, by name.</summary>
/// <typeparam name="T">The type.</typeparam>
internal sealed class MethodTable<T> : Dictionary<string, Method<T>>
{
    /// <summary>Adds a method.</summary>
    public void Add(string name, string signature, Func<T, BoundCall, object?> body) => Add(name, new Method<T>(new Signature(signature), body));
}
