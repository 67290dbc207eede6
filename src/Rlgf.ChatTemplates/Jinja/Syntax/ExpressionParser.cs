using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Parses expressions, by Jinja's precedence.</summary>
internal sealed class ExpressionParser(TokenStream tokens)
{
    private const int MaxDepth = 200;
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private int _depth;

    /// <summary>An expression; several with commas between are a tuple.</summary>
    /// <param name="allowIf">Whether <c>a if b</c> may follow.</param>
    public IExpression ExpressionOrTuple(bool allowIf = true)
    {
        if (IsTupleEnd())
            throw tokens.Error("needs a value");
        var first = Expression(allowIf);
        return tokens.IsOperator(",") ? new TupleOf(Rest(first, IsTupleEnd, () => Expression(allowIf))) : first;
    }

    /// <summary>An expression.</summary>
    /// <param name="allowIf">Whether <c>a if b</c> may follow, which isn't so in a loop, where the condition is the loop's.</param>
    public IExpression Expression(bool allowIf = true)
    {
        Enter();
        var (mark, line) = (tokens.Mark, tokens.Line);
        var value = Or();
        while (allowIf && tokens.TakeName("if"))
        {
            var condition = Or();
            value = new Conditional(condition, value, tokens.TakeName("else") ? Expression() : null, line);
            tokens.ForgiveUnknown(mark);
        }
        _depth--;
        return value;
    }

    /// <summary>What may be set: a name, an attribute of a namespace, or several in a tuple.</summary>
    /// <param name="allowAttributes">Whether attributes of namespaces may be set.</param>
    public ITarget Target(bool allowAttributes = false)
    {
        var mark = tokens.Scope.Mark;
        var first = Part();
        var target = tokens.IsOperator(",") ? new TupleTarget(Rest(first, IsTupleEnd, Part)) : first;
        tokens.Scope.Forget(mark);
        return target;

        ITarget Part()
        {
            var line = tokens.Line;
            if (allowAttributes && tokens.Current.Kind == TokenKind.Name && tokens.Following is { Kind: TokenKind.Operator, Text: "." })
            {
                var name = tokens.RequireName();
                tokens.RequireOperator(".");
                return new AttributeTarget(name, tokens.RequireName(), line);
            }
            return AsTarget(Primary(), line);
        }
    }

    /// <summary>The arguments of a call, in brackets.</summary>
    public Arguments Arguments()
    {
        var line = tokens.Line;
        tokens.RequireOperator("(");
        var positional = new List<IExpression>();
        var named = new List<(string Name, IExpression Value)>();
        IExpression? rest = null, namedRest = null;
        while (!tokens.IsOperator(")"))
        {
            if (tokens.TakeOperator("*"))
                rest = rest is null && namedRest is null ? Expression() : throw Wrong();
            else if (tokens.TakeOperator("**"))
                namedRest = namedRest is null ? Expression() : throw Wrong();
            else if (tokens.Current.Kind == TokenKind.Name && tokens.Following is { Kind: TokenKind.Operator, Text: "=" })
                named.Add(namedRest is null ? Named() : throw Wrong());
            else if (rest is null && namedRest is null && named.Count == 0)
                positional.Add(Expression());
            else
                throw Wrong();
            if (!tokens.TakeOperator(","))
                break;
        }
        tokens.RequireOperator(")");
        if (named.DistinctBy(argument => argument.Name).Count() < named.Count)
            throw new TemplateException("gives an argument of a call twice", line);
        return new Arguments(positional, named, rest, namedRest);

        (string, IExpression) Named()
        {
            var name = tokens.RequireName();
            tokens.RequireOperator("=");
            return (name, Expression());
        }

        TemplateException Wrong() => new("has arguments of a call in an order that isn't allowed", line);
    }

    /// <summary>Filters after a value: <c>| a | b(c)</c>, or <c>a(b) | c</c> where the first has no bar.</summary>
    public IExpression Filters(IExpression value, bool startsInline = false)
    {
        while (startsInline || tokens.TakeOperator("|"))
        {
            startsInline = false;
            var line = tokens.Line;
            var name = DottedName();
            if (!FilterTable.Has(name))
                tokens.NoteUnknown($"uses the filter '{name}', which {FilterTable.WhyNot(name)}", line);
            value = new Filtered(value, name, tokens.IsOperator("(") ? Arguments() : Jinja.Arguments.None, line);
        }
        return value;
    }

