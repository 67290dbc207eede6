namespace Rlgf.Text.Chat.Jinja;

/// <summary>Parses a template: the part of Jinja that chat templates are written in; what isn't in it is refused by name.</summary>
internal sealed class TemplateParser
{
    private const int MaxDepth = 100;

    private readonly string _name;
    private readonly IReadOnlyList<Segment> _segments;
    private int _at;
    private int _loops;
    private int _depth;

    private TemplateParser(string name, IReadOnlyList<Segment> segments) => (_name, _segments) = (name, segments);

    /// <summary>Parses a template.</summary>
    /// <param name="name">How errors call it.</param>
    /// <param name="source">Its text.</param>
    /// <exception cref="InputException">It isn't a template, or uses what isn't supported.</exception>
    public static Body Parse(string name, string source)
    {
        var parser = new TemplateParser(name, Lexer.Cut(name, source));
        return parser.ParseBody(1, out _);
    }

    /// <summary>Parses statements up to one of some ending words, or up to the end of the template where there are none.</summary>
    private Body ParseBody(int line, out ExpressionParser ending, params string[] endings)
    {
        if (++_depth > MaxDepth)
            throw new TemplateLimitException($"has blocks nested more than {MaxDepth} deep on line {line}");
        var statements = new List<IStatement>();
        for (; _at < _segments.Count; _at++)
        {
            var segment = _segments[_at];
            if (segment.Kind == SegmentKind.Data)
            {
                statements.Add(new Data(segment.Data, segment.Line));
                continue;
            }
            var tokens = new ExpressionParser(_name, segment.Tokens, segment.Line);
            if (segment.Kind == SegmentKind.Output)
            {
                statements.Add(new Output(tokens.ExpressionOrList(), segment.Line));
                tokens.RequireEnd();
                continue;
            }
            if (endings.FirstOrDefault(word => segment.Tokens is [{ Kind: TokenKind.Name } first, ..] && first.Text == word) is not null)
            {
                ending = tokens;
                _depth--;
                return new Body(statements);
            }
            statements.Add(ParseStatement(tokens, segment.Line));
        }
        ending = new ExpressionParser(_name, [], line);
        return endings.Length == 0 ? new Body(statements) : throw new InputException($"{_name}: line {line}: the template has a block without its {endings[^1]}.");
    }

    private IStatement ParseStatement(ExpressionParser tokens, int line)
    {
        // The one statement that begins with a keyword of expressions.
        if (tokens.TakeName("if"))
            return ParseIf(tokens, line);
        switch (tokens.IsAtEnd ? "" : tokens.RequireName())
        {
            case "for":
                return ParseFor(tokens, line);
            case "set":
                return ParseSet(tokens, line);
            case "macro":
                return ParseMacro(tokens, line);
            case "generation":
                // Marks what the assistant wrote, for training; the text is the same.
                tokens.RequireEnd();
                _at++;
                return ParseBody(line, out _, "endgeneration");
            case "break" when _loops > 0:
                tokens.RequireEnd();
                return new Jump(Flow.Break);
            case "continue" when _loops > 0:
                tokens.RequireEnd();
                return new Jump(Flow.Continue);
            case var other:
                throw new InputException($"{_name}: line {line}: the template uses '{{% {other} %}}', which isn't supported here; if, for, set, macro, generation, raw, and break and continue in a loop are.");
        }
    }

    private If ParseIf(ExpressionParser tokens, int line)
    {
        var branches = new List<(IExpression, Body)>();
        while (true)
        {
            var condition = tokens.Expression();
            tokens.RequireEnd();
            _at++;
            branches.Add((condition, ParseBody(line, out tokens, "elif", "else", "endif")));
            if (tokens.TakeName("elif"))
                continue;
            Body? otherwise = null;
            if (tokens.TakeName("else"))
            {
                tokens.RequireEnd();
                _at++;
                otherwise = ParseBody(line, out _, "endif");
            }
            return new If(branches, otherwise, line);
        }
    }

    private For ParseFor(ExpressionParser tokens, int line)
    {
        var targets = ParseTargets(tokens, bracketed: tokens.TakeOperator("("));
        if (!tokens.TakeName("in"))
            throw tokens.Error("needs 'in'");
        var items = tokens.Expression(allowIf: false);
        var condition = tokens.TakeName("if") ? tokens.Expression() : null;
        if (tokens.TakeName("recursive"))
            throw new InputException($"{_name}: line {line}: the template uses a recursive loop, which isn't supported.");
        tokens.RequireEnd();
        _at++;
        _loops++;
        var body = ParseBody(line, out tokens, "else", "endfor");
        _loops--;
        Body? otherwise = null;
        if (tokens.TakeName("else"))
        {
            tokens.RequireEnd();
            _at++;
            otherwise = ParseBody(line, out _, "endfor");
        }
        return new For(targets, items, condition, body, otherwise, line);
    }

    private static List<string> ParseTargets(ExpressionParser tokens, bool bracketed)
    {
        var targets = new List<string> { tokens.RequireName() };
        while (tokens.TakeOperator(","))
            targets.Add(tokens.RequireName());
        if (bracketed)
            tokens.RequireOperator(")");
        return targets;
    }

    private IStatement ParseSet(ExpressionParser tokens, int line)
    {
        var targets = ParseTargets(tokens, bracketed: false);
        var attribute = targets.Count == 1 && tokens.TakeOperator(".") ? tokens.RequireName() : null;
        if (tokens.TakeOperator("="))
        {
            var value = tokens.ExpressionOrList();
            tokens.RequireEnd();
            return new Set(targets, attribute, value, line);
        }
        tokens.RequireEnd();
        _at++;
        return new SetBlock(targets, attribute, ParseBody(line, out _, "endset"), line);
    }

    private Macro ParseMacro(ExpressionParser tokens, int line)
    {
        var name = tokens.RequireName();
        tokens.RequireOperator("(");
        var parameters = new List<(string, IExpression?)>();
        while (!tokens.TakeOperator(")"))
        {
            parameters.Add((tokens.RequireName(), tokens.TakeOperator("=") ? tokens.Expression() : null));
            if (tokens.TakeOperator(")"))
                break;
            tokens.RequireOperator(",");
        }
        tokens.RequireEnd();
        _at++;
        var loops = _loops;
        _loops = 0;
        var body = ParseBody(line, out _, "endmacro");
        _loops = loops;
        return new Macro(name, parameters, body, line);
    }
}
