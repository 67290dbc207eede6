using Rlgf.Base;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>Where prompts come from and how they are cut.</summary>
public sealed record DataSection : ICheckedSection
{
    private const string DefaultColumn = "text";

    /// <summary>The training file: JSON lines, csv, tsv (each also .gz) or Parquet.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The file of held-out prompts, cut in the same way; null evaluates nothing.</summary>
    [RecipePath]
    public string? EvaluationPath { get; init; }

    /// <summary>The format, where the file's name doesn't say it.</summary>
    public DataFormat? Format { get; init; }

    /// <summary>Who reads the rows, where they are in no file of a known format; null for files as <c>format</c> says. A reader of your own makes of the paths what it likes.</summary>
    public DataReaderSection? Reader { get; init; }

    /// <summary>The column that holds the text.</summary>
    public string Column { get; init; } = DefaultColumn;

    /// <summary>
    /// In place of <see cref="Column"/>: the column that holds conversations, each a list of objects with <c>role</c> and <c>content</c> (JSON lines or Parquet), for a policy with a chat template. An
    /// answer at a conversation's end is its reference; null for texts.
    /// </summary>
    public string? MessagesColumn { get; init; }

    /// <summary>The column that holds a reference response (a text, or a list of texts: rewards see all, and a guide of references draws one for each response); null: what follows the prompt in its text, if anything does, or the answer at a conversation's end.</summary>
    public string? ReferenceColumn { get; init; }

    /// <summary>Replacements in every text of both files, before anything else is done with it: line breaks of HTML, say.</summary>
    public IReadOnlyList<ReplacementSection> Replace { get; init; } = [];

    /// <summary>Which rows to use in both files, such as <c>label == 1 &amp;&amp; length(text) > 20</c>; null for all.</summary>
    public string? Filter { get; init; }

    /// <summary>The most rows to use of the training file, its first ones that pass the filter; null for all.</summary>
    [Limits(AtLeast = 1)]
    public int? Limit { get; init; }

    /// <summary>In place of <see cref="Limit"/>: so many rows of the training file of all that pass the filter, drawn at random and kept in the file's order; null for all.</summary>
    [Limits(AtLeast = 1)]
    public int? Sample { get; init; }

    /// <summary>Which rows <see cref="Sample"/> draws; apart from the run's seed, so that runs of several seeds learn from the same rows.</summary>
    public ulong SampleSeed { get; init; }

    /// <summary>The prompt is this many of the text's first tokens; shorter texts are left out. Null: the whole text is the prompt.</summary>
    [Limits(AtLeast = 1)]
    public int? PromptTokens { get; init; }

    /// <summary>Texts with fewer tokens are left out.</summary>
    [Limits(AtLeast = 1)]
    public int MinTextTokens { get; init; } = 1;

    /// <summary>For whole texts and conversations: the most tokens of a prompt, of conversations those of the template included; null for no limit but the model's.</summary>
    [Limits(AtLeast = 1)]
    public int? MaxPromptTokens { get; init; }

    /// <summary>For whole texts and conversations: what happens to longer ones; a conversation can't be cut.</summary>
    public LongPrompts TooLong { get; init; }

    /// <summary>How the rows are read.</summary>
    public TextDatasetOptions ReadOptions(bool evaluation) => new()
    {
        Format = Format,
        Replacements = Replace.ToReplacements(),
        Filter = Filter,
        Limit = evaluation ? null : Limit,
        Sample = evaluation ? null : Sample,
        SampleSeed = SampleSeed,
        Columns = ReferenceColumn is { } reference ? [MessagesColumn ?? Column, reference] : [MessagesColumn ?? Column],
    };

    /// <summary>How the prompts are cut.</summary>
    public PromptSettings PromptSettings => new() { Tokens = PromptTokens, MinTextTokens = MinTextTokens, MaxTokens = MaxPromptTokens, TooLong = TooLong };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (PromptTokens is not null && MaxPromptTokens is not null)
            yield return ("max_prompt_tokens", "belongs to whole texts, and prompt_tokens is set; use one of them");
        if (MessagesColumn is not null)
        {
            if (Column != DefaultColumn) yield return ("column", "is for texts, and messages_column is set: a prompt is one or the other");
            if (PromptTokens is not null) yield return ("prompt_tokens", "cuts texts, and messages_column is set: a conversation is asked whole");
            if (MinTextTokens != 1) yield return ("min_text_tokens", "is for texts, and messages_column is set; use filter");
            if (TooLong == LongPrompts.KeepEnd) yield return ("too_long", "keep_end would cut into a conversation (messages_column); use skip or error");
        }

        if (Format is not null && Reader is not null) yield return ("format", "belongs to files that no reader is named for; set it in the reader's section, if that has it");
        foreach (var problem in RowChoice.Problems(Filter, Limit, Sample, SampleSeed)) yield return problem;
    }
}
