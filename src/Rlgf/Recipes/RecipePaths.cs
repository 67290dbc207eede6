using System.Collections;

namespace Rlgf.Recipes;

/// <summary>The files and folders that a recipe names.</summary>
internal static class RecipePaths
{
    /// <summary>All that are read, in the order of the keys.</summary>
    /// <param name="record">A recipe, or a section of one.</param>
    /// <param name="key">The section's key; empty for the recipe.</param>
    public static IEnumerable<(string Key, string Path)> Of(object record, string key = "") => RecipeSchema.MembersOf(record.GetType())
        .SelectMany(member => Below(member.Property.GetValue(record), key.Length == 0 ? member.Key : $"{key}.{member.Key}", member.Use == TextUse.ReadPath));

    private static IEnumerable<(string Key, string Path)> Below(object? value, string key, bool isPath) => value switch
    {
        null or bool or Enum => [],
        string text => isPath ? [(key, text)] : [],
        IEnumerable list => list.Cast<object>().SelectMany((item, i) => Below(item, FormattableString.Invariant($"{key}.{i}"), isPath)),
        _ => value.GetType().IsPrimitive ? [] : Of(value, key),
    };
}
