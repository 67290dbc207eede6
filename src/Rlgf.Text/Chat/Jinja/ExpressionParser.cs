using System.Globalization;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>Parses the tokens of a tag, by Jinja's precedence.</summary>
internal sealed class ExpressionParser(string name, IReadOnlyList<Token> tokens, int line)
{
    private static readonly HashSet<string> Comparisons = ["==", "!=", "<", "<=", ">", ">="];
    private static readonly HashSet<string> Keywords = ["and", "or", "not", "in", "is", "if", "else"];

    private const int MaxDepth = 200;

    private int _at;
    private int _depth;

    /// <summary>Whether no token is left.</summary>
    public bool IsAtEnd => _at >= tokens.Count;

    /// <summary>The line of the next token.</summary>
    public int Line => IsAtEnd ? line : tokens[_at].Line;

    /// <summary>Takes a name or keyword if it comes next.</summary>
    public bool TakeName(string text) => Take(TokenKind.Name, text);

    /// <summary>Takes an operator if it comes next.</summary>
    public bool TakeOperator(string text) => Take(TokenKind.Operator, text);

    /// <summary>Takes the name that must come next.</summary>
    public string RequireName()
    {
        if (IsAtEnd || tokens[_at].Kind != TokenKind.Name || Keywords.Contains(tokens[_at].Text))
            throw Error("needs a name");
        return tokens[_at++].Text;
    }

    /// <summary>Takes the operator that must come next.</summary>
    public void RequireOperator(string text)
    {
        if (!TakeOperator(text))
            throw Error($"needs '{text}'");
    }

    /// <summary>Makes sure that no token is left.</summary>
    public void RequireEnd()
    {
        if (!IsAtEnd)
            throw Error("doesn't end");
    }

    /// <summary>An expression; several with commas between are a list.</summary>
    public IExpression ExpressionOrList()
    {
        var first = Expression();
        if (IsAtEnd || tokens[_at] is not { Kind: TokenKind.Operator, Text: "," })
            return first;
        var items = new List<IExpression> { first };
        while (TakeOperator(",") && !IsAtEnd)
            items.Add(Expression());
        return new ListOf(items);
    }

    /// <summary>An expression.</summary>
    /// <param name="allowIf">Whether <c>a if b</c> may follow, which isn't so in a loop, where the condition is the loop's.</param>
    public IExpression Expression(bool allowIf = true)
    {
        Enter();
        var value = Or();
        while (allowIf && TakeName("if"))
        {
            var condition = Or();
            value = new Conditional(condition, value, TakeName("else") ? Expression() : null);
        }
        _depth--;
        return value;
    }

    /// <summary>The arguments of a call, whose bracket is taken already.</summary>
    public Arguments Arguments()
    {
        var positional = new List<IExpression>();
        var named = new List<(string, IExpression)>();
        while (!TakeOperator(")"))
        {
            if (_at + 1 < tokens.Count && tokens[_at].Kind == TokenKind.Name && tokens[_at + 1] is { Kind: TokenKind.Operator, Text: "=" })
            {
                var key = RequireName();
                _at++;
                named.Add((key, Expression()));
            }
            else if (named.Count > 0)
            {
                throw Error("has an argument without a name after one with a name");
            }
            else
            {
                positional.Add(Expression());
            }
            if (TakeOperator(")"))
                break;
            RequireOperator(",");
        }
        return new Arguments(positional, named);
    }

    /// <summary>The error to throw about the next token.</summary>
    public InputException Error(string what) =>
        new($"{name}: line {Line}: the template {what}{(IsAtEnd ? " before the end of a tag" : $" at '{tokens[_at].Text}'")}.");

    private bool Take(TokenKind kind, string text)
    {
        if (IsAtEnd || tokens[_at].Kind != kind || tokens[_at].Text != text)
            return false;
        _at++;
        return true;
    }

    private IExpression Or()
    {
        var left = And();
        while (TakeName("or"))
            left = new Both(left, And(), IsAnd: false);
        return left;
    }

    private IExpression And()
    {
        var left = NotOr();
        while (TakeName("and"))
            left = new Both(left, NotOr(), IsAnd: true);
        return left;
    }

    private IExpression NotOr()
    {
        if (!TakeName("not"))
            return Compare();
        Enter();
        var negated = new Not(NotOr());
        _depth--;
        return negated;
    }

    /// <summary>Goes one level deeper, which ends somewhere: what is parsed here is worked out by as many calls within calls.</summary>
    private void Enter()
    {
        if (++_depth > MaxDepth)
            throw new TemplateLimitException($"has an expression nested more than {MaxDepth} deep on line {Line}");
    }

    private IExpression Compare()
    {
        var at = Line;
        var first = Sum();
        var rest = new List<(string, IExpression)>();
        while (!IsAtEnd)
        {
            var token = tokens[_at];
            if (token.Kind == TokenKind.Operator && Comparisons.Contains(token.Text))
            {
                _at++;
                rest.Add((token.Text, Sum()));
            }
            else if (TakeName("in"))
            {
                rest.Add(("in", Sum()));
            }
            else if (token is { Kind: TokenKind.Name, Text: "not" } && _at + 1 < tokens.Count && tokens[_at + 1] is { Kind: TokenKind.Name, Text: "in" })
            {
                _at += 2;
                rest.Add(("not in", Sum()));
            }
            else
            {
                break;
            }
        }
        return rest.Count == 0 ? first : new Comparison(first, rest, at);
    }

    private IExpression Sum() => LeftToRight(Concatenation, "+", "-");

