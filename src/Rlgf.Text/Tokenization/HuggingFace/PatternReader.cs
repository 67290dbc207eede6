using System.Text.RegularExpressions;
using Rlgf.Text.Tokenization.Normalization;

namespace Rlgf.Text.Tokenization.HuggingFace;

/// <summary>Reads <c>{"String": …}</c> and <c>{"Regex": …}</c>.</summary>
internal static class PatternReader
{
    /// <summary>The pattern under "pattern".</summary>
    public static TextPattern Read(JsonPart component)
    {
        var pattern = component.Required("pattern");
        if (pattern.IsString)
            return TextPattern.Literal(pattern.AsString());
        if (pattern.Optional("String") is { } literal)
            return TextPattern.Literal(literal.AsString());
        var expression = pattern.Required("Regex");
        try
        {
            return TextPattern.Expression(expression.AsString());
        }
        catch (RegexParseException error)
        {
            throw expression.Error($"is a regular expression that isn't supported ({error.Error} at character {error.Offset})");
        }
    }
}
