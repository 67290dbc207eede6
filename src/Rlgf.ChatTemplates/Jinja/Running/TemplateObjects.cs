namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What <c>namespace()</c> makes: values that inner parts of a template can change for outer ones.</summary>
internal sealed class Namespace(PythonDict values) : IPythonObject
{
    /// <summary>The values.</summary>
    public PythonDict Values { get; } = values;

    /// <inheritdoc/>
    public string TypeName => "Namespace";

    /// <inheritdoc/>
    public string Repr() => $"<Namespace {PythonText.Repr(Values)}>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value) => Values.TryGet(name, out value);
}

/// <summary>What <c>cycler()</c> makes: values one after the other, over and over.</summary>
internal sealed class Cycler(IReadOnlyList<object?> items) : IPythonObject
{
    private int _at;

    /// <inheritdoc/>
    public string TypeName => "Cycler";

    /// <inheritdoc/>
    public string Repr() => $"<jinja2.utils.Cycler object at {PythonText.Address}>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value)
    {
        value = name switch
        {
            "current" => items[_at],
            "items" => new PythonTuple(items),
            "pos" => (System.Numerics.BigInteger)_at,
            "next" => new PythonFunction(name, new Signature(""), _ => Next()),
            "reset" => new PythonFunction(name, new Signature(""), _ => Reset()),
            _ => this,
        };
        return value != this;
    }

    private object? Next()
    {
        var item = items[_at];
        _at = (_at + 1) % items.Count;
        return item;
    }

    private object? Reset()
    {
        _at = 0;
        return null;
    }
}

/// <summary>What <c>joiner()</c> makes: nothing at first, then a separator.</summary>
internal sealed class Joiner(object? separator) : ICallable
{
    private bool _isUsed;

    /// <inheritdoc/>
    public string TypeName => "Joiner";

    /// <inheritdoc/>
    public string Repr() => $"<jinja2.utils.Joiner object at {PythonText.Address}>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value)
    {
        value = name == "sep" ? separator : _isUsed;
        return name is "sep" or "used";
    }

    /// <inheritdoc/>
    public object? Call(CallArguments arguments, Rendering rendering)
    {
        new Signature("").Bind("joiner()", arguments, rendering);
        var isFirst = !_isUsed;
        _isUsed = true;
        return isFirst ? "" : separator;
    }
}

/// <summary>What <c>self</c> stands for: the template's blocks.</summary>
internal sealed class BlockReferences(IReadOnlyDictionary<string, Block> blocks, Frame frame) : IIndexedObject
{
    /// <inheritdoc/>
    public string TypeName => "TemplateReference";

    /// <inheritdoc/>
    public string Repr() => "<TemplateReference None>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value)
    {
        value = null;
        return false;
    }

    /// <inheritdoc/>
    public bool TryGetItem(object? key, out object? value)
    {
        var isBlock = blocks.TryGetValue(PythonText.AsText(key) ?? "", out var block);
        value = isBlock ? new PythonFunction(block!.Name, new Signature(""), call => Written(block, call)) : null;
        return isBlock;
    }

    private object Written(Block block, BoundCall call)
    {
        var text = call.Rendering.Capture(() => block.Body.Execute(frame.OfBlock(block.Scope)));
        return call.Rendering.Escapes ? new Markup(text) : text;
    }
}
