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
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            problem = e.Message.ReplaceLineEndings(" ");
            return null;
        }
    }

    /// <summary>What is wrong with an expression, in one line; null where nothing is.</summary>
    public static string? Problem(string pattern)
    {
        _ = TryParse(pattern, out var problem);
        return problem;
    }
}
