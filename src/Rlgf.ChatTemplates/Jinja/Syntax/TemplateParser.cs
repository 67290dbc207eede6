using System.Runtime.CompilerServices;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>Parses a template.</summary>
internal sealed class TemplateParser
{
    private const int MaxDepth = 100;

    private readonly TokenStream _tokens;
    private readonly ExpressionParser _expressions;
    private readonly Dictionary<string, Block> _blocks = [];
    private int _loops;
    private int _depth;

    private TemplateParser(IReadOnlyList<Token> tokens)
    {
        _tokens = new TokenStream(tokens);
        _expressions = new ExpressionParser(_tokens);
    }

    /// <summary>Parses a template.</summary>
    /// <exception cref="TemplateException">It isn't one.</exception>
    public static Template Parse(string source)
    {
        var parser = new TemplateParser(Lexer.Cut(source));
        var scope = parser._tokens.Scope;
        var body = parser._tokens.Within(scope, () => parser.Body(1));
        parser._tokens.RequireKnown();
        scope.Resolve();
        return new Template(body, scope, parser._blocks);
    }

    /// <summary>Parses statements up to one of some ending words, or up to the end of the template where there are none.</summary>
    private Body Body(int line, params string[] endings)
    {
        if (++_depth > MaxDepth)
            throw new TemplateException($"has blocks nested more than {MaxDepth} deep", line);
        var statements = new List<IStatement>();
        for (; _tokens.Current.Kind != TokenKind.End;)
        {
            var token = _tokens.Next();
            if (token.Kind == TokenKind.Data)
            {
                statements.Add(new PlainText(token.Text, token.Line));
            }
            else if (token.Kind == TokenKind.OutputBegin)
            {
                statements.Add(new Output(_expressions.ExpressionOrTuple(), token.Line));
                _tokens.RequireEnd(TokenKind.OutputEnd);
            }
            else
            {
                if (_tokens.Current.Kind == TokenKind.Name && endings.Contains(_tokens.Current.Text))
                {
                    _depth--;
                    return new Body(statements);
                }
                statements.Add(Statement(token.Line));
                _tokens.RequireEnd(TokenKind.BlockEnd);
            }
        }
        return endings.Length == 0 ? new Body(statements) : throw new TemplateException($"has a block without its {endings[^1]}", line);
    }

    /// <summary>Parses what follows the head of a block, up to its end. A colon may stand at the end of the head, as in Python.</summary>
    private Body Inside(int line, params string[] endings)
    {
        _tokens.TakeOperator(":");
        _tokens.RequireEnd(TokenKind.BlockEnd);
        return Body(line, endings);
    }

    private Body InsideToEnd(int line, string ending)
    {
        var body = Inside(line, ending);
        _tokens.Next();
        return body;
    }

    private IStatement Statement(int line)
    {
        var name = _tokens.RequireName();
        return name switch
        {
            "if" => If(line),
            "for" => For(line),
            "set" => Set(line),
            "macro" => Macro(line),
            "call" => CallBlock(line),
            "filter" => FilterBlock(line),
            "with" => With(line),
            "print" => Print(line),
            "autoescape" => Autoescape(line),
            "block" => BlockOf(line),
            // Marks what the assistant wrote, for training; the text is the same.
            "generation" => Generation(line),
            "break" when _loops > 0 => new Jump(Flow.Break),
            "continue" when _loops > 0 => new Jump(Flow.Continue),
            "break" or "continue" => throw new TemplateException($"uses '{{% {name} %}}' outside of a loop", line),
            "include" or "import" or "from" or "extends" => OtherTemplate(name, line),
            "else" or "elif" => throw new TemplateException($"uses '{{% {name} %}}', which ends no block there", line),
            _ when name.StartsWith("end", StringComparison.Ordinal) => throw new TemplateException($"uses '{{% {name} %}}', which ends no block there", line),
            _ => throw new TemplateException($"uses '{{% {name} %}}', which chat templates don't have", line),
        };
    }

    /// <summary>A part with names of its own. Jumps out of loops don't go through parts that become functions.</summary>
    private T Within<T>(Scope scope, bool isFunction, Func<T> parse)
    {
        var loops = _loops;
        _loops = isFunction ? 0 : loops;
        var result = _tokens.Within(scope, parse);
        _loops = loops;
        return result;
    }

