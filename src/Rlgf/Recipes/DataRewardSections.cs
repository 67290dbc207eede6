using Rlgf.Base;
using Rlgf.Metrics;
using Rlgf.Rewards;
using Rlgf.Text.Metrics;

namespace Rlgf.Recipes;

/// <summary>A reward that may be unable to score a row.</summary>
public abstract record FallibleRewardSection : RewardSection
{
    /// <summary>
    /// The score of a row that can't be scored; the run then goes on, the row's part <c>failed</c> is 1, and the log has the mean of it. Null: the run stops with a line about the row. What is wrong with all rows, such as
    /// a column that is not there or a program that can't be started, always stops.
    /// </summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double? FailureScore { get; init; }

    /// <summary>What becomes of rows that can't be scored.</summary>
    internal virtual FailureRule Failures => new(FailureScore);
}

/// <summary>1 where the response has the right answer, 0 elsewhere; of several right answers one is enough. A response without a match of <c>pattern</c> is wrong.</summary>
public sealed record MatchRewardSection : FallibleRewardSection, ICheckedSection
{
    /// <summary>The column of the row that holds the right answer, a text, a number or a list of texts; null for the references.</summary>
    public string? Column { get; init; }

    /// <summary>Where the answer is in the response, as a .NET regular expression without look-around and back-references: its first group, or all of it where it has none, at its last match. Null: all of the response.</summary>
    public string? Pattern { get; init; }

    /// <summary>
    /// Whether the answer is what stands in the response's last <c>\boxed{…}</c>, in place of <c>pattern</c>; a response without one, or whose last one isn't closed, is wrong. <c>\boxed 4</c> is a box up to a dollar sign or the end.
    /// </summary>
    public bool Boxed { get; init; }

    /// <summary>Where the answer is in the column, in the same way; null for all of it.</summary>
    public string? ColumnPattern { get; init; }

    /// <summary>How they are compared.</summary>
    public AnswerComparison Compare { get; init; }

    /// <summary>How far two numbers may lie apart, as a share of the right one.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double Tolerance { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Pattern is { } pattern && UserPattern.Problem(pattern) is { } problem) yield return ("pattern", problem);
        if (ColumnPattern is { } ofColumn && UserPattern.Problem(ofColumn) is { } wrong) yield return ("column_pattern", wrong);
        if (Boxed && Pattern is not null) yield return ("boxed", "says where the answer is in place of pattern; leave out one of the two");
        if (Tolerance > 0 && Compare != AnswerComparison.Number) yield return ("tolerance", "is for numbers; set compare: number");
    }
}

/// <summary>
/// Answers to problems of the Python package reasoning-gym, whose rows have the columns <c>task</c>, <c>scorer</c>, <c>answer</c> and <c>meta</c>: sums, sorting, spelling backward, rewriting, countdown and others. An expression is
/// read by a parser, in exact fractions; nothing that a model wrote is run.
/// </summary>
public sealed record ReasoningGymRewardSection : FallibleRewardSection
{
    /// <summary>Which number an answer gets.</summary>
    public ReasoningGymRule Rule { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;
}

/// <summary>Share of the words of a column that the response has in any form, 0 to 1: <c>geese</c> and <c>runs</c> for <c>goose</c> and <c>run</c>.</summary>
public sealed record CoverageRewardSection : FallibleRewardSection
{
    /// <summary>The column: a list of English words in lower case, or a text of them.</summary>
    public required string Column { get; init; }

    /// <summary>Whether it is 1 for a response that has all of them and 0 for others.</summary>
    public bool AllOrNothing { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;
}

/// <summary>A metric of texts, of the response against the row's references, in the metric's own unit: docs/metrics.md says what each equals.</summary>
public sealed record MetricRewardSection : FallibleRewardSection, ICheckedSection
{
    /// <summary>Its name: one of <c>bleu</c>, <c>rougeL</c>, <c>cider_d</c> and others of docs/metrics.md, but for <c>self_bleu</c>, which single texts don't have.</summary>
    public required string Metric { get; init; }

    /// <summary>The column of the row that holds references, or for <c>coverage</c> words; null for the references of <c>data</c>.</summary>
    public string? Column { get; init; }

    /// <summary>Of <c>rouge…</c>: whether words are compared by their stems.</summary>
    public bool Stem { get; init; }

    /// <summary>Of <c>cider</c> and <c>cider_d</c>: rows with <c>references</c> in which is counted how rare n-grams are; null for the references of the training prompts.</summary>
    [RecipePath]
    public string? Frequencies { get; init; }

    /// <summary>Of <c>meteor</c>: synonyms, a JSON object such as <c>{"big": ["large"]}</c>; null for none.</summary>
    [RecipePath]
    public string? Synonyms { get; init; }

