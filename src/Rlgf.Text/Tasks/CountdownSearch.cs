using System.Text;
using Rlgf.Base;

namespace Rlgf.Text.Tasks;

/// <summary>What is still open of an expression that somebody began, and how it can be finished: every number of a countdown used once.</summary>
/// <remarks>
/// The finishes are all that a left-to-right reading allows: numbers in any order, + − * / and brackets. Brackets that change nothing, such as those of (2 + 3) + 4, are left out; those that stand in the beginning are closed.
/// Signs before an operand are read and not written. Written as the package writes: blanks around + and −, none around * and /.
/// </remarks>
public sealed class CountdownSearch
{
    /// <summary>Of four different numbers there are 5,856 expressions, of five 285,600, and of more too many to try.</summary>
    public const int MaxNumbers = 5;

    private readonly CountdownProblem _problem;

    /// <summary>A search for a problem's expressions.</summary>
    /// <exception cref="ArgumentException">There are more numbers than can be tried.</exception>
    public CountdownSearch(CountdownProblem problem)
    {
        if (problem.Numbers.Count > MaxNumbers) throw new ArgumentException($"A search tries at most {MaxNumbers} numbers.", nameof(problem));
        _problem = problem;
    }

    /// <summary>Finishes an expression, so that its value is the target or is another one: the first such finish of all of them, tried in an order that is drawn.</summary>
    /// <param name="beginning">What stands there; it may end anywhere, within a number too.</param>
    /// <param name="right">Whether the value is to be the target.</param>
    /// <param name="random">Draws the order.</param>
    /// <returns>What follows the beginning, empty where nothing has to; null where it can't be finished so.</returns>
    public string? Finish(string beginning, bool right, RandomStream random)
    {
        foreach (var (state, text) in Beginnings(beginning, random))
        {
            var written = new StringBuilder(text);
            if (Finish(state, written, right, random)) return written.ToString();
        }

        return null;
    }

    /// <summary>All finishes of an expression with their values: for tests, and to count.</summary>
    /// <param name="beginning">What stands there.</param>
    public IEnumerable<(string Text, Fraction Value)> All(string beginning) =>
        Beginnings(beginning, null).SelectMany(start => All(start.State, start.Text));

    private static IEnumerable<(string Text, Fraction Value)> All(State state, string text)
    {
        if (state.IsDone) yield return (text, state.Level.Value);
        foreach (var step in state.Steps())
            foreach (var finish in All(step.State, text + step.Text)) yield return finish;
    }

    private bool Finish(State state, StringBuilder written, bool right, RandomStream random)
    {
        if (state.IsDone && state.Level.Value == _problem.Target == right) return true;
        var steps = state.Steps().ToArray();
        random.Shuffle(steps.AsSpan());
        foreach (var step in steps)
        {
            var length = written.Length;
            written.Append(step.Text);
            if (Finish(step.State, written, right, random)) return true;
            written.Length = length;
        }

        return false;
    }

    /// <summary>The states that a beginning may stand for: the number at its end may be whole, or go on. None where it is no beginning of an expression of the given numbers.</summary>
    private (State State, string Text)[] Beginnings(string beginning, RandomStream? random)
    {
        var state = new State(Level.First(null, false), [.. _problem.Numbers], ExpectsOperand: true, Sign: 1, MustMultiply: false);
        for (var at = 0; at < beginning.Length; at++)
        {
            var symbol = beginning[at];
            if (symbol is ' ' or '\t') continue;
            if (!char.IsAsciiDigit(symbol))
            {
                if (state.Read(symbol) is not { } next) return [];
                state = next;
                continue;
            }

            var end = at;
            while (end < beginning.Length && char.IsAsciiDigit(beginning[end])) end++;
            var digits = beginning[at..end];
            if (!state.ExpectsOperand) return [];
            if (end == beginning.Length) return Continued(state, digits, random);
            if (state.Remaining.FirstOrDefault(number => Written(number) == digits, -1) is not (>= 0 and var known) || state.Operand(known) is not { } after) return [];
            (state, at) = (after, end - 1);
        }

        // A blank where one belongs isn't written twice.
        return [(state with { AfterBlank = beginning.Length > 0 && beginning[^1] is ' ' or '\t' }, "")];
    }

    private static (State State, string Text)[] Continued(State state, string digits, RandomStream? random)
    {
        var goingOn = state.Remaining.Distinct().Where(number => Written(number).StartsWith(digits, StringComparison.Ordinal))
            .Select(number => (State: state.Operand(number), Text: Written(number)[digits.Length..])).Where(start => start.State is not null).Select(start => (start.State!, start.Text)).ToArray();
        random?.Shuffle(goingOn.AsSpan());
        return goingOn;
    }

    private static string Written(long number) => FormattableString.Invariant($"{number}");

    /// <summary>A level of brackets: a sum so far, and the product that is being added to it.</summary>
    /// <param name="Outer">The level around it; null for the outermost.</param>
    /// <param name="Sum">The sum without the last product.</param>
    /// <param name="Product">The last product, with its sign.</param>
    /// <param name="Pending">What the next operand is joined by.</param>
    /// <param name="Operands">How many there are.</param>
    /// <param name="HasSum">Whether two products were added or subtracted.</param>
    /// <param name="IsOwn">Whether the search opened it, and so needs a reason for it.</param>
    private sealed record Level(Level? Outer, Fraction Sum, Fraction Product, char Pending, int Operands, bool HasSum, bool IsOwn)
    {
        public Fraction Value => Sum + Product;