    private static ITarget AsTarget(IExpression expression, int line) => expression switch
    {
        Name name => new NameTarget(name.Text),
        TupleOf tuple => new TupleTarget([.. tuple.Items.Select(item => AsTarget(item, line))]),
        _ => throw new TemplateException("sets something that isn't a name", line),
    };

    private List<T> Rest<T>(T first, Func<bool> isEnd, Func<T> parse)
    {
        var items = new List<T> { first };
        while (tokens.TakeOperator(",") && !isEnd())
            items.Add(parse());
        return items;
    }

    private bool IsTupleEnd() =>
        tokens.Current.Kind is TokenKind.OutputEnd or TokenKind.BlockEnd || tokens.IsOperator(")");

    /// <summary>Goes one level deeper, which ends somewhere: what is parsed here is worked out by as many calls within calls.</summary>
    private void Enter()
    {
        if (++_depth > MaxDepth)
            throw new TemplateException($"has an expression nested more than {MaxDepth} deep", tokens.Line);
    }

    private IExpression Or()
    {
        var left = And();
        while (tokens.TakeName("or"))
            left = new Both(left, And(), IsAnd: false);
        return left;
    }

    private IExpression And()
    {
        var left = NotOr();
        while (tokens.TakeName("and"))
            left = new Both(left, NotOr(), IsAnd: true);
        return left;
    }

    private IExpression NotOr()
    {
        if (!tokens.TakeName("not"))
            return Compare();
        Enter();
        var negated = new Not(NotOr());
        _depth--;
        return negated;
    }

    private IExpression Compare()
    {
        var line = tokens.Line;
        var first = Sum();
        var rest = new List<(string, IExpression)>();
        while (Comparison() is { } comparison)
            rest.Add((comparison, Sum()));
        return rest.Count == 0 ? first : new Comparison(first, rest, line);
    }

    private string? Comparison()
    {
        if (tokens.Current.Kind == TokenKind.Operator && Comparisons.Contains(tokens.Current.Text))
            return tokens.Next().Text;
        if (tokens.TakeName("in"))
            return "in";
        if (!tokens.IsName("not") || tokens.Following is not { Kind: TokenKind.Name, Text: "in" })
            return null;
        tokens.Next();
        tokens.Next();
        return "not in";
    }

    private IExpression Sum() => LeftToRight(Concatenation, "+", "-");

    private IExpression Concatenation()
    {
        var line = tokens.Line;
        var parts = new List<IExpression> { Product() };
        while (tokens.TakeOperator("~"))
            parts.Add(Product());
        return parts.Count == 1 ? parts[0] : new Concatenation(parts, line);
    }

    private IExpression Product() => LeftToRight(Power, "*", "/", "//", "%");

    private IExpression Power() => LeftToRight(() => Unary(withFilters: true), "**");

    private IExpression LeftToRight(Func<IExpression> operand, params string[] operators)
    {
        var left = operand();
        while (tokens.Current.Kind == TokenKind.Operator && operators.Contains(tokens.Current.Text))
        {
            var token = tokens.Next();
            left = new Binary(token.Text, left, operand(), token.Line);
        }
        return left;
    }

    private IExpression Unary(bool withFilters)
    {
        Enter();
        var line = tokens.Line;
        var value = tokens.TakeOperator("-") ? new Signed(Unary(withFilters: false), IsNegative: true, line)
            : tokens.TakeOperator("+") ? new Signed(Unary(withFilters: false), IsNegative: false, line)
            : Primary();
        _depth--;
        value = Postfix(value);
        return withFilters ? FiltersAndTests(value) : value;
    }

    private IExpression Primary()
    {
        var token = tokens.Current;
        if (token.Kind == TokenKind.Name)
            return NameOrConstant(tokens.Next().Text);
        if (token is { Kind: TokenKind.Literal, Value: string })
        {
            var text = "";
            // Texts side by side are one.
            while (tokens.Current is { Kind: TokenKind.Literal, Value: string part })
            {
                text += part;
                tokens.Next();
            }
            return new Literal(text);
        }
        if (token.Kind == TokenKind.Literal)
            return new Literal(tokens.Next().Value);
        if (tokens.TakeOperator("("))
            return Group();
        if (tokens.TakeOperator("["))
            return new ListOf(Items("]", () => Expression()));
        return tokens.TakeOperator("{") ? new DictOf(Items("}", Entry), token.Line) : throw tokens.Error("needs a value");
    }

