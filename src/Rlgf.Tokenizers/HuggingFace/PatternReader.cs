using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Patterns;

namespace Rlgf.Tokenizers.HuggingFace;

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
        catch (PatternException error)
        {
            throw expression.Error($"is a regular expression with {error.Message}");
        }
    }
}
