using Rlgf.Base;
using Rlgf.Models.Lora;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;

namespace Rlgf.Recipes;

/// <summary>What a supervised training starts from.</summary>
public abstract record StartSection;

/// <summary>A model that exists.</summary>
public sealed record FolderStartSection : StartSection
{
    /// <summary>The model's folder.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The tokenizer's folder; null for the model's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    /// <summary>A new adapter that is trained in place of the model's own weights; null to train what the folder holds.</summary>
    public LoraSettings? Lora { get; init; }
}

/// <summary>A new GPT-2 with fresh weights.</summary>
public sealed record Gpt2StartSection : StartSection, ICheckedSection
{
    /// <summary>The tokenizer's folder; it decides the size of the vocabulary.</summary>
    [RecipePath]
    public required string Tokenizer { get; init; }

    /// <summary>L.</summary>
    [Limits(AtLeast = 1)]
    public required int Layers { get; init; }

    /// <summary>D; a multiple of <see cref="Heads"/>.</summary>
    [Limits(AtLeast = 1)]
    public required int Width { get; init; }

    /// <summary>H.</summary>
    [Limits(AtLeast = 1)]
    public required int Heads { get; init; }

    /// <summary>The most tokens of a row.</summary>
    [Limits(AtLeast = 2)]
    public required int Context { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Width % Heads != 0) yield return ("width", $"{Width} is no multiple of heads, {Heads}");
    }
}

/// <summary>Texts to learn from.</summary>
public sealed record TextsSection : ICheckedSection
{
    /// <summary>The training file: JSON lines, csv, tsv (each also .gz) or Parquet.</summary>
    [RecipePath]
    public required string Path { get; init; }

    /// <summary>The held-out file; null: <see cref="HeldOutRows"/> rows of the training file.</summary>
    [RecipePath]
    public string? EvaluationPath { get; init; }

    /// <summary>Who reads the rows, where they are in no file of a known format; null for files, by their names.</summary>
    public DataReaderSection? Reader { get; init; }

    /// <summary>How many rows are held out: at most so many of the held-out file, or so many of the training file that are not learned. They are spread evenly over the file, which may be sorted.</summary>
    [Limits(AtLeast = 1)]
    public int HeldOutRows { get; init; } = 500;

    /// <summary>The column that holds the text, or what is to be written after <see cref="PromptColumn"/>.</summary>
    public string Column { get; init; } = TextColumn;

    private const string TextColumn = "text";

    /// <summary>For a language model: the column with what the text answers, which is read but not learned; null for plain texts.</summary>
    public string? PromptColumn { get; init; }

    /// <summary>
    /// In place of <see cref="Column"/>, for a language model with a chat template: the column with conversations, lists of objects with <c>role</c> and <c>content</c>; null for none. Where <see cref="PromptColumn"/> holds
    /// messages, or <see cref="Column"/> does, the two are a conversation too, whose answer is learned.
    /// </summary>
    public string? MessagesColumn { get; init; }

    /// <summary>Which turns of the conversations in <see cref="MessagesColumn"/> are learned, each with the token that ends it; null: the assistant's, all of them.</summary>
    public TaughtTurns? TrainOn { get; init; }

    /// <summary>For a classifier: the column with the label, its name or its number.</summary>
    public string? LabelColumn { get; init; }

    /// <summary>Replacements in every text, before anything else is done with it: line breaks of HTML, say.</summary>
    public IReadOnlyList<ReplacementSection> Replace { get; init; } = [];

    /// <summary>Which rows to use, such as <c>label == 1</c>; null for all.</summary>
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
        if (TrainOn is not null && MessagesColumn is null) yield return ("train_on", "is for conversations; set messages_column, or leave it out");
        if (MessagesColumn is not null && Column != TextColumn) yield return ("column", "is the column of texts, and messages_column is set; use one of them");
        if (MessagesColumn is not null && PromptColumn is not null) yield return ("messages_column", "a conversation has its prompt in it, and prompt_column is set; use one of them");
    }
}

/// <summary>The part of a text that a classifier reads, drawn anew in each epoch.</summary>
public sealed record WindowSection : ICheckedSection
{
    /// <summary>The fewest tokens.</summary>
    [Limits(AtLeast = 1)]
    public required int MinTokens { get; init; }

    /// <summary>The most tokens.</summary>
    [Limits(AtLeast = 1)]
    public required int MaxTokens { get; init; }

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (MaxTokens < MinTokens) yield return ("max_tokens", $"{MaxTokens} is less than min_tokens, {MinTokens}");
    }
}
