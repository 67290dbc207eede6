namespace Rlgf.Text.Chat.Jinja;

/// <summary>The names that a part of a template sees: its own, then those around it.</summary>
internal sealed class Frame(Rendering rendering, Frame? outer = null)
{
    private readonly Dictionary<string, object?> _values = [];

    /// <summary>The use of the template that this belongs to.</summary>
    public Rendering Rendering { get; } = rendering;

    /// <summary>The value of a name; <see cref="Undefined"/> where it has none.</summary>
    public object? Get(string name)
    {
        for (var frame = this; frame is not null; frame = frame.Outer)
        {
            if (frame._values.TryGetValue(name, out var value))
                return value;
        }
        return new Undefined(name);
    }

    /// <summary>Gives a name a value, here and inward; what is around doesn't change.</summary>
    public void Set(string name, object? value) => _values[name] = value;

    /// <summary>A frame within this one.</summary>
    public Frame Inner() => new(Rendering, this);

    private Frame? Outer { get; } = outer;
}

/// <summary>What <c>namespace()</c> makes: values that inner parts of a template can change for outer ones.</summary>
internal sealed record Namespace(Dictionary<string, object?> Values);

/// <summary>Something that a template can call.</summary>
/// <param name="arguments">Arguments by position.</param>
/// <param name="named">Arguments by name.</param>
/// <param name="line">Where it is called.</param>
internal delegate object? Callable(IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, int line);
