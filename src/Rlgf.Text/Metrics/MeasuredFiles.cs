using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Text.Metrics;

/// <summary>A text to measure and the id of its row.</summary>
/// <param name="Id">The id, a text or a whole number; null in files without.</param>
/// <param name="Measured">The text.</param>
public sealed record MeasuredRow(object? Id, MeasuredText Measured);

/// <summary>
/// Predictions and references from two files, matched by <c>id</c> where both have it and by position where none has.
/// </summary>
public static class MeasuredFiles
{
    private const string Id = "id";
    private const string Text = "text";
    private const string References = "references";

    /// <summary>Reads the rows, in the predictions' order.</summary>
    /// <param name="predictions">Rows with <c>text</c>, and maybe <c>id</c>.</param>
    /// <param name="predictionsName">What messages call them.</param>
    /// <param name="references">Rows with <c>references</c> (a list of texts, or a text), and maybe <c>id</c> and concepts; null for none.</param>
    /// <param name="referencesName">What messages call them.</param>
    /// <param name="concepts">The column of the references' rows that holds concepts; null where they aren't asked for.</param>
    /// <exception cref="InputException">A row has no text or no reference, an id is there twice, or the two don't match; names file and line.</exception>
    public static IReadOnlyList<MeasuredRow> Read(IEnumerable<DataRow> predictions, string predictionsName, IEnumerable<DataRow>? references, string referencesName, string? concepts)
    {
        DataRow[] rows = [.. predictions];
        if (rows.Length == 0) throw new InputException($"{predictionsName}: there are no rows");
        var ids = Ids(rows, predictionsName);
        if (references is null) return [.. rows.Select((row, i) => new MeasuredRow(ids is null ? null : row[Id], new MeasuredText(row.GetString(Text), [])))];
        DataRow[] others = [.. references];
        var partners = Match(rows, ids, predictionsName, others, Ids(others, referencesName), referencesName);
        return [.. rows.Select((row, i) => new MeasuredRow(
            ids is null ? null : row[Id],
            new MeasuredText(row.GetString(Text), ReferencesOf(partners[i], References)) { Concepts = concepts is null ? [] : ConceptsOf(partners[i], concepts) }))];
    }

    /// <summary>The references of a row: a list of texts, or a text.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static IReadOnlyList<string> ReferencesOf(DataRow row, string column = References)
    {
        var texts = Texts(row, column);
        return texts.Count > 0 ? texts : throw row.Invalid(column, "there is no reference; give one at least, or leave out the row and its prediction");
    }

    /// <summary>The texts of a column that holds a text or a list of texts; in csv and tsv, a list with its separator.</summary>
    /// <exception cref="InputException">It holds neither.</exception>
    public static IReadOnlyList<string> Texts(DataRow row, string column) => row[column] switch
    {
        string text when !row.IsText => [text],
        string or IReadOnlyList<object?> => row.GetStrings(column),
        _ => throw row.Expected(column, "a text or a list of texts"),
    };

    private static IReadOnlyList<string> ConceptsOf(DataRow row, string column)
    {
        var words = row[column] is string text && !row.IsText ? PythonText.Split(text) : row.GetStrings(column);
        return words.Count > 0 ? words : throw row.Invalid(column, "there is no concept; give one at least");
    }

    private static DataRow[] Match(DataRow[] rows, string[]? ids, string name, DataRow[] others, string[]? otherIds, string otherName)
    {
        if ((ids is null) != (otherIds is null))
            throw new InputException($"{(ids is null ? otherName : name)} has ids and {(ids is null ? name : otherName)} has none: give both, to match rows by them, or none, to match rows by their place");
        if (ids is null)
        {
            return rows.Length == others.Length ? others
                : throw new InputException($"{name} has {rows.Length} rows and {otherName} {others.Length}: rows without ids are matched by their place, so that there must be as many");
        }

        var byId = otherIds!.Zip(others).ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        var partners = rows.Zip(ids, (row, id) => byId.TryGetValue(id, out var partner) ? partner : throw new InputException($"{row.Location}: {otherName} has no row with the id '{id}'")).ToArray();
        return ids.ToHashSet(StringComparer.Ordinal) is var known && Array.FindIndex(otherIds!, id => !known.Contains(id)) is >= 0 and var missing
            ? throw new InputException($"{others[missing].Location}: {name} has no row with the id '{otherIds![missing]}'")
            : partners;
    }

    /// <summary>The ids of all rows; null where none has one.</summary>
    private static string[]? Ids(DataRow[] rows, string name)
    {
        if (!Array.Exists(rows, row => row.Has(Id))) return null;
        var seen = new Dictionary<string, DataRow>(StringComparer.Ordinal);
        return Array.ConvertAll(rows, row =>
        {
            if (!row.Has(Id)) throw new InputException($"{row.Location}: there is no id, and other rows of {name} have one: give one to each row or to none");
            var id = row[Id] switch
            {
                string text => text,
                long number => number.ToString(System.Globalization.CultureInfo.InvariantCulture),
                _ => throw row.Invalid(Id, "expected a text or a whole number"),
            };
            return seen.TryAdd(id, row) ? id : throw new InputException($"{row.Location}: the id '{id}' is that of {seen[id].Location} too");
        });
    }
}