        public static Level First(Level? outer, bool isOwn) => new(outer, 0, 0, '+', 0, false, isOwn);

        /// <summary>The level with its next operand; null where that divides by 0.</summary>
        public Level? With(Fraction operand) => Pending switch
        {
            '*' => this with { Product = Product * operand, Operands = Operands + 1 },
            '/' => operand.IsZero ? null : this with { Product = Product / operand, Operands = Operands + 1 },
            _ => this with { Sum = Value, Product = Pending == '-' ? -operand : operand, Operands = Operands + 1 },
        };

        /// <summary>Operands that the levels need besides the one that is being written: brackets of the search hold two at least.</summary>
        public int Needed(int written) => (IsOwn ? Math.Max(0, 2 - Operands - written) : 0) + (Outer?.Needed(1) ?? 0);
    }

    /// <summary>A place in an expression.</summary>
    /// <param name="Level">The innermost level.</param>
    /// <param name="Remaining">Numbers that are not used yet.</param>
    /// <param name="ExpectsOperand">Whether an operand comes next, or else an operator, a closing bracket or the end.</param>
    /// <param name="Sign">Sign of the next operand.</param>
    /// <param name="MustMultiply">Whether brackets just closed that only a product or quotient gives a reason for.</param>
    private sealed record State(Level Level, long[] Remaining, bool ExpectsOperand, int Sign, bool MustMultiply)
    {
        /// <summary>Signs before the brackets that are open, innermost first, as many as there are levels but one.</summary>
        public Signs? Outer { get; init; }

        /// <summary>Whether a blank stands before what comes next.</summary>
        public bool AfterBlank { get; init; }

        public bool IsDone => !ExpectsOperand && Level.Outer is null && Remaining.Length == 0 && !MustMultiply;

        /// <summary>The state after a symbol that is no digit, as somebody wrote it; null where it can't stand there.</summary>
        public State? Read(char symbol) => (symbol, ExpectsOperand) switch
        {
            ('+', true) => this,
            ('-', true) => this with { Sign = -Sign },
            ('(', true) => Open(isOwn: false),
            (')', false) when Level.Outer is not null => Close(),
            ('+' or '-' or '*' or '/', false) => Operator(symbol),
            _ => null,
        };

        /// <summary>What the search may write next.</summary>
        public IEnumerable<(State State, string Text)> Steps()
        {
            if (ExpectsOperand)
            {
                if (Remaining.Length < 1 + Level.Needed(1)) yield break;
                foreach (var number in Remaining.Distinct())
                    if (Operand(number) is { } next) yield return (next, Blank + Written(number));
                if (Open(isOwn: true) is var opened && opened.Level.Needed(0) <= Remaining.Length) yield return (opened, Blank + "(");
                yield break;
            }

            if (Level.Outer is not null && !MustMultiply && IsWorthClosing(out var mustMultiply) && Close() is { } closed) yield return (closed with { MustMultiply = mustMultiply }, ")");
            if (Remaining.Length == 0) yield break;
            foreach (var symbol in "*/") yield return (Operator(symbol), symbol.ToString());
            if (MustMultiply) yield break;
            foreach (var symbol in "+-") yield return (Operator(symbol), AfterBlank ? $"{symbol}" : $" {symbol}");
        }

        /// <summary>The state after a number; null where that divides by 0.</summary>
        public State? Operand(long number)
        {
            if (Level.With(Sign * number) is not { } level) return null;
            var remaining = Remaining.ToList();
            remaining.Remove(number);
            return new State(level, [.. remaining], ExpectsOperand: false, Sign: 1, MustMultiply: false) { Outer = Outer };
        }

        /// <summary>A blank after + and − between operands, where none stands yet.</summary>
        private string Blank => !AfterBlank && Level is { Operands: > 0, Pending: '+' or '-' } ? " " : "";

        private State Open(bool isOwn) => new(Level.First(Level, isOwn), Remaining, ExpectsOperand: true, Sign: 1, MustMultiply: false) { Outer = new Signs(Sign, Outer) };

        private State Operator(char symbol) => this with
        {
            Level = Level with { Pending = symbol, HasSum = Level.HasSum || symbol is '+' or '-' },
            ExpectsOperand = true,
            Sign = 1,
            MustMultiply = false,
            AfterBlank = false,
        };

        private State? Close()
        {
            var signs = Outer!;
            return Level.Outer!.With(signs.Sign * Level.Value) is { } level
                ? new State(level, Remaining, ExpectsOperand: false, Sign: 1, MustMultiply: false) { Outer = signs.Next }
                : null;
        }

        /// <summary>Whether brackets change anything: those of a sum after −, * and /, or before * and /; those of a product after /.</summary>
        private bool IsWorthClosing(out bool mustMultiply)
        {
            mustMultiply = false;
            if (!Level.IsOwn) return Level.Operands > 0;
            if (Level.Operands < 2) return false;
            if (!Level.HasSum) return Level.Outer!.Pending == '/';
            mustMultiply = Level.Outer!.Pending == '+' && Outer!.Sign > 0;
            return true;
        }
    }

    private sealed record Signs(int Sign, Signs? Next);
}
