using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Models.Metrics;
using Rlgf.Text.Metrics;

namespace Rlgf.Metrics;

/// <summary>All metrics by their names: those of texts alone, and those that need a model or another program, which is loaded when the metric is made.</summary>
public sealed record MetricCatalog
{
    private const string BertScoreName = "bertscore";
    private const string PerplexityName = "perplexity";
    private const string SpiceName = "spice";

    private static readonly (string Name, string Meaning)[] WithPrograms =
    [
        (BertScoreName, "BERTScore, F1, by an encoder"),
        (PerplexityName, "perplexity under a language model, 1 and above, lower is better"),
        (SpiceName, "SPICE, 0 to 1, by its authors' Java program"),
    ];

    /// <summary>What metrics of texts alone are computed with.</summary>
    public MetricSources Sources { get; init; } = new();

    /// <summary>BERTScore with its encoder; null where there is none.</summary>
    public Func<BertScore>? BertScore { get; init; }

    /// <summary>The model of perplexity; null where there is none.</summary>
    public Func<TextModel>? Model { get; init; }

    /// <summary>SPICE's program; null where there is none.</summary>
    public SpiceTool? Spice { get; init; }

    /// <summary>All names, with what they mean.</summary>
    public static IReadOnlyList<(string Name, string Meaning)> All { get; } = [.. TextMetrics.All, .. WithPrograms];

    /// <summary>What is wrong with a name; null where there is a metric of that name.</summary>
    public static string? Problem(string name) =>
        All.Any(known => known.Name == name) ? null : $"there is no metric '{name}'{Spelling.Suggestion(name, [.. All.Select(known => known.Name)])}";

    /// <summary>Makes a metric.</summary>
    /// <param name="name">One of <see cref="All"/>.</param>
    /// <param name="need">Says what a metric needs that isn't there: is given what it is, and says how to give it.</param>
    /// <exception cref="InputException">There is none of that name, or what it needs isn't there or can't be loaded.</exception>
    public TextMetric Make(string name, Func<MetricNeedOf, string> need)
    {
        if (Problem(name) is { } problem) throw new InputException(problem);
        return name switch
        {
            BertScoreName => (BertScore ?? throw Missing(name, "an encoder", MetricNeedOf.Encoder, need))().AsMetric(),
            PerplexityName => ModelPerplexity.Of((Model ?? throw Missing(name, "a language model", MetricNeedOf.Model, need))()),
            SpiceName => (Spice ?? throw Missing(name, "the Java program of its authors (spice-1.0.jar with its lib folder)", MetricNeedOf.Spice, need)).AsMetric(),
            _ when Sources.KnownTexts is null && name.StartsWith("novelty_", StringComparison.Ordinal) => throw Missing(name, "texts that are known", MetricNeedOf.KnownTexts, need),
            _ => TextMetrics.Make(name, Sources)!,
        };
    }

    private static InputException Missing(string name, string what, MetricNeedOf kind, Func<MetricNeedOf, string> need) => new($"{name} needs {what}: {need(kind)}");
}

/// <summary>What a metric can need besides texts.</summary>
public enum MetricNeedOf
{
    /// <summary>An encoder.</summary>
    Encoder,

    /// <summary>A language model.</summary>
    Model,

    /// <summary>SPICE's program.</summary>
    Spice,

    /// <summary>Texts that are not new.</summary>
    KnownTexts,
}
