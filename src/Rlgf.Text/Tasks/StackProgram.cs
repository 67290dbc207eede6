namespace Rlgf.Text.Tasks;

/// <summary>
/// Programs of a small language for a stack of whole numbers. Each character is a step: a digit puts itself on the stack, a letter from <c>a</c> puts an input there, <c>+ - *</c> take two numbers and put back what
/// comes out, <c>:</c> repeats the number on top, <c>~</c> exchanges the two on top, <c>;</c> drops the one on top. There are no loops, so that every program ends. Blanks are skipped.
/// </summary>
public static class StackProgram
{
    /// <summary>The longest program that is run, in characters.</summary>
    public const int MaxLength = 10_000;

    /// <summary>Runs a program.</summary>
    /// <param name="program">The program.</param>
    /// <param name="inputs">The values of <c>a</c>, <c>b</c> and so on.</param>
    /// <returns>The number on the stack at the end; null where there are none or several, where a step finds too few numbers, is none of the language's, asks for an input that is not there, or leaves 64 bits.</returns>
    public static long? Run(string program, ReadOnlySpan<long> inputs)
    {
        ArgumentNullException.ThrowIfNull(program);
        if (program.Length > MaxLength) return null;
        var stack = new Stack<long>();
        try
        {
            foreach (var step in program)
            {
                if (step == ' ') continue;
                if (char.IsAsciiDigit(step)) stack.Push(step - '0');
                else if (step - 'a' is >= 0 and var input && input < inputs.Length) stack.Push(inputs[input]);
                else if (!Apply(step, stack)) return null;
            }
        }
        catch (OverflowException)
        {
            return null;
        }

        return stack.Count == 1 ? stack.Peek() : null;
    }

    private static bool Apply(char step, Stack<long> stack)
    {
        if (!stack.TryPop(out var top)) return false;
        switch (step)
        {
            case ';':
                return true;
            case ':':
                stack.Push(top);
                stack.Push(top);
                return true;
        }

        if (!stack.TryPop(out var below)) return false;
        switch (step)
        {
            case '~':
                stack.Push(top);
                stack.Push(below);
                return true;
            case '+':
                stack.Push(checked(below + top));
                return true;
            case '-':
                stack.Push(checked(below - top));
                return true;
            case '*':
                stack.Push(checked(below * top));
                return true;
            default:
                return false;
        }
    }
}
