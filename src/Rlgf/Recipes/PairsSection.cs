using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>Pairs of answers to learn from, of which one was preferred.</summary>
public sealed record PairsSection : ICheckedSection
{
    /// <summary>The training file: JSON lines, csv, tsv (each also .gz) or Parquet.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The held-out file; null: <see cref="HeldOutRows"/> rows of the training file, whose prompts are then learned from by no other row.</summary>
    [RecipePath]
    public string? EvaluationPath { get; init; }

    /// <summary>Who reads the rows, where they are in no file of a known format; null for files, by their names.</summary>
    public DataReaderSection? Reader { get; init; }

    /// <summary>How many rows are held out: at most so many of the held-out file, or so many of the training file that are not learned. They are spread evenly over the file, which may be sorted.</summary>
    [Limits(AtLeast = 1)]
    public int HeldOutRows { get; init; } = 500;

    /// <summary>The column with the prompt, a text or messages; it may be missing where the answers are whole conversations.</summary>
    public string PromptColumn { get; init; } = "prompt";

    /// <summary>The column with the preferred answer: a text, the assistant's message in a list, or a whole conversation.</summary>
    public string ChosenColumn { get; init; } = "chosen";

    /// <summary>The column with the other answer.</summary>
    public string RejectedColumn { get; init; } = "rejected";

    /// <summary>The column that says by how much the preferred answer is better; null for none.</summary>
    public string? MarginColumn { get; init; }

    /// <summary>Which rows to use, such as <c>length(chosen) &lt; 2000</c>; null for all.</summary>
    public string? Filter { get; init; }

    /// <summary>The most rows to use of the training file, its first ones that pass the filter; null for all.</summary>
    [Limits(AtLeast = 1)]
    public int? Limit { get; init; }

    /// <summary>In place of <see cref="Limit"/>: so many rows of the training file of all that pass the filter, drawn at random and kept in the file's order; null for all.</summary>
    [Limits(AtLeast = 1)]
    public int? Sample { get; init; }

    /// <summary>Which rows <see cref="Sample"/> draws; apart from the run's seed, so that runs of several seeds learn from the same rows.</summary>
    public ulong SampleSeed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in RowChoice.Problems(Filter, Limit, Sample, SampleSeed)) yield return problem;
        (string Key, string? Column)[] columns = [("prompt_column", PromptColumn), ("chosen_column", ChosenColumn), ("rejected_column", RejectedColumn), ("margin_column", MarginColumn)];
        foreach (var same in columns.Where(named => named.Column is not null).GroupBy(named => named.Column).Where(same => same.Count() > 1))
            yield return (same.Last().Key, $"names the column '{same.Key}', as {same.First().Key} does; each is a column of its own");
    }
}
