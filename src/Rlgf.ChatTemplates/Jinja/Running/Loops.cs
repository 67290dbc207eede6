using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary><c>{% for a in b if c recursive %} … {% else %} … {% endfor %}</c>; names set within end with the round.</summary>
internal sealed record For(
    ITarget Target, IExpression Items, IExpression? Condition, Body Body, Body? Else, bool IsRecursive,
    Scope Scope, Scope ConditionScope, Scope ElseScope, int Line) : IStatement
{
    public Flow Execute(Frame frame)
    {
        frame.Rendering.Line = Line;
        var items = Items.Evaluate(frame);
        if (!IsRecursive)
            return Run(items, frame, depth: 0);
        frame.Rendering.Write(Again(items, frame, depth: 0));
        return Flow.Next;
    }

    private string Again(object? items, Frame frame, int depth) =>
        frame.Rendering.Deeper(() => frame.Rendering.Capture(() => Run(items, frame, depth)));

    private Flow Run(object? value, Frame frame, int depth)
    {
        frame.Rendering.Line = Line;
        var items = Iteration.Of(value, frame.Rendering) ?? throw new TemplateException($"loops over a {PythonText.TypeOf(value)}");
        var loop = new LoopContext(
            Condition is null ? items : items.Where(item => Passes(item, frame)),
            Condition is null ? Iteration.Count(value) : null,
            depth,
            IsRecursive ? inner => Again(inner, frame, depth + 1) : null);
        // As in Jinja a round that is jumped out of doesn't count as one here.
        var isDone = false;
        while (loop.MoveNext())
        {
            frame.Rendering.Step();
            var round = frame.Inner(Scope);
            Target.Store(loop.Current, round);
            round.Set("loop", loop);
            var flow = Body.Execute(round);
            if (flow == Flow.Break)
                break;
            isDone |= flow == Flow.Next;
        }
        return isDone || Else is null ? Flow.Next : Else.Execute(frame.Inner(ElseScope));
    }

    private bool Passes(object? item, Frame frame)
    {
        frame.Rendering.Step();
        var inner = frame.Inner(ConditionScope);
        Target.Store(item, inner);
        return Truth.Of(Condition!.Evaluate(inner));
    }
}

/// <summary>What <c>loop</c> stands for. It looks no further ahead than somebody asks.</summary>
/// <param name="items">What the loop goes over.</param>
/// <param name="count">How many that are, where it is known.</param>
/// <param name="depth">How deep the loop is within itself.</param>
/// <param name="again">Runs the loop over something else; null where it isn't recursive.</param>
internal sealed class LoopContext(IEnumerable<object?> items, BigInteger? count, int depth, Func<object?, string>? again) : ICallable
{
    private IEnumerator<object?> _items = items.GetEnumerator();
    private (bool HasOne, object? Value)? _next;
    private object? _previous;
    private object? _changed;
    private BigInteger? _count = count;
    private int _index = -1;

    /// <summary>The element of this round.</summary>
    public object? Current { get; private set; }

    /// <inheritdoc/>
    public string TypeName => "LoopContext";

    /// <summary>How many rounds there are.</summary>
    public BigInteger Length
    {
        get
        {
            if (_count is null)
            {
                List<object?> rest = [];
                while (Peek() is { HasOne: true } next)
                {
                    rest.Add(next.Value);
                    _next = null;
                }
                _next = null;
                _items = rest.GetEnumerator();
                _count = rest.Count + _index + 1;
            }
            return _count.Value;
        }
    }

    /// <summary>What is left, as pairs of an element and the loop.</summary>
    public IEnumerable<object?> Rounds
    {
        get
        {
            while (MoveNext())
                yield return PythonTuple.Of(Current, this);
        }
    }

    /// <summary>Goes on to the next round.</summary>
    public bool MoveNext()
    {
        var (hasOne, value) = Peek();
        _next = null;
        if (!hasOne)
            return false;
        _index++;
        (_previous, Current) = (Current, value);
        return true;
    }

    /// <inheritdoc/>
    public string Repr() => $"<LoopContext {_index + 1}/{Length}>";

    /// <inheritdoc/>
    public bool TryGetAttribute(string name, out object? value)
    {
        value = name switch
        {
            "index" => (BigInteger)(_index + 1),
            "index0" => (BigInteger)_index,
            "revindex" => Length - _index,
            "revindex0" => Length - _index - 1,
            "first" => _index == 0,
            "last" => !Peek().HasOne,
            "length" => Length,
            "depth" => (BigInteger)(depth + 1),
            "depth0" => (BigInteger)depth,
            "previtem" => _index == 0 ? new Undefined("loop.previtem") : _previous,
            "nextitem" => Peek() is { HasOne: true } next ? next.Value : new Undefined("loop.nextitem"),
            "cycle" => new PythonFunction("cycle", new Signature("*args"), Cycle),
            "changed" => new PythonFunction("changed", new Signature("*value"), Changed),
            _ => this,
        };
        return value != this;
    }

    /// <inheritdoc/>
    public object? Call(CallArguments arguments, Rendering rendering) =>
        again is null ? throw new TemplateException("calls a loop that isn't recursive") : again(new Signature("iterable").Bind("loop()", arguments, rendering)[0]);

    private (bool HasOne, object? Value) Peek() => _next ??= _items.MoveNext() ? (true, _items.Current) : (false, null);

    private object? Cycle(BoundCall call)
    {
        var values = ((PythonTuple)call[0]!).Items;
        return values.Count > 0 ? values[_index % values.Count] : throw call.Error("without values");
    }

    private object Changed(BoundCall call)
    {
        var isChanged = _changed is null || !Equality.AreEqual(_changed, call[0]);
        _changed = call[0];
        return isChanged;
    }
}
