namespace Rlgf.ChatTemplates.Jinja;

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

/// <summary><c>[a, b]</c>.</summary>
internal sealed record ListOf(IReadOnlyList<IExpression> Items) : IExpression
{
    public object? Evaluate(Frame frame) => Items.Select(item => item.Evaluate(frame)).ToList();
}

/// <summary><c>(a, b)</c>.</summary>
internal sealed record TupleOf(IReadOnlyList<IExpression> Items) : IExpression
{
    public object? Evaluate(Frame frame) => new PythonTuple([.. Items.Select(item => item.Evaluate(frame))]);
}

/// <summary><c>{'a': b}</c>.</summary>
internal sealed record DictOf(IReadOnlyList<(IExpression Key, IExpression Value)> Entries, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        var dict = new PythonDict();
        foreach (var (key, value) in Entries)
        {
            var name = key.Evaluate(frame);
            var entry = value.Evaluate(frame);
            frame.Rendering.Line = Line;
            dict[name] = entry;
        }
        return dict;
    }
}

/// <summary><c>a if b else c</c>.</summary>
internal sealed record Conditional(IExpression Condition, IExpression Then, IExpression? Else, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        if (Truth.Of(Condition.Evaluate(frame)))
            return Then.Evaluate(frame);
        return Else is null ? new Undefined($"the inline if of line {Line}, which has no else") : Else.Evaluate(frame);
    }
}

/// <summary><c>a and b</c>, <c>a or b</c>: the value that decides.</summary>
internal sealed record Both(IExpression Left, IExpression Right, bool IsAnd) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var left = Left.Evaluate(frame);
        return Truth.Of(left) == IsAnd ? Right.Evaluate(frame) : left;
    }
}

/// <summary><c>not a</c>.</summary>
internal sealed record Not(IExpression Operand) : IExpression
{
    public object? Evaluate(Frame frame) => !Truth.Of(Operand.Evaluate(frame));
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
            frame.Rendering.Line = Line;
            frame.Rendering.Step();
            if (!Holds(name, left, right, frame.Rendering))
                return false;
            left = right;
        }
        return true;
    }

    /// <summary>Whether a comparison holds.</summary>
    public static bool Holds(string name, object? left, object? right, Rendering rendering) => name switch
    {
        "==" => Equality.AreEqual(left, right),
        "!=" => !Equality.AreEqual(left, right),
        "in" => Arithmetic.Contains(right, left, rendering),
        "not in" => !Arithmetic.Contains(right, left, rendering),
        _ => Equality.IsOrdered(name, left, right),
    };
}

/// <summary><c>a + b</c> and the like.</summary>
internal sealed record Binary(string Operator, IExpression Left, IExpression Right, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var (left, right) = (Left.Evaluate(frame), Right.Evaluate(frame));
        frame.Rendering.Line = Line;
        return frame.Rendering.Made(Arithmetic.Apply(Operator, left, right, frame.Rendering));
    }
}

/// <summary><c>a ~ b</c>: both as text.</summary>
internal sealed record Concatenation(IReadOnlyList<IExpression> Parts, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        object? text = "";
        foreach (var part in Parts)
        {
            var value = part.Evaluate(frame);
            frame.Rendering.Line = Line;
            frame.Rendering.Step();
            // Under autoescape what is HTML stays so; else all of it is plain text.
            text = Html.Joined(text, frame.Rendering.Escapes && value is Markup ? value : PythonText.Str(value), frame.Rendering);
        }
        return frame.Rendering.Made(text);
    }
}

/// <summary><c>-a</c> and <c>+a</c>.</summary>
internal sealed record Signed(IExpression Operand, bool IsNegative, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        var value = Operand.Evaluate(frame);
        frame.Rendering.Line = Line;
        return Arithmetic.Signed(IsNegative, value);
    }
}

/// <summary><c>a.b</c>.</summary>
internal sealed record Member(IExpression Target, string Key, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var target = Target.Evaluate(frame);
        frame.Rendering.Line = Line;
        return Attributes.Get(target, Key, frame.Rendering);
    }
}

/// <summary><c>a[b]</c>.</summary>
internal sealed record Item(IExpression Target, IExpression Key, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var (target, key) = (Target.Evaluate(frame), Key.Evaluate(frame));
        frame.Rendering.Line = Line;
        return Attributes.Item(target, key, frame.Rendering);
    }
}

