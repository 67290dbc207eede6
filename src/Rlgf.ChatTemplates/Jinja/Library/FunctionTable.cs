namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Functions by name: filters or tests.</summary>
internal sealed class FunctionTable : Dictionary<string, (Signature Signature, Func<BoundCall, object?> Body)>
{
    /// <summary>Adds a function.</summary>
    public void Add(string name, string signature, Func<BoundCall, object?> body) => Add(name, (new Signature(signature), body));

    /// <summary>Adds those of another table.</summary>
    public void Add(FunctionTable others)
    {
        foreach (var (name, function) in others)
            Add(name, function);
    }

    /// <summary>Calls one.</summary>
    /// <param name="kind">What errors call the functions of this table.</param>
    /// <param name="name">Its name.</param>
    /// <param name="arguments">What it is given.</param>
    /// <param name="rendering">The use of the template.</param>
    public object? Call(string kind, string name, CallArguments arguments, Rendering rendering)
    {
        var (signature, body) = this[name];
        return body(signature.Bind($"the {kind} '{name}'", arguments, rendering));
    }
}
