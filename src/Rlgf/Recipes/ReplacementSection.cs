using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>A pattern to replace in the texts of a data set.</summary>
public sealed record ReplacementSection : ICheckedSection
{
    /// <summary>A .NET regular expression; without look-around and back-references, so that no text can make it slow.</summary>
    public required string Pattern { get; init; }

    /// <summary>What takes a match's place, with <c>$1</c> for a group; empty removes it.</summary>
    public required string With { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (UserPattern.Problem(Pattern) is { } problem) yield return ("pattern", problem);
    }
}

internal static class ReplacementSections
{
    public static TextReplacement[] ToReplacements(this IReadOnlyList<ReplacementSection> sections) => [.. sections.Select(section => new TextReplacement(section.Pattern, section.With))];
}