/// <summary><c>a[b:c:d]</c>.</summary>
internal sealed record Slice(IExpression Target, IExpression? Start, IExpression? Stop, IExpression? Step, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var (target, start, stop, step) = (Target.Evaluate(frame), Start?.Evaluate(frame), Stop?.Evaluate(frame), Step?.Evaluate(frame));
        frame.Rendering.Line = Line;
        return frame.Rendering.Made(Attributes.Slice(target, start, stop, step, frame.Rendering));
    }
}

/// <summary><c>a(b, c=d)</c>.</summary>
internal sealed record Call(IExpression Target, Arguments Arguments, int Line) : IExpression
{
    public object? Evaluate(Frame frame) => Evaluate(frame, caller: null);

    /// <summary>Its value; a macro is told what it may call back.</summary>
    public object? Evaluate(Frame frame, Macro? caller)
    {
        frame.Rendering.Step();
        var target = Target.Evaluate(frame);
        var arguments = Arguments.Evaluate(frame);
        frame.Rendering.Line = Line;
        if (caller is not null)
            arguments = arguments with { Named = new Dictionary<string, object?>(arguments.Named) { ["caller"] = caller } };
        if (target is ICallable callable)
            return frame.Rendering.Made(frame.Rendering.Deeper(() => callable.Call(arguments, frame.Rendering)));
        throw new TemplateException(target is Undefined undefined
            ? $"calls '{undefined.Name}', which is undefined or can't be called here"
            : $"calls a {PythonText.TypeOf(target)}");
    }
}

/// <summary><c>a | name(b)</c>.</summary>
internal sealed record Filtered(IExpression Target, string Name, Arguments Arguments, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var target = Target.Evaluate(frame);
        var arguments = Arguments.Evaluate(frame);
        frame.Rendering.Line = Line;
        return frame.Rendering.Made(FilterTable.Apply(Name, arguments.After(target), frame.Rendering));
    }
}

/// <summary><c>a is name(b)</c>.</summary>
internal sealed record Tested(IExpression Target, string Name, Arguments Arguments, int Line) : IExpression
{
    public object? Evaluate(Frame frame)
    {
        frame.Rendering.Step();
        var target = Target.Evaluate(frame);
        var arguments = Arguments.Evaluate(frame);
        frame.Rendering.Line = Line;
        return TestTable.Holds(Name, arguments.After(target), frame.Rendering);
    }
}

/// <summary>What the body of a block has written, before filters.</summary>
internal sealed record Captured : IExpression
{
    public object? Evaluate(Frame frame) => frame.Get(Key);

    /// <summary>The name that stands for it, which no template can have.</summary>
    public const string Key = "";
}

/// <summary>What is between the brackets of a call.</summary>
/// <param name="Positional">Arguments by position.</param>
/// <param name="Named">Arguments by name.</param>
/// <param name="Rest"><c>*a</c>.</param>
/// <param name="NamedRest"><c>**a</c>.</param>
internal sealed record Arguments(
    IReadOnlyList<IExpression> Positional, IReadOnlyList<(string Name, IExpression Value)> Named, IExpression? Rest = null, IExpression? NamedRest = null)
{
    /// <summary>No arguments.</summary>
    public static Arguments None { get; } = new([], []);

    /// <summary>One argument.</summary>
    public static Arguments Of(IExpression argument) => new([argument], []);

    /// <summary>Their values.</summary>
    public CallArguments Evaluate(Frame frame)
    {
        if (Positional.Count + Named.Count == 0 && Rest is null && NamedRest is null)
            return CallArguments.None;
        var positional = Positional.Select(argument => argument.Evaluate(frame)).ToList();
        var named = new Dictionary<string, object?>();
        foreach (var (name, value) in Named)
            named[name] = value.Evaluate(frame);
        if (Rest?.Evaluate(frame) is var rest && Rest is not null)
            positional.AddRange(Iteration.Of(rest, frame.Rendering) ?? throw new TemplateException($"gives a {PythonText.TypeOf(rest)} as many arguments"));
        if (NamedRest?.Evaluate(frame) is var more && NamedRest is not null)
        {
            foreach (var (key, value) in more as PythonDict ?? throw new TemplateException($"gives a {PythonText.TypeOf(more)} as arguments with names"))
            {
                if (PythonText.AsText(key) is not { } name || !named.TryAdd(name, value))
                    throw new TemplateException($"gives the argument {PythonText.Repr(key)} twice or by something that isn't a name");
            }
        }
        return new CallArguments(positional, named);
    }
}
