using System.Text.RegularExpressions;

namespace Rlgf.Base;

/// <summary>Regular expressions that a user gives: .NET's, without look-around and back-references, so that no text can make them slow.</summary>
public static class UserPattern
{
    /// <summary>Reads an expression.</summary>
    /// <param name="pattern">The expression.</param>
    /// <param name="problem">What is wrong with it, in one line; null where nothing is.</param>
    /// <returns>The expression, or null where it can't be used.</returns>
    public static Regex? TryParse(string pattern, out string? problem)
    {
        try
        {
            problem = null;
            return new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (RegexParseException e)
        {
            problem = FormattableString.Invariant($"no regular expression at character {e.Offset + 1}: {Words(e.Error)}");
            return null;
        }
        catch (NotSupportedException)
        {
            problem = "look-around, back-references, conditions and atomic groups are not taken, since a text could make them slow";
            return null;
        }
    }

    /// <summary>The name of an error in words: .NET's sentences repeat the pattern and begin with a capital letter.</summary>
    private static string Words(RegexParseError error) =>
        string.Concat(error.ToString().Select((letter, i) => i > 0 && char.IsUpper(letter) ? $" {char.ToLowerInvariant(letter)}" : char.ToLowerInvariant(letter).ToString()));

    /// <summary>What is wrong with an expression, in one line; null where nothing is.</summary>
    public static string? Problem(string pattern)
    {
        _ = TryParse(pattern, out var problem);
        return problem;
    }
}
