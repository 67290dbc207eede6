using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Text.Tasks;

/// <summary>A formula to be written as a <see cref="StackProgram"/>.</summary>
/// <param name="Prompt">The formula, then <c>=</c>.</param>
/// <param name="Answer">One of many right programs: operands in their order, each operator as soon as both of its sides are there.</param>
/// <param name="Cases">What a right program does, each as <see cref="StackCase"/> reads it: inputs, <c>=</c>, result.</param>
public sealed record StackProblem(string Prompt, string Answer, IReadOnlyList<string> Cases) : TaskProblem(Prompt, Answer);

/// <summary>A case that a program must get right.</summary>
/// <param name="Inputs">The values of <c>a</c>, <c>b</c> and so on.</param>
/// <param name="Result">What comes out.</param>
public sealed record StackCase(long[] Inputs, long Result)
{
    /// <summary>Reads <c>3 7 2=19</c>; null where it is something else.</summary>
    public static StackCase? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Split('=') is not [var before, var after] || Number(after) is not { } result) return null;
        var inputs = before.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Number).ToArray();
        return inputs.Contains(null) ? null : new([.. inputs.Select(input => input!.Value)], result);

        static long? Number(string text) => long.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    /// <summary>Whether a program gets it right.</summary>
    public bool IsMetBy(string program) => StackProgram.Run(program, Inputs) == Result;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{string.Join(' ', Inputs)}={Result}");
}

/// <summary>Small programs to be written: formulas such as <c>a*(b-3)+c=</c>, of which <c>ab3-*c+</c> is one of many right programs. Whether one is right is found by running it.</summary>
public static class StackTask
{
    /// <summary>Inputs of a formula: a, b and c.</summary>
    public const int Inputs = 3;

    /// <summary>Cases of a problem.</summary>
    public const int Cases = 8;

    /// <summary>Problems, each another one, in an order that the seed decides.</summary>
    /// <param name="operators">Operators of a formula, at least 1.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">Which.</param>
    /// <exception cref="InputException">There aren't so many, or too few of them to find each by drawing.</exception>
    public static IEnumerable<StackProblem> Problems(int operators, int count, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(operators, 1);
        // Formulas without brackets alone: n + 1 operands out of 12 and n operators out of 3. Half of them, since drawing finds the last ones late.
        var atLeast = Math.Pow(Inputs + 9, operators + 1) * Math.Pow(3, operators) / 2;
        if (count > atLeast) throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{count:#,0} formulas of {operators} operators were asked for: ask for at most {atLeast:#,0}, or for longer ones."));
        return TaskProblems.Distinct(count, new RandomStream(seed, 0x737461636B), random => // "stack"
        {
            var formula = Drawn(operators, random);
            var cases = Enumerable.Range(0, Cases).Select(_ =>
            {
                long[] inputs = [.. Enumerable.Range(0, Inputs).Select(_ => 2L + random.NextInt32(18))];
                return new StackCase(inputs, formula.Value(inputs)).ToString();
            });
            return new StackProblem(formula.Infix + "=", formula.Postfix, [.. cases]);
        });
    }

    private static Formula Drawn(int operators, RandomStream random)
    {
        if (operators == 0)
        {
            // Inputs as often as digits: a formula of digits alone is a number.
            if (random.NextInt32(3) > 0)
            {
                var input = random.NextInt32(Inputs);
                return new(((char)('a' + input)).ToString(), ((char)('a' + input)).ToString(), 3, inputs => inputs[input]);
            }

            var digit = 1 + random.NextInt32(9);
            var text = digit.ToString(CultureInfo.InvariantCulture);
            return new(text, text, 3, _ => digit);
        }

        var onTheLeft = random.NextInt32(operators);
        var (left, right) = (Drawn(onTheLeft, random), Drawn(operators - 1 - onTheLeft, random));
        return random.NextInt32(3) switch
        {
            0 => left.With('+', right, 1, (x, y) => x + y),
            1 => left.With('-', right, 1, (x, y) => x - y),
            _ => left.With('*', right, 2, (x, y) => x * y),
        };
    }

    /// <summary>A formula as text, as a program and as a function; <paramref name="Binds"/> says how tightly its last operator binds.</summary>
    private sealed record Formula(string Infix, string Postfix, int Binds, Func<long[], long> Value)
    {
        public Formula With(char sign, Formula right, int binds, Func<long, long, long> apply) => new(
            // Brackets where a reader needs them: the right side of a difference too.
            Bracketed(Binds < binds) + sign + right.Bracketed(right.Binds < binds || (sign == '-' && right.Binds == binds)),
            Postfix + right.Postfix + sign,
            binds,
            inputs => apply(Value(inputs), right.Value(inputs)));

        private string Bracketed(bool isNeeded) => isNeeded ? $"({Infix})" : Infix;
    }
}