    /// <summary>Of <c>novelty_n</c>: rows with <c>text</c> whose n-grams are not new; null for the references of the training prompts.</summary>
    [RecipePath]
    public string? Known { get; init; }

    /// <summary>Of <c>bertscore</c>: the encoder's folder.</summary>
    [RecipePath]
    public string? Encoder { get; init; }

    /// <summary>Of <c>bertscore</c>: after how many of the encoder's layers states are compared; null for all.</summary>
    [Limits(AtLeast = 1)]
    public int? EncoderLayer { get; init; }

    /// <summary>Of <c>bertscore</c>: whether tokens count more that are rare among the references of the training prompts.</summary>
    public bool Idf { get; init; }

    /// <summary>Of <c>perplexity</c>: the language model's folder.</summary>
    [RecipePath]
    public string? Model { get; init; }

    /// <summary>Of <c>spice</c>: the program of its authors, <c>spice-1.0.jar</c>, with its <c>lib</c> folder beside it.</summary>
    [RecipePath]
    public string? Spice { get; init; }

    /// <summary>Of <c>spice</c>: the Java that runs it.</summary>
    public string? Java { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => Metric switch
    {
        "perplexity" => PlacedModels.AnyType,
        "bertscore" => PlacedModels.Float32,
        _ => PlacedModels.None,
    };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (MetricCatalog.Problem(Metric) is { } problem)
        {
            yield return ("metric", problem);
            yield break;
        }

        if (Metric == "self_bleu") yield return ("metric", "self_bleu is of many texts together, and a reward is of one");
        bool Is(params string[] names) => names.Contains(Metric);
        var isNovelty = Metric.StartsWith("novelty_", StringComparison.Ordinal);
        (string Key, bool IsSet, bool IsUsed)[] keys =
        [
            ("stem", Stem, Is("rouge1", "rouge2", "rougeL", "rougeLsum")), ("frequencies", Frequencies is not null, Is("cider", "cider_d")), ("synonyms", Synonyms is not null, Is("meteor")),
            ("known", Known is not null, isNovelty), ("encoder", Encoder is not null, Is("bertscore")), ("encoder_layer", EncoderLayer is not null, Is("bertscore")), ("idf", Idf, Is("bertscore")),
            ("model", Model is not null, Is("perplexity")), ("spice", Spice is not null, Is("spice")), ("java", Java is not null, Is("spice")),
            ("column", Column is not null, !isNovelty && !Is("perplexity") && !Metric.StartsWith("distinct_", StringComparison.Ordinal) && !Metric.StartsWith("repetition_", StringComparison.Ordinal)),
        ];
        foreach (var (key, isSet, isUsed) in keys) if (isSet && !isUsed) yield return (key, $"is not used by {Metric}");
        if (Is("bertscore") && Encoder is null) yield return ("encoder", "bertscore needs an encoder: name its folder");
        if (Is("perplexity") && Model is null) yield return ("model", "perplexity needs a language model: name its folder");
        if (Is("spice") && Spice is null) yield return ("spice", "spice needs the program of its authors: name spice-1.0.jar");
        if (Is("coverage") && Column is null) yield return ("column", "coverage needs the column that holds the words");
    }
}

/// <summary>1 where the response, run as a program for a stack, does what all cases of the row ask for, 0 elsewhere: <c>a 3 + :*</c> is (a + 3)²; <c>rlgf task stack</c> makes such rows.</summary>
public sealed record StackProgramRewardSection : FallibleRewardSection
{
    /// <summary>The column of the row that holds the cases, each a text of inputs, <c>=</c> and the result: <c>3 7 2=19</c>.</summary>
    public string Cases { get; init; } = "cases";

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;
}

/// <summary>1 for a response that ended by itself, 0 for one that was cut at the limit.</summary>
public sealed record EndedRewardSection : RewardSection
{
    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;
}

/// <summary>1 for a response whose length is within limits, 0 for others.</summary>
public sealed record LengthRangeRewardSection : RewardSection, ICheckedSection
{
    /// <summary>What is counted.</summary>
    public LengthUnit Unit { get; init; }

    /// <summary>The least; null for any.</summary>
    [Limits(AtLeast = 0)]
    public int? AtLeast { get; init; }

    /// <summary>The most; null for any.</summary>
    [Limits(AtLeast = 0)]
    public int? AtMost { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (AtLeast is null && AtMost is null) yield return ("at_least", "neither at_least nor at_most is set, so that every response would be within");
        if (AtLeast > AtMost) yield return ("at_most", FormattableString.Invariant($"is {AtMost}, below at_least, {AtLeast}: no response could be within"));
    }
}
