using Rlgf.Base;
using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>What a reward compares a response with: the texts of a column of its prompt's row, or its references.</summary>
internal static class RowTexts
{
    /// <summary>The texts, at least one: those of a list, a text, or a number as text.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="column">The column; null for the references.</param>
    /// <param name="who">The reward, as a sentence begins.</param>
    /// <exception cref="InputException">There is no such column; names the row, and columns that are there.</exception>
    /// <exception cref="RowFailure">The row has no text there.</exception>
    public static IReadOnlyList<string> Of(Prompt prompt, string? column, string who)
    {
        if (column is null) return prompt.References.Count > 0 ? prompt.References : throw new RowFailure("there is no reference response");
        var row = prompt.Row ?? throw new InputException($"{who} reads the column '{column}', and {OwnCode.Place(prompt)} came from no data row");
        IReadOnlyList<string> texts = row[column] switch
        {
            null => [],
            string text => [text],
            long or double => [FormattableString.Invariant($"{row[column]}")],
            IReadOnlyList<object?> => row.GetStrings(column),
            _ => throw row.Expected(column, "a text, a number or a list of texts"),
        };
        return texts.Any(text => text.Length > 0) ? [.. texts.Where(text => text.Length > 0)] : throw new RowFailure($"column '{column}' is empty");
    }

    /// <summary>The same, or nothing where the row has no text there.</summary>
    /// <inheritdoc cref="Of"/>
    public static IReadOnlyList<string> OrNone(Prompt prompt, string? column, string who)
    {
        try
        {
            return Of(prompt, column, who);
        }
        catch (RowFailure)
        {
            return [];
        }
    }
}
