using System.Runtime.CompilerServices;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>An expression of a template.</summary>
internal interface IExpression
{
    /// <summary>Its value.</summary>
    object? Evaluate(Frame frame);
}

/// <summary>A value that the template spells.</summary>
internal sealed record Literal(object? Value) : IExpression
{
    public object? Evaluate(Frame frame) => Value;
}

/// <summary>A name.</summary>
internal sealed record Name(string Text) : IExpression
{
    public object? Evaluate(Frame frame) => frame.Get(Text);
}

/// <summary><c>[a, b]</c> or <c>(a, b)</c>.</summary>
internal sealed record ListOf(IReadOnlyList<IExpression> Items) : IExpression
{
    public object? Evaluate(Frame frame) => Items.Select(item => item.Evaluate(frame)).ToList();
}

/// <summary><c>{'a': b}</c>.</summary>
internal sealed record MapOf(IReadOnlyList<(IExpression Key, IExpression Value)> Entries, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        var map = new OrderedDictionary<string, object?>();
        foreach (var (key, value) in Entries)
            map[key.Evaluate(frame) as string ?? throw frame.Rendering.Error(Line, "has a key that isn't a text")] = value.Evaluate(frame);
        return map;
    }
}

/// <summary><c>a if b else c</c>.</summary>
internal sealed record Conditional(IExpression Condition, IExpression Then, IExpression? Else) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if (Values.IsTrue(Condition.Evaluate(frame)))
            return Then.Evaluate(frame);
        return Else is null ? new Undefined("else") : Else.Evaluate(frame);
    }
}

/// <summary><c>a and b</c>, <c>a or b</c>: the value that decides.</summary>
internal sealed record Both(IExpression Left, IExpression Right, bool IsAnd) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var left = Left.Evaluate(frame);
        return Values.IsTrue(left) == IsAnd ? Right.Evaluate(frame) : left;
    }
}

/// <summary><c>not a</c>.</summary>
internal sealed record Not(IExpression Operand) : IExpression
{
    public object? Evaluate(Frame frame) => !Values.IsTrue(Operand.Evaluate(frame));
}

/// <summary><c>a == b &lt; c</c>: comparisons in a row, all of which must hold.</summary>
internal sealed record Comparison(IExpression First, IReadOnlyList<(string Operator, IExpression Right)> Rest, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        var left = First.Evaluate(frame);
        foreach (var (name, expression) in Rest)
        {
            var right = expression.Evaluate(frame);
            if (!Operations.Holds(name, left, right, frame.Rendering, Line))
                return false;
            left = right;
        }
        return true;
    }
}

/// <summary><c>a + b</c> and the like.</summary>
internal sealed record Arithmetic(string Operator, IExpression Left, IExpression Right, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        return frame.Rendering.Made(Operations.Apply(Operator, Left.Evaluate(frame), Right.Evaluate(frame), frame.Rendering, Line), Line);
    }
}

/// <summary><c>-a</c>.</summary>
internal sealed record Negative(IExpression Operand, int Line) : IExpression
{
    public object? Evaluate(Frame frame) => Operations.Apply("-", 0L, Operand.Evaluate(frame), frame.Rendering, Line);
}

/// <summary><c>a.b</c>.</summary>
internal sealed record Member(IExpression Target, string Key, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        return Members.Get(Target.Evaluate(frame), Key, methodsFirst: true, frame.Rendering, Line);
    }
}

/// <summary><c>a[b]</c>.</summary>
internal sealed record Item(IExpression Target, IExpression Key, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        return Members.At(Target.Evaluate(frame), Key.Evaluate(frame), frame.Rendering, Line);
    }
}

/// <summary><c>a[b:c:d]</c>.</summary>
internal sealed record Slice(IExpression Target, IExpression? Start, IExpression? Stop, IExpression? Step, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        var step = Bound(Step) ?? 1;
        return Target.Evaluate(frame) switch
        {
            string text => new string([.. Positions(text.Length).Select(at => text[at])]),
            List<object?> list => Positions(list.Count).Select(at => list[at]).ToList(),
            var other => throw frame.Rendering.Error(Line, $"takes a part of a {Values.TypeOf(other)}"),
        };

        IEnumerable<int> Positions(int count)
        {
            if (step == 0)
                throw frame.Rendering.Error(Line, "takes every 0th part of a value");
            var start = Clip(Bound(Start), count, step > 0 ? 0 : count - 1);
            var stop = Clip(Bound(Stop), count, step > 0 ? count : -1);
            for (var at = start; step > 0 ? at < stop : at > stop; at += step)
            {
                frame.Rendering.Step(Line);
                yield return (int)at;
            }
        }

        long Clip(long? bound, int count, long otherwise) => bound is not { } at
            ? otherwise
            : Math.Clamp(at < 0 ? at + count : at, step > 0 ? 0 : -1, step > 0 ? count : count - 1);

        long? Bound(IExpression? expression) => expression?.Evaluate(frame) switch
        {
            null => null,
            var value => Values.Integer(value) is { } number and > -(1L << 40) and < 1L << 40 ? number : throw frame.Rendering.Error(Line, $"takes a part of a value from a {Values.TypeOf(value)}"),
        };
    }
}

/// <summary><c>a(b, c=d)</c>.</summary>
internal sealed record Call(IExpression Target, Arguments Arguments, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        return Target.Evaluate(frame) is Callable callable
            ? frame.Rendering.Made(callable(Arguments.Positional(frame), Arguments.Named(frame), Line), Line)
            : throw frame.Rendering.Error(Line, $"calls {Described}, which isn't a function that is supported");
    }

    private string Described => Target switch
    {
        Name name => name.Text,
        Member member => member.Key,
        _ => "a value",
    };
}

/// <summary><c>a | name(b)</c>.</summary>
internal sealed record Filtered(IExpression Target, string Name, Arguments Arguments, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        return Filters.Apply(Name, Target.Evaluate(frame), Arguments.Positional(frame), Arguments.Named(frame), frame.Rendering, Line);
    }
}

/// <summary><c>a is name(b)</c>.</summary>
internal sealed record Tested(IExpression Target, string Name, Arguments Arguments, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step(Line);
        return Tests.Holds(Name, Target.Evaluate(frame), Arguments.Positional(frame), frame.Rendering, Line);
    }
}

/// <summary>What is between the brackets of a call.</summary>
internal sealed record Arguments(IReadOnlyList<IExpression> ByPosition, IReadOnlyList<(string Name, IExpression Value)> ByName)
{
    /// <summary>No arguments.</summary>
    public static Arguments None { get; } = new([], []);

    /// <summary>The values of those without a name.</summary>
    public List<object?> Positional(Frame frame) => [.. ByPosition.Select(argument => argument.Evaluate(frame))];

    /// <summary>The values of those with one; the last counts.</summary>
    public Dictionary<string, object?> Named(Frame frame)
    {
        var named = new Dictionary<string, object?>();
        foreach (var (name, value) in ByName)
            named[name] = value.Evaluate(frame);
        return named;
    }
}
