using System.Text.RegularExpressions;

namespace Rlgf.Recipes;

/// <summary>A change to a recipe, such as <c>update.epochs=2</c>: the path of a key (list items by their number from 0), then a value in YAML.</summary>
/// <param name="Text">The change.</param>
/// <param name="Place">Where it was said, for messages, such as <c>--over update.epochs=2</c>.</param>
public sealed partial record RecipeChange(string Text, string Place)
{
    /// <summary>A change is its own place, so more of it is shown than of other texts.</summary>
    private const int MostShown = 120;

    /// <summary>The path of the key.</summary>
    public string Key => Text.Split('=', 2)[0].Trim();

    /// <summary>A change by <c>--set</c>.</summary>
    /// <param name="text">The change.</param>
    public static implicit operator RecipeChange(string text) => By("--set", text);

    /// <summary>A change by an option that takes changes.</summary>
    /// <param name="option">The option.</param>
    /// <param name="text">The change.</param>
    public static RecipeChange By(string option, string text) => new(text, $"{option} {RecipeText.Shown(Secret().Replace(text, "${before}…"), MostShown)}");

    /// <summary>A key that was written where it doesn't belong: as one, as a name and a password in an address, or behind an endpoint's. What says so doesn't repeat it.</summary>
    [GeneratedRegex(@"(?<before>\bapi_key\s*[=:]\s*)(?!\$\{)[^\s,}]+|(?<before>\b[a-z]+://)[^/\s@,}]+(?=@)|(?<before>\bendpoint\s*[=:]\s*[^\s,}?]*\?)[^\s,}]+")]
    private static partial Regex Secret();
}
