namespace Rlgf.ChatTemplates.Jinja;

/// <summary>What a template can set.</summary>
internal interface ITarget
{
    /// <summary>The names that it sets.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>The namespaces of which it sets attributes.</summary>
    IEnumerable<string> Namespaces { get; }

    /// <summary>Sets it.</summary>
    void Store(object? value, Frame frame);
}

/// <summary>A name.</summary>
internal sealed record NameTarget(string Name) : ITarget
{
    public IEnumerable<string> Names => [Name];

    public IEnumerable<string> Namespaces => [];

    public void Store(object? value, Frame frame) => frame.Set(Name, value);
}

/// <summary>An attribute of a namespace.</summary>
internal sealed record AttributeTarget(string Space, string Attribute, int Line) : ITarget
{
    public IEnumerable<string> Names => [];

    public IEnumerable<string> Namespaces => [Space];

    public void Store(object? value, Frame frame)
    {
        frame.Rendering.Line = Line;
        var space = frame.Get(Space) as Namespace ?? throw new TemplateException($"sets {Space}.{Attribute}, but {Space} isn't a namespace");
        space.Values[Attribute] = value;
    }
}

/// <summary>Several at once, each from an element of a value.</summary>
internal sealed record TupleTarget(IReadOnlyList<ITarget> Targets) : ITarget
{
    public IEnumerable<string> Names => Targets.SelectMany(target => target.Names);

    public IEnumerable<string> Namespaces => Targets.SelectMany(target => target.Namespaces);

    public void Store(object? value, Frame frame)
    {
        var elements = Iteration.Of(value, frame.Rendering)?.Take(Targets.Count + 1).ToList();
        if (elements?.Count != Targets.Count)
            throw new TemplateException($"sets {Targets.Count} names from a {PythonText.TypeOf(value)} that doesn't have as many elements");
        for (var i = 0; i < elements.Count; i++)
            Targets[i].Store(elements[i], frame);
    }
}
