using System.Globalization;
using System.Numerics;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>How a place of a formatted text is filled, as in C's <c>printf</c>.</summary>
internal sealed record NumberStyle
{
    private const int MostPlaces = 2000;

    /// <summary>Characters that it fills at least.</summary>
    public int Width { get; init; }

    /// <summary>Digits, or the most characters of a text; null for the usual.</summary>
    public int? Precision { get; init; }

    /// <summary>What stands before numbers that aren't negative.</summary>
    public string Plus { get; init; } = "";

    /// <summary>Whether it is filled up behind.</summary>
    public bool IsLeft { get; init; }

    /// <summary>Whether numbers are filled up with zeros.</summary>
    public bool IsZeroed { get; init; }

    /// <summary>Whether prefixes and points are written that could be left out.</summary>
    public bool IsAlternate { get; init; }

    /// <summary>With a flag.</summary>
    public NumberStyle With(char flag) => flag switch
    {
        '-' => this with { IsLeft = true },
        '+' => this with { Plus = "+" },
        ' ' => this with { Plus = Plus == "+" ? "+" : " " },
        '#' => this with { IsAlternate = true },
        _ => this with { IsZeroed = true },
    };

    /// <summary>A whole number: what stands before its digits, and them.</summary>
    public (string Before, string Digits, bool IsNumber) Integer(BigInteger number, int numberBase, bool isUpper, string prefix)
    {
        var digits = Digits(BigInteger.Abs(number), numberBase);
        return (Sign(number.Sign < 0) + prefix, (isUpper ? digits.ToUpperInvariant() : digits).PadLeft(Precision ?? 0, '0'), true);
    }

    /// <summary>A float by one of <c>eEfFgG</c>: what stands before its digits, and them.</summary>
    public (string Before, string Digits, bool IsNumber) Float(double number, char kind)
    {
        var places = Precision ?? 6;
        if (places > MostPlaces)
            throw new TemplateException($"writes a float with more than {MostPlaces} digits");
        var text = char.ToLowerInvariant(kind) switch
        {
            'e' => FloatText.Exponential(number, places),
            'f' => FloatText.Fixed(number, places),
            _ => FloatText.General(number, places, IsAlternate),
        };
        if (IsAlternate && double.IsFinite(number) && !text.Contains('.', StringComparison.Ordinal))
            text = text.Insert(text.IndexOf('e', StringComparison.Ordinal) is >= 0 and var mark ? mark : text.Length, ".");
        return (Sign(double.IsNegative(number) && !double.IsNaN(number)), char.IsAsciiLetterUpper(kind) ? text.ToUpperInvariant() : text, true);
    }

    /// <summary>What stands before a number.</summary>
    public string Sign(bool isNegative) => isNegative ? "-" : Plus;

    /// <summary>Fills a piece up to the width.</summary>
    public string Padded((string Before, string Text, bool IsNumber) piece)
    {
        var missing = Width - CodePoints.Count(piece.Before) - CodePoints.Count(piece.Text);
        if (missing <= 0)
            return piece.Before + piece.Text;
        if (IsLeft)
            return piece.Before + piece.Text + new string(' ', missing);
        return IsZeroed && piece.IsNumber ? piece.Before + new string('0', missing) + piece.Text : new string(' ', missing) + piece.Before + piece.Text;
    }

    /// <summary>A whole number that isn't negative in some base.</summary>
    public static string Digits(BigInteger number, int numberBase)
    {
        if (numberBase == 10)
            return PythonText.Digits(number);
        if (numberBase == 16)
            return number.ToString("x", CultureInfo.InvariantCulture).TrimStart('0') is { Length: > 0 } hexadecimal ? hexadecimal : "0";
        var bits = number.ToString("b", CultureInfo.InvariantCulture).TrimStart('0');
        if (numberBase == 2 || bits.Length == 0)
            return bits.Length == 0 ? "0" : bits;
        bits = bits.PadLeft((bits.Length + 2) / 3 * 3, '0');
        var digits = new StringBuilder();
        for (var i = 0; i < bits.Length; i += 3)
            digits.Append(Convert.ToInt32(bits.Substring(i, 3), 2));
        return digits.ToString();
    }
}
