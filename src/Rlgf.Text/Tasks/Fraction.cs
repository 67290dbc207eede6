using System.Numerics;

namespace Rlgf.Text.Tasks;

/// <summary>An exact fraction in lowest terms, its denominator above 0. Immutable.</summary>
public readonly record struct Fraction
{
    private readonly BigInteger _denominatorLessOne;

    /// <summary>A fraction of two whole numbers.</summary>
    /// <exception cref="DivideByZeroException">The denominator is 0.</exception>
    public Fraction(BigInteger numerator, BigInteger denominator)
    {
        if (denominator.IsZero) throw new DivideByZeroException();
        var common = BigInteger.GreatestCommonDivisor(numerator, denominator) * denominator.Sign;
        Numerator = numerator / common;
        _denominatorLessOne = denominator / common - 1;
    }

    /// <summary>What is above the line.</summary>
    public BigInteger Numerator { get; }

    /// <summary>What is below it.</summary>
    public BigInteger Denominator => _denominatorLessOne + 1;

    /// <summary>Whether it is 0.</summary>
    public bool IsZero => Numerator.IsZero;

    /// <summary>A whole number.</summary>
    public static implicit operator Fraction(BigInteger whole) => new(whole, BigInteger.One);

    /// <summary>A whole number.</summary>
    public static implicit operator Fraction(long whole) => new(whole, BigInteger.One);

    /// <summary>The sum.</summary>
    public static Fraction operator +(Fraction a, Fraction b) => new(a.Numerator * b.Denominator + b.Numerator * a.Denominator, a.Denominator * b.Denominator);

    /// <summary>The negative.</summary>
    public static Fraction operator -(Fraction a) => new(-a.Numerator, a.Denominator);

    /// <summary>The difference.</summary>
    public static Fraction operator -(Fraction a, Fraction b) => a + -b;

    /// <summary>The product.</summary>
    public static Fraction operator *(Fraction a, Fraction b) => new(a.Numerator * b.Numerator, a.Denominator * b.Denominator);

    /// <summary>The quotient.</summary>
    /// <exception cref="DivideByZeroException">The divisor is 0.</exception>
    public static Fraction operator /(Fraction a, Fraction b) => new(a.Numerator * b.Denominator, a.Denominator * b.Numerator);

    /// <summary>Whether it is at most another.</summary>
    public static bool operator <=(Fraction a, Fraction b) => a.Numerator * b.Denominator <= b.Numerator * a.Denominator;

    /// <summary>Whether it is at least another.</summary>
    public static bool operator >=(Fraction a, Fraction b) => b <= a;

    /// <summary>The value without its sign.</summary>
    public Fraction Abs() => new(BigInteger.Abs(Numerator), Denominator);

    /// <inheritdoc/>
    public override string ToString() => Denominator.IsOne ? $"{Numerator}" : $"{Numerator}/{Denominator}";
}
