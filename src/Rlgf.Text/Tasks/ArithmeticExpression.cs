using System.Globalization;
using System.Numerics;

namespace Rlgf.Text.Tasks;

/// <summary>
/// An expression of numbers, + − * / (between two operands, or as a sign) and brackets, computed exactly. Text is read by a parser for these alone, as Python reads them; nothing of it is ever run as a program.
/// </summary>
/// <remarks>
/// Powers (<c>**</c>) and decimal numbers are read too, so that a text that has them can be told from one that is no expression; <see cref="IsPlain"/> says that there are none. Numbers are of the digits 0 to 9; a whole
/// number other than 0 does not begin with 0. Blanks and tabs may stand between what belongs together, line breaks may not.
/// </remarks>
public sealed class ArithmeticExpression
{
    /// <summary>The longest text that is read, in UTF-16 units.</summary>
    public const int MaxLength = 2000;

    /// <summary>How many brackets, signs and powers may lie inside each other.</summary>
    public const int MaxDepth = 100;

    /// <summary>Bits of a power that is still computed.</summary>
    private const int MaxPowerBits = 20_000;

    private readonly List<BigInteger> _numbers = [];

    private ArithmeticExpression() { }

    /// <summary>Whether it has whole numbers, + − * / and brackets only.</summary>
    public bool IsPlain { get; private set; } = true;

    /// <summary>The whole numbers that stand in the text, in its order; of a decimal number, those before and after its point.</summary>
    public IReadOnlyList<BigInteger> Numbers => _numbers;

    /// <summary>The value; null where it is divided by 0, or a power has no exact value or one of very many digits.</summary>
    public Fraction? Value { get; private set; }

    /// <summary>Whether it is divided by 0 somewhere.</summary>
    public bool DividesByZero { get; private set; }

    /// <summary>Reads a text; blanks around it don't count.</summary>
    /// <returns>The expression; null where the text is none, or is longer or deeper than the limits.</returns>
    public static ArithmeticExpression? TryParse(string text)
    {
        if (text.Length > MaxLength) return null;
        var expression = new ArithmeticExpression();
        var reader = new Reader(text, expression);
        expression.Value = reader.ReadAll();
        return reader.IsWhole ? expression : null;
    }

    /// <summary>Recursive descent: sum := product (± product)*, product := signed (*∕ signed)*, signed := ± signed | power, power := atom [** signed].</summary>
    private sealed class Reader(string text, ArithmeticExpression expression)
    {
        private int _at;
        private int _depth;
        private bool _isBroken;

        /// <summary>Whether the text was an expression from its beginning to its end.</summary>
        public bool IsWhole => !_isBroken && _at == text.Length;

        public Fraction? ReadAll()
        {
            var value = Sum();
            SkipBlanks();
            return value;
        }

        private Fraction? Sum()
        {
            var value = Product();
            while (true)
            {
                if (Take('+')) value = Apply(value, Product(), (a, b) => a + b);
                else if (Take('-')) value = Apply(value, Product(), (a, b) => a - b);
                else return value;
            }
        }

        private Fraction? Product()
        {
            var value = Signed();
            while (true)
            {
                if (Take('*')) value = Apply(value, Signed(), (a, b) => a * b);
                else if (Take('/')) value = Apply(value, Signed(), Divide);
                else return value;
            }
        }

        private Fraction? Divide(Fraction a, Fraction b)
        {
            if (!b.IsZero) return a / b;
            expression.DividesByZero = true;
            return null;
        }

        private Fraction? Signed() => Deeper(() => Take('+') ? Signed() : Take('-') ? Apply(Signed(), 0, (a, _) => -a) : Power());

        private Fraction? Power()
        {
            var value = Atom();
            if (!TakePower()) return value;
            expression.IsPlain = false;
            return Apply(value, Signed(), Raise);
        }

        private Fraction? Raise(Fraction a, Fraction b)
        {
            if (a.IsZero && b.Numerator.Sign < 0) expression.DividesByZero = true;
            if (!b.Denominator.IsOne || a.IsZero && b.Numerator.Sign < 0) return null;
            var bits = Math.Max(a.Numerator.GetBitLength(), a.Denominator.GetBitLength());
            if (BigInteger.Abs(b.Numerator) * bits > MaxPowerBits) return null;
            var times = (int)BigInteger.Abs(b.Numerator);
            Fraction power = new(BigInteger.Pow(a.Numerator, times), BigInteger.Pow(a.Denominator, times));
            return b.Numerator.Sign < 0 ? 1 / power : power;
        }

        private Fraction? Atom()
        {
            if (!Take('(')) return Number();
            var value = Sum();
            if (!Take(')')) _isBroken = true;
            return value;
        }

        private Fraction? Number()
        {
            SkipBlanks();
            var whole = Digits();
            if (_at == text.Length || text[_at] != '.')
            {
                // Python has no whole numbers with zeros before them.
                if (whole.Length == 0 || whole[0] == '0' && whole.Trim('0').Length > 0) return Broken();
                return Said(whole);
            }

            _at++;
            expression.IsPlain = false;
            var part = Digits();
            if (whole.Length + part.Length == 0) return Broken();
            if (whole.Length > 0) Said(whole);
            if (part.Length > 0) Said(part);
            return new Fraction(BigInteger.Parse("0" + whole + part, CultureInfo.InvariantCulture), BigInteger.Pow(10, part.Length));
        }

        private BigInteger Said(string digits)
        {
            var number = BigInteger.Parse(digits, CultureInfo.InvariantCulture);
            expression._numbers.Add(number);
            return number;
        }

        private string Digits()
        {
            var start = _at;
            while (_at < text.Length && char.IsAsciiDigit(text[_at])) _at++;
            return text[start.._at];
        }

        private Fraction? Apply(Fraction? a, Fraction? b, Func<Fraction, Fraction, Fraction?> operation) => a is { } left && b is { } right && !_isBroken ? operation(left, right) : null;

        private Fraction? Deeper(Func<Fraction?> read)
        {
            if (_isBroken || ++_depth > MaxDepth) return Broken();
            var value = read();
            _depth--;
            return value;
        }

        private Fraction? Broken()
        {
            _isBroken = true;
            return null;
        }

        private bool Take(char symbol)
        {
            SkipBlanks();
            // A second star is a power's.
            if (_isBroken || _at == text.Length || text[_at] != symbol || symbol == '*' && _at + 1 < text.Length && text[_at + 1] == '*') return false;
            _at++;
            return true;
        }

        private bool TakePower()
        {
            SkipBlanks();
            if (_isBroken || !text.AsSpan(_at).StartsWith("**")) return false;
            _at += 2;
            return true;
        }

        private void SkipBlanks()
        {
            while (_at < text.Length && text[_at] is ' ' or '\t') _at++;
        }
    }
}
