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
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : throw new InputException($"the environment has no variable {variable}: set it to {what}");

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