    private Scope Inner() => new(_tokens.Scope);

    private If If(int line)
    {
        // Every elif is parsed within the branch before it.
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var mark = _tokens.Mark;
        var branches = new List<object>();
        var condition = _expressions.ExpressionOrTuple(allowIf: false);
        var then = _tokens.Scope.Branch(branches, () => Inside(line, "elif", "else", "endif"));
        IStatement? otherwise = null;
        var ending = _tokens.Next().Text;
        if (ending == "elif")
            otherwise = _tokens.Scope.Branch(branches, () => If(line));
        else if (ending == "else")
            otherwise = _tokens.Scope.Branch(branches, () => InsideToEnd(line, "endif"));
        _tokens.Scope.EndBranches(branches);
        _tokens.ForgiveUnknown(mark);
        return new If(condition, then, otherwise, line);
    }

    private For For(int line)
    {
        var target = _expressions.Target();
        if (target.Names.Contains("loop"))
            throw new TemplateException("sets 'loop' in a loop", line);
        _tokens.RequireKeyword("in");
        var items = _expressions.ExpressionOrTuple(allowIf: false);
        var (outer, test, inner) = (_tokens.Scope, Inner(), Inner());
        var condition = _tokens.TakeName("if") ? Within(Declared(test, target), isFunction: false, () => _expressions.Expression()) : null;
        var isRecursive = _tokens.TakeName("recursive");
        inner.Declare("loop");
        _loops++;
        var body = Within(Declared(inner, target), isFunction: false, () => Inside(line, "else", "endfor"));
        _loops--;
        Body? otherwise = null;
        var rest = new Scope(outer);
        if (_tokens.Next().Text == "else")
            otherwise = Within(rest, isFunction: isRecursive, () => InsideToEnd(line, "endfor"));
        return new For(target, items, condition, body, otherwise, isRecursive, inner, test, rest, line);
    }

    private static Scope Declared(Scope scope, ITarget target)
    {
        foreach (var name in target.Names)
            scope.Declare(name);
        return scope;
    }

    private IStatement Set(int line)
    {
        var target = _expressions.Target(allowAttributes: true);
        if (_tokens.TakeOperator("="))
        {
            var value = _expressions.ExpressionOrTuple();
            RecordSet(target);
            return new Set(target, value, line);
        }
        RecordSet(target);
        var scope = Inner();
        return Within(scope, isFunction: false, () =>
        {
            var filtered = _expressions.Filters(new Captured());
            return new SetBlock(target, filtered, InsideToEnd(line, "endset"), scope, line);
        });
    }

    private void RecordSet(ITarget target)
    {
        foreach (var name in target.Names)
            _tokens.Scope.Set(name != "loop" || _loops == 0 ? name : throw _tokens.Error("sets 'loop' in a loop"));
        foreach (var name in target.Namespaces)
            _tokens.Scope.Read(name);
    }

    private MacroDefinition Macro(int line)
    {
        var name = RequireTargetName();
        _tokens.Scope.Set(name);
        var scope = Inner();
        return Within(scope, isFunction: true, () =>
        {
            var parameters = Parameters(scope);
            return new MacroDefinition(name, Function(name, parameters, scope, line, () => InsideToEnd(line, "endmacro")));
        });
    }

    private static MacroFunction Function(string? name, IReadOnlyList<Parameter> parameters, Scope scope, int line, Func<Body> parseBody)
    {
        var mark = scope.LogMark;
        var body = parseBody();
        var read = scope.ReadSince(mark);
        if (read.Contains("caller") && parameters.Any(parameter => parameter is { Name: "caller", Default: null }))
            throw new TemplateException("has a macro that takes 'caller' without a default", line);
        return new MacroFunction(name, parameters, body, scope, read);
    }

    private List<Parameter> Parameters(Scope scope)
    {
        _tokens.RequireOperator("(");
        var parameters = new List<Parameter>();
        while (!_tokens.IsOperator(")"))
        {
            var name = RequireTargetName();
            var otherwise = _tokens.TakeOperator("=") ? _expressions.Expression() : null;
            if (otherwise is null && parameters.Count > 0 && parameters[^1].Default is not null)
                throw _tokens.Error("has a parameter without a default behind one with a default");
            if (parameters.Exists(parameter => parameter.Name == name))
                throw _tokens.Error("has two parameters of one name");
            parameters.Add(new Parameter(name, otherwise));
            scope.Declare(name);
            if (!_tokens.IsOperator(")"))
                _tokens.RequireOperator(",");
        }
        _tokens.RequireOperator(")");
        return parameters;
    }

