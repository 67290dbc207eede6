namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The names that a part of a template sees: its own, then those around it.</summary>
internal sealed class Frame
{
    private static readonly object Hidden = new();

    private readonly Dictionary<string, object?> _values = [];
    private readonly Frame? _outer;

    private Frame(Rendering rendering, Frame? outer, Frame? top)
    {
        (Rendering, _outer) = (rendering, outer);
        Top = top ?? this;
    }

    /// <summary>The use of the template that this belongs to.</summary>
    public Rendering Rendering { get; }

    /// <summary>The frame of what stands in no part: blocks see its names.</summary>
    public Frame Top { get; }

    /// <summary>The frame of a template: what it is given is around it.</summary>
    public static Frame Of(Rendering rendering, IReadOnlyDictionary<string, object?> given, Scope scope)
    {
        var context = new Frame(rendering, null, null);
        foreach (var (name, value) in given)
            context.Set(name, value);
        return new Frame(rendering, context, null).Hide(scope);
    }

    /// <summary>A frame within this one.</summary>
    public Frame Inner(Scope scope) => new Frame(Rendering, this, Top).Hide(scope);

    /// <summary>The frame of a block: it sees what the template has set, but nothing of the parts that it stands in.</summary>
    public Frame OfBlock(Scope scope)
    {
        var seen = new Frame(Rendering, Top._outer, null);
        foreach (var (name, value) in Top._values)
        {
            if (value != Hidden)
                seen.Set(name, value);
        }
        return new Frame(Rendering, seen, seen).Hide(scope);
    }

    /// <summary>The value of a name; <see cref="Undefined"/> where it has none.</summary>
    public object? Get(string name)
    {
        for (var frame = this; frame is not null; frame = frame._outer)
        {
            if (frame._values.TryGetValue(name, out var value))
                return value == Hidden ? new Undefined(name) : value;
        }
        return new Undefined(name);
    }

    /// <summary>Gives a name a value, here and inward; what is around doesn't change.</summary>
    public void Set(string name, object? value) => _values[name] = value;

    private Frame Hide(Scope scope)
    {
        foreach (var name in scope.Hidden)
            _values[name] = Hidden;
        return this;
    }
}
