namespace Rlgf.ChatTemplates.Jinja;

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
internal sealed record PlainText(string Text, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        frame.Rendering.Step();
        frame.Rendering.Write(Text);
        return Flow.Next;
    }
}

/// <summary><c>{{ a }}</c>.</summary>
internal sealed record Output(IExpression Value, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        frame.Rendering.Step();
        var value = Value.Evaluate(frame);
        frame.Rendering.Line = Line;
        frame.Rendering.Write(frame.Rendering.Escapes ? Html.Escape(value) : PythonText.Str(value));
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
internal sealed record If(IExpression Condition, Body Then, IStatement? Else, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        frame.Rendering.Step();
        return Truth.Of(Condition.Evaluate(frame)) ? Then.Execute(frame) : Else?.Execute(frame) ?? Flow.Next;
    }
}

/// <summary><c>{% break %}</c> and <c>{% continue %}</c>.</summary>
internal sealed record Jump(Flow Flow) : IStatement
{
    public Flow Execute(Frame frame) => Flow;
}

/// <summary><c>{% set a = b %}</c>.</summary>
internal sealed record Set(ITarget Target, IExpression Value, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        frame.Rendering.Step();
        Target.Store(Value.Evaluate(frame), frame);
        return Flow.Next;
    }
}

/// <summary><c>{% set a | b %} … {% endset %}</c>: a name for what is written within.</summary>
internal sealed record SetBlock(ITarget Target, IExpression Filtered, Body Body, Scope Scope, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        var (flow, value) = FilterBlock.Run(Body, Filtered, frame, Scope);
        if (flow == Flow.Next)
            Target.Store(frame.Rendering.Escapes ? new Markup(PythonText.Str(value)) : value, frame);
        return flow;
    }
}

/// <summary><c>{% filter a %} … {% endfilter %}</c>.</summary>
internal sealed record FilterBlock(IExpression Filtered, Body Body, Scope Scope, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        var (flow, value) = Run(Body, Filtered, frame, Scope);
        if (flow == Flow.Next)
            frame.Rendering.Write(frame.Rendering.Escapes ? Html.Escape(value) : PythonText.Str(value));
        return flow;
    }

    /// <summary>Runs a body and puts what it writes through filters; a jump out of it leaves that behind.</summary>
    public static (Flow Flow, object? Value) Run(Body body, IExpression filtered, Frame frame, Scope scope)
    {
        frame.Rendering.Step();
        var inner = frame.Inner(scope);
        var flow = Flow.Next;
        var text = frame.Rendering.Capture(() => flow = body.Execute(inner));
        inner.Set(Captured.Key, frame.Rendering.Escapes ? new Markup(text) : text);
        return (flow, flow == Flow.Next ? filtered.Evaluate(inner) : null);
    }
}

/// <summary><c>{% with a = b %} … {% endwith %}</c>.</summary>
internal sealed record With(IReadOnlyList<(ITarget Target, IExpression Value)> Values, Body Body, Scope Scope) : IStatement
{
    public Flow Execute(Frame frame)
    {
        var inner = frame.Inner(Scope);
        foreach (var (target, value) in Values)
            target.Store(value.Evaluate(frame), inner);
        return Body.Execute(inner);
    }
}

/// <summary><c>{% autoescape a %} … {% endautoescape %}</c>.</summary>
internal sealed record Autoescape(IExpression IsOn, Body Body, Scope Scope) : IStatement
{
    public Flow Execute(Frame frame)
    {
        var inner = frame.Inner(Scope);
        var before = frame.Rendering.Escapes;
        frame.Rendering.Escapes = Truth.Of(IsOn.Evaluate(inner));
        var flow = Body.Execute(inner);
        frame.Rendering.Escapes = before;
        return flow;
    }
}

/// <summary><c>{% generation %} … {% endgeneration %}</c>: what the assistant wrote.</summary>
internal sealed record Generation(Body Body, Scope Scope, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        frame.Rendering.Step();
        // To Jinja it is a macro that is called without arguments.
        var inner = frame.Inner(Scope);
        inner.Set("caller", new Undefined("caller"));
        inner.Set("varargs", PythonTuple.Of());
        inner.Set("kwargs", new PythonDict());
        if (frame.Rendering.Marks is not { } marks) return Body.Execute(inner);
        frame.Rendering.Write($"{marks.Begin}");
        var flow = Body.Execute(inner);
        frame.Rendering.Write($"{marks.End}");
        return flow;
    }
}

/// <summary><c>{% block a %} … {% endblock %}</c>, which chat templates have no other template for to fill.</summary>
internal sealed record Block(string Name, Body Body, Scope Scope, bool IsScoped, bool IsRequired, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        frame.Rendering.Step();
        if (IsRequired)
            throw new TemplateException($"has the required block '{Name}', which nothing fills");
        return frame.Rendering.Deeper(() => Body.Execute(IsScoped ? frame.Inner(Scope) : frame.OfBlock(Scope)));
    }
}

/// <summary>A statement that needs another template.</summary>
internal sealed record Missing(string Statement, int Line) : IStatement
{
    public Flow Execute(Frame frame) => throw new TemplateException($"uses '{{% {Statement} %}}', but a chat template has no others beside it", Line);
}