    private string RequireTargetName()
    {
        var name = _tokens.RequireName();
        return name is not ("true" or "True" or "false" or "False" or "none" or "None") ? name : throw _tokens.Error($"sets '{name}', which isn't a name,");
    }

    private CallBlock CallBlock(int line)
    {
        var scope = Inner();
        var parameters = _tokens.IsOperator("(") ? Within(scope, isFunction: true, () => Parameters(scope)) : [];
        var call = _expressions.Expression() as Call ?? throw new TemplateException("has a call block without a call", line);
        return new CallBlock(call, Within(scope, isFunction: true, () => Function(null, parameters, scope, line, () => InsideToEnd(line, "endcall"))), line);
    }

    private FilterBlock FilterBlock(int line)
    {
        var scope = Inner();
        return Within(scope, isFunction: false, () =>
        {
            var filtered = _expressions.Filters(new Captured(), startsInline: true);
            return new FilterBlock(filtered, InsideToEnd(line, "endfilter"), scope, line);
        });
    }

    private With With(int line)
    {
        var scope = Inner();
        var values = new List<(ITarget, IExpression)>();
        while (_tokens.Current.Kind != TokenKind.BlockEnd && !_tokens.IsOperator(":"))
        {
            if (values.Count > 0)
                _tokens.RequireOperator(",");
            var target = _expressions.Target();
            _tokens.RequireOperator("=");
            values.Add((target, _expressions.Expression()));
            Declared(scope, target);
        }
        return new With(values, Within(scope, isFunction: false, () => InsideToEnd(line, "endwith")), scope);
    }

    private Body Print(int line)
    {
        var outputs = new List<IStatement>();
        while (_tokens.Current.Kind != TokenKind.BlockEnd)
        {
            if (outputs.Count > 0)
                _tokens.RequireOperator(",");
            outputs.Add(new Output(_expressions.Expression(), line));
        }
        return new Body(outputs);
    }

    private Autoescape Autoescape(int line)
    {
        var scope = Inner();
        return Within(scope, isFunction: false, () =>
        {
            var isOn = _expressions.Expression();
            return new Autoescape(isOn, InsideToEnd(line, "endautoescape"), scope);
        });
    }

    private Generation Generation(int line)
    {
        var scope = Inner();
        return new Generation(Within(scope, isFunction: true, () => InsideToEnd(line, "endgeneration")), scope, line);
    }

    private Block BlockOf(int line)
    {
        var name = _tokens.RequireName();
        var isScoped = _tokens.TakeName("scoped");
        var isRequired = _tokens.TakeName("required");
        if (_tokens.IsOperator("-"))
            throw _tokens.Error("names a block with a hyphen");
        // Blocks see what the template sets, but nothing of the parts that they stand in.
        var scope = new Scope(null);
        var body = Within(scope, isFunction: true, () => InsideToEnd(line, "endblock"));
        scope.Resolve();
        _tokens.TakeName(name);
        if (isRequired && body.Statements.Any(statement => statement is not PlainText data || data.Text.Any(character => !WhiteSpace.Is(character))))
            throw new TemplateException("has a required block that isn't empty", line);
        var block = new Block(name, body, scope, isScoped, isRequired, line);
        return _blocks.TryAdd(name, block) ? block : throw new TemplateException($"has two blocks named '{name}'", line);
    }

    /// <summary>Statements that need another template: Jinja stops where it comes to one, as chat templates have no others beside them.</summary>
    private Body OtherTemplate(string statement, int line)
    {
        _expressions.Expression();
        while (_tokens.Current.Kind is not (TokenKind.BlockEnd or TokenKind.End))
        {
            if (_tokens.Current.Kind == TokenKind.Name && (_tokens.IsName("as") || statement == "from") && _tokens.Following.Kind == TokenKind.Name)
                _tokens.Scope.Set(_tokens.Following.Text);
            _tokens.Next();
        }
        return new Body([new Missing(statement, line)]);
    }
}