    private IExpression NameOrConstant(string text)
    {
        switch (text)
        {
            case "true" or "True":
                return new Literal(true);
            case "false" or "False":
                return new Literal(false);
            case "none" or "None":
                return new Literal(null);
            default:
                tokens.Scope.Read(text);
                return new Name(text);
        }
    }

    private IExpression Group()
    {
        if (tokens.TakeOperator(")"))
            return new TupleOf([]);
        var value = ExpressionOrTuple();
        tokens.RequireOperator(")");
        return value;
    }

    private List<T> Items<T>(string end, Func<T> parse)
    {
        var items = new List<T>();
        while (!tokens.IsOperator(end))
        {
            items.Add(parse());
            if (!tokens.TakeOperator(","))
                break;
        }
        tokens.RequireOperator(end);
        return items;
    }

    private (IExpression, IExpression) Entry()
    {
        var key = Expression();
        tokens.RequireOperator(":");
        return (key, Expression());
    }

    private IExpression Postfix(IExpression value)
    {
        while (true)
        {
            var line = tokens.Line;
            if (tokens.TakeOperator("."))
                value = tokens.Current.Value is BigInteger ? new Item(value, new Literal(tokens.Next().Value), line) : new Member(value, tokens.RequireName(), line);
            else if (tokens.TakeOperator("["))
                value = Subscript(value, line);
            else if (tokens.IsOperator("("))
                value = new Call(value, Arguments(), line);
            else
                return value;
        }
    }

    private IExpression Subscript(IExpression value, int line)
    {
        var keys = new List<IExpression>();
        while (!tokens.IsOperator("]"))
        {
            var start = tokens.IsOperator(":") ? null : Expression();
            if (tokens.IsOperator(":") && SliceOf(value, start, line) is var slice)
            {
                if (keys.Count == 0 && tokens.TakeOperator("]"))
                    return slice;
                // Among several keys a part is only a key that nothing has.
                start = new Literal(new Undefined("a part"));
            }
            keys.Add(start!);
            if (!tokens.TakeOperator(","))
                break;
        }
        tokens.RequireOperator("]");
        return new Item(value, keys.Count == 1 ? keys[0] : new TupleOf(keys), line);
    }

    private Slice SliceOf(IExpression value, IExpression? start, int line)
    {
        tokens.RequireOperator(":");
        var stop = tokens.IsOperator(":") || tokens.IsOperator("]") || tokens.IsOperator(",") ? null : Expression();
        var step = tokens.TakeOperator(":") && !tokens.IsOperator("]") && !tokens.IsOperator(",") ? Expression() : null;
        return new Slice(value, start, stop, step, line);
    }

    private IExpression FiltersAndTests(IExpression value)
    {
        while (true)
        {
            var line = tokens.Line;
            if (tokens.IsOperator("|"))
                value = Filters(value);
            else if (tokens.TakeName("is"))
                value = Test(value, line);
            else if (tokens.IsOperator("("))
                value = new Call(value, Arguments(), line);
            else
                return value;
        }
    }

    private IExpression Test(IExpression value, int line)
    {
        var isNegated = tokens.TakeName("not");
        var name = DottedName();
        if (!TestTable.Has(name))
            tokens.NoteUnknown($"uses the test '{name}', which Jinja doesn't have", line);
        var arguments = Jinja.Arguments.None;
        if (tokens.IsOperator("("))
            arguments = Arguments();
        else if (tokens.IsName("is"))
            throw tokens.Error("has a test of a test");
        else if (IsArgument())
            arguments = Jinja.Arguments.Of(Postfix(Primary()));
        IExpression tested = new Tested(value, name, arguments, line);
        return isNegated ? new Not(tested) : tested;
    }

    /// <summary>Whether a value comes next that can be a test's argument without brackets.</summary>
    private bool IsArgument() => tokens.Current.Kind switch
    {
        TokenKind.Literal => true,
        TokenKind.Name => tokens.Current.Text is not ("else" or "or" or "and"),
        _ => tokens.IsOperator("[") || tokens.IsOperator("{"),
    };

    private string DottedName()
    {
        var name = tokens.RequireName();
        while (tokens.TakeOperator("."))
            name += "." + tokens.RequireName();
        return name;
    }
}