    private IExpression Concatenation() => LeftToRight(Product, "~");

    private IExpression Product() => LeftToRight(Power, "*", "/", "//", "%");

    private IExpression Power() => LeftToRight(() => Unary(withFilters: true), "**");

    private IExpression LeftToRight(Func<IExpression> operand, params string[] operators)
    {
        var left = operand();
        while (!IsAtEnd && tokens[_at].Kind == TokenKind.Operator && operators.Contains(tokens[_at].Text))
        {
            var token = tokens[_at++];
            left = new Arithmetic(token.Text, left, operand(), token.Line);
        }
        return left;
    }

    private IExpression Unary(bool withFilters)
    {
        Enter();
        var at = Line;
        var value = TakeOperator("-") ? new Negative(Unary(withFilters: false), at) : TakeOperator("+") ? Unary(withFilters: false) : Primary();
        _depth--;
        value = Postfix(value);
        return withFilters ? FiltersAndTests(value) : value;
    }

    private IExpression Primary()
    {
        if (IsAtEnd)
            throw Error("needs a value");
        var token = tokens[_at];
        switch (token.Kind)
        {
            case TokenKind.Text:
                var text = "";
                // Texts side by side are one.
                for (; !IsAtEnd && tokens[_at].Kind == TokenKind.Text; _at++)
                    text += tokens[_at].Text;
                return new Literal(text);
            case TokenKind.Integer:
                _at++;
                return new Literal(long.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var whole) ? whole : throw Error($"has the number {token.Text}, which is too large"));
            case TokenKind.Float:
                _at++;
                return new Literal(double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Name:
                return NameOrConstant();
        }
        if (TakeOperator("("))
            return Group();
        if (TakeOperator("["))
            return new ListOf(Items("]"));
        return TakeOperator("{") ? Map(token.Line) : throw Error("needs a value");
    }

    private IExpression NameOrConstant()
    {
        var text = RequireName();
        return text switch
        {
            "true" or "True" => new Literal(true),
            "false" or "False" => new Literal(false),
            "none" or "None" => new Literal(null),
            _ => new Name(text),
        };
    }

    private IExpression Group()
    {
        if (TakeOperator(")"))
            return new ListOf([]);
        var first = Expression();
        if (TakeOperator(")"))
            return first;
        RequireOperator(",");
        return new ListOf([first, .. Items(")")]);
    }

    private List<IExpression> Items(string end)
    {
        var items = new List<IExpression>();
        while (!TakeOperator(end))
        {
            items.Add(Expression());
            if (TakeOperator(end))
                break;
            RequireOperator(",");
        }
        return items;
    }

    private MapOf Map(int at)
    {
        var entries = new List<(IExpression, IExpression)>();
        while (!TakeOperator("}"))
        {
            var key = Expression();
            RequireOperator(":");
            entries.Add((key, Expression()));
            if (TakeOperator("}"))
                break;
            RequireOperator(",");
        }
        return new MapOf(entries, at);
    }

    private IExpression Postfix(IExpression value)
    {
        while (true)
        {
            var at = Line;
            if (TakeOperator("."))
                value = !IsAtEnd && tokens[_at].Kind == TokenKind.Integer ? new Item(value, Primary(), at) : new Member(value, AnyName(), at);
            else if (TakeOperator("["))
                value = Subscript(value, at);
            else if (TakeOperator("("))
                value = new Call(value, Arguments(), at);
            else
                return value;
        }
    }

    private string AnyName() => !IsAtEnd && tokens[_at].Kind == TokenKind.Name ? tokens[_at++].Text : throw Error("needs a name");

    private IExpression Subscript(IExpression value, int at)
    {
        var start = IsNext(":") ? null : Expression();
        if (!TakeOperator(":"))
        {
            RequireOperator("]");
            return new Item(value, start!, at);
        }
        var stop = IsNext(":") || IsNext("]") ? null : Expression();
        var step = TakeOperator(":") && !IsNext("]") ? Expression() : null;
        RequireOperator("]");
        return new Slice(value, start, stop, step, at);
    }

    private bool IsNext(string text) => !IsAtEnd && tokens[_at].Kind == TokenKind.Operator && tokens[_at].Text == text;

    private IExpression FiltersAndTests(IExpression value)
    {
        while (true)
        {
            var at = Line;
            if (TakeOperator("|"))
                value = new Filtered(value, Known(AnyName(), Filters.Has, "filter"), TakeOperator("(") ? Arguments() : Jinja.Arguments.None, at);
            else if (TakeName("is"))
                value = Test(value, at);
            else if (TakeOperator("("))
                value = new Call(value, Arguments(), at);
            else
                return value;
        }
    }

    private IExpression Test(IExpression value, int at)
    {
        var negated = TakeName("not");
        var test = Known(AnyName(), Tests.Has, "test");
        var arguments = Jinja.Arguments.None;
        if (TakeOperator("("))
            arguments = Arguments();
        else if (!IsAtEnd && (tokens[_at].Kind is TokenKind.Text or TokenKind.Integer or TokenKind.Float || (tokens[_at].Kind == TokenKind.Name && !Keywords.Contains(tokens[_at].Text)) || IsNext("[") || IsNext("{")))
            arguments = new Arguments([Postfix(Primary())], []);
        IExpression tested = new Tested(value, test, arguments, at);
        return negated ? new Not(tested) : tested;
    }

    private string Known(string text, Func<string, bool> isKnown, string kind) =>
        isKnown(text) ? text : throw Error($"uses the {kind} '{text}', which isn't supported,");
}
