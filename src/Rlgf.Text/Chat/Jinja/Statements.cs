namespace Rlgf.Text.Chat.Jinja;

/// <summary>Where a template goes on after a statement.</summary>
internal enum Flow
{
    /// <summary>With the next statement.</summary>
    Next,

    /// <summary>With the next round of the loop.</summary>
    Continue,

    /// <summary>After the loop.</summary>
    Break,
}

/// <summary>A statement of a template.</summary>
internal interface IStatement
{
    /// <summary>Does it.</summary>
    Flow Execute(Frame frame);
}

/// <summary>Text as it stands.</summary>
internal sealed record Data(string Text, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Step(Line);
        frame.Rendering.Write(Text, Line);
        return Flow.Next;
    }
}

/// <summary><c>{{ a }}</c>.</summary>
internal sealed record Output(IExpression Value, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Step(Line);
        frame.Rendering.Write(Values.Text(Value.Evaluate(frame)), Line);
        return Flow.Next;
    }
}

/// <summary>Statements in a row.</summary>
internal sealed record Body(IReadOnlyList<IStatement> Statements) : IStatement
{
    public Flow Execute(Frame frame)
    {
        foreach (var statement in Statements)
        {
            if (statement.Execute(frame) is not Flow.Next and var flow)
                return flow;
        }
        return Flow.Next;
    }
}

/// <summary><c>{% if a %} … {% elif b %} … {% else %} … {% endif %}</c>; names set within are set around it.</summary>
internal sealed record If(IReadOnlyList<(IExpression Condition, Body Then)> Branches, Body? Else, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Step(Line);
        foreach (var (condition, then) in Branches)
        {
            if (Values.IsTrue(condition.Evaluate(frame)))
                return then.Execute(frame);
        }
        return Else?.Execute(frame) ?? Flow.Next;
    }
}

/// <summary><c>{% break %}</c> and <c>{% continue %}</c>.</summary>
internal sealed record Jump(Flow Flow) : IStatement
{
    public Flow Execute(Frame frame) => Flow;
}

/// <summary><c>{% for a in b if c %} … {% else %} … {% endfor %}</c>; names set within end with the round.</summary>
internal sealed record For(IReadOnlyList<string> Targets, IExpression Items, IExpression? Condition, Body Body, Body? Else, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        var value = Items.Evaluate(frame);
        var items = Sequence.Of(value) ?? throw frame.Rendering.Error(Line, $"loops over a {Values.TypeOf(value)}");
        if (Condition is not null)
            items = [.. items.Where(item => Passes(item, frame))];
        if (items.Count == 0)
            return Else?.Execute(frame.Inner()) ?? Flow.Next;
        for (var i = 0; i < items.Count; i++)
        {
            frame.Rendering.Step(Line);
            var round = frame.Inner();
            Assign(items[i], round);
            round.Set("loop", new Loop(items, i));
            if (Body.Execute(round) == Flow.Break)
                break;
        }
        return Flow.Next;
    }

    private bool Passes(object? item, Frame frame)
    {
        frame.Rendering.Step(Line);
        var inner = frame.Inner();
        Assign(item, inner);
        return Values.IsTrue(Condition!.Evaluate(inner));
    }

    private void Assign(object? item, Frame round)
    {
        if (Targets.Count == 1)
            round.Set(Targets[0], item);
        else
            Set.Unpack(Targets, item, round, Line);
    }
}

/// <summary>What <c>loop</c> stands for.</summary>
internal sealed record Loop(List<object?> Items, int Index)
{
    /// <summary>What a template may ask about the loop.</summary>
    public object? Get(string key, Rendering rendering) => key switch
    {
        "index" => Index + 1L,
        "index0" => (long)Index,
        "revindex" => (long)Items.Count - Index,
        "revindex0" => Items.Count - Index - 1L,
        "first" => Index == 0,
        "last" => Index == Items.Count - 1,
        "length" => (long)Items.Count,
        "previtem" => Index > 0 ? Items[Index - 1] : new Undefined(key),
        "nextitem" => Index + 1 < Items.Count ? Items[Index + 1] : new Undefined(key),
        "cycle" => (Callable)((arguments, _, line) => arguments.Count > 0 ? arguments[Index % arguments.Count] : throw rendering.Error(line, "calls cycle() without values")),
        _ => new Undefined($"loop.{key}"),
    };
}

/// <summary><c>{% set a = b %}</c>, <c>{% set a, b = c %}</c> and <c>{% set a.b = c %}</c>.</summary>
internal sealed record Set(IReadOnlyList<string> Targets, string? Attribute, IExpression Value, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Step(Line);
        Store(Targets, Attribute, Value.Evaluate(frame), frame, Line);
        return Flow.Next;
    }

    /// <summary>Gives names, or an attribute of a namespace, a value.</summary>
    public static void Store(IReadOnlyList<string> targets, string? attribute, object? value, Frame frame, int line)
    {
        if (attribute is not null)
        {
            var space = frame.Get(targets[0]) as Namespace ?? throw frame.Rendering.Error(line, $"sets {targets[0]}.{attribute}, but {targets[0]} isn't a namespace");
            space.Values[attribute] = value;
        }
        else if (targets.Count == 1)
        {
            frame.Set(targets[0], value);
        }
        else
        {
            Unpack(targets, value, frame, line);
        }
    }

    /// <summary>Gives each of several names an element.</summary>
    public static void Unpack(IReadOnlyList<string> targets, object? value, Frame frame, int line)
    {
        if (Sequence.Of(value) is not { } elements || elements.Count != targets.Count)
            throw frame.Rendering.Error(line, $"sets {targets.Count} names from a {Values.TypeOf(value)} that doesn't have as many elements");
        for (var i = 0; i < targets.Count; i++)
            frame.Set(targets[i], elements[i]);
    }
}

/// <summary><c>{% set a %} … {% endset %}</c>: a name for what is written within.</summary>
internal sealed record SetBlock(IReadOnlyList<string> Targets, string? Attribute, Body Body, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        Set.Store(Targets, Attribute, frame.Rendering.Capture(Line, () => Body.Execute(frame.Inner())), frame, Line);
        return Flow.Next;
    }
}

/// <summary><c>{% macro a(b, c=d) %} … {% endmacro %}</c>.</summary>
internal sealed record Macro(string Name, IReadOnlyList<(string Name, IExpression? Default)> Parameters, Body Body, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Set(Name, (Callable)((arguments, named, line) => Run(frame, arguments, named, line)));
        return Flow.Next;
    }

    private string Run(Frame frame, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, int line)
    {
        if (arguments.Count > Parameters.Count)
            throw frame.Rendering.Error(line, $"calls {Name}() with {arguments.Count} arguments; it takes {Parameters.Count}");
        if (named.Keys.FirstOrDefault(key => Parameters.All(parameter => parameter.Name != key)) is { } unknown)
            throw frame.Rendering.Error(line, $"calls {Name}() with '{unknown}', which it doesn't take");
        return frame.Rendering.Capture(line, () =>
        {
            var inner = frame.Inner();
            for (var i = 0; i < Parameters.Count; i++)
            {
                var (name, otherwise) = Parameters[i];
                inner.Set(name, i < arguments.Count ? arguments[i] : named.TryGetValue(name, out var value) ? value : otherwise is null ? new Undefined(name) : otherwise.Evaluate(inner));
            }
            Body.Execute(inner);
        });
    }
}
