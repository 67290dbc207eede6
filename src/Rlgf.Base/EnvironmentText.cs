using System.Text.RegularExpressions;

namespace Rlgf.Base;

/// <summary>What a setting takes from the environment: addresses that differ from machine to machine, and secrets, which stand in no file.</summary>
public static partial class EnvironmentText
{
    /// <summary>The value of a variable.</summary>
    /// <param name="variable">Its name.</param>
    /// <param name="what">What it is to hold, for the message.</param>
    /// <exception cref="InputException">There is none, or it is empty.</exception>
    public static string Require(string variable, string what) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value
        : throw new InputException(Environment.GetEnvironmentVariable(variable) is null ? $"the environment has no variable {variable}: set it to {what}" : $"the variable {variable} of the environment is empty: set it to {what}");

    /// <summary>The value of a variable that holds a key, which is sent in a header.</summary>
    /// <param name="variable">Its name.</param>
    /// <param name="what">What it is to hold, for the message.</param>
    /// <exception cref="InputException">There is none, it is empty, or it holds more than a key.</exception>
    public static string RequireKey(string variable, string what)
    {
        var value = Require(variable, what);
        return KeyProblem(value) is { } problem ? throw new InputException($"the variable {variable} of the environment holds {problem}: set it to {what} alone") : value;
    }

    /// <summary>What in a value is part of no key; null where nothing is. A header can't hold a line end, and what surrounds a key is lost on the way, so that it would be another.</summary>
    public static string? KeyProblem(string value) => value.AsSpan().IndexOfAnyExceptInRange('!', '~') is >= 0 and var at
        ? value[at] switch
        {
            '\n' or '\r' => "a line end",
            ' ' or '\t' => "a blank",
            < '\u0080' => "a control character",
            _ => "a character that is not ASCII",
        }
        : null;

    /// <summary>A text with the values of variables in place of <c>${NAME}</c>.</summary>
    /// <param name="text">The text.</param>
    /// <param name="what">What the variables are to hold, for the message.</param>
    /// <exception cref="InputException">One of them isn't set.</exception>
    public static string Expand(string text, string what) => Variable().Replace(text, match => Require(match.Groups[1].Value, what));

    /// <summary>The variable whose value a text is, and nothing besides: NAME of <c>${NAME}</c>; null for any other text.</summary>
    public static string? VariableOf(string text) => Variable().Match(text) is { Success: true } match && match.Length == text.Length ? match.Groups[1].Value : null;

    [GeneratedRegex(@"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")]
    private static partial Regex Variable();
}
