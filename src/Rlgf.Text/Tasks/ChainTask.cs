using System.Globalization;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Text.Tasks;

/// <summary>What a link of a chain adds.</summary>
public enum ChainSkill
{
    /// <summary>Running sums modulo 10 of digits: <c>291417=</c> is answered by <c>212674</c>.</summary>
    Sums,

    /// <summary>Running parities of bits: <c>011010=</c> is answered by <c>010011</c>.</summary>
    Parities,

    /// <summary>The sum of two numbers, last digit first, so that each place needs the carry of the one before: <c>482+739=</c> is answered by <c>1221</c>.</summary>
    Carries,
}

/// <summary>
/// Compositional problems: every character of the answer needs the one before it, so that an answer is right only if every link is. Who has each link right in a share q answers q^length of them.
/// </summary>
public static class ChainTask
{
    /// <summary>Problems, each another one, in an order that the seed decides.</summary>
    /// <param name="skill">What a link adds.</param>
    /// <param name="length">Links of a problem: its digits or bits.</param>
    /// <param name="count">How many.</param>
    /// <param name="seed">Which.</param>
    /// <exception cref="InputException">There aren't so many.</exception>
    public static IEnumerable<TaskProblem> Problems(ChainSkill skill, int length, int count, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        var symbols = skill == ChainSkill.Parities ? 2 : 10;
        var places = skill == ChainSkill.Carries ? 2 * length : length;
        if (count > Math.Pow(symbols, places))
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"there are {Math.Pow(symbols, places):#,0} problems of this length, and {count:#,0} were asked for: ask for fewer, or for longer ones."));
        return TaskProblems.Distinct(count, new RandomStream(seed, 0x636861696E), random => // "chain"
        {
            var digits = new int[places];
            for (var i = 0; i < places; i++) digits[i] = random.NextInt32(symbols);
            return Problem(skill, digits);
        });
    }

    /// <summary>The problem of given digits; of two numbers, those of the first and then those of the second.</summary>
    public static TaskProblem Problem(ChainSkill skill, ReadOnlySpan<int> digits)
    {
        var answer = new StringBuilder();
        if (skill != ChainSkill.Carries)
        {
            var (sum, modulus) = (0, skill == ChainSkill.Parities ? 2 : 10);
            foreach (var digit in digits) answer.Append(sum = (sum + digit) % modulus);
            return new(Written(digits) + "=", answer.ToString());
        }

        var (length, carry) = (digits.Length / 2, 0);
        for (var place = length - 1; place >= 0; place--)
        {
            var column = digits[place] + digits[length + place] + carry;
            answer.Append(column % 10);
            carry = column / 10;
        }
        return new($"{Written(digits[..length])}+{Written(digits[length..])}=", answer.Append(carry).ToString());
    }

    private static string Written(ReadOnlySpan<int> digits)
    {
        var text = new StringBuilder();
        foreach (var digit in digits) text.Append(digit);
        return text.ToString();
    }
}
