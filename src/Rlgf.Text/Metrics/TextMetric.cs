namespace Rlgf.Text.Metrics;

/// <summary>What a metric is computed against.</summary>
public enum MetricNeed
{
    /// <summary>The text alone.</summary>
    Nothing,

    /// <summary>One reference at least for each text.</summary>
    References,

    /// <summary>One concept at least for each text.</summary>
    Concepts,
}

/// <summary>
/// A metric by its name. A text contributes statistics, numbers that can be added: a text's value is computed from its own, a corpus's from their sum, which for many metrics is not the mean of the values.
/// </summary>
public sealed class TextMetric
{
    private TextMetric(string name, MetricNeed need) => (Name, Need) = (name, need);

    /// <summary>The name, as commands and recipes have it.</summary>
    public string Name { get; }

    /// <summary>What it is computed against.</summary>
    public MetricNeed Need { get; }

    /// <summary>The statistics of each of some texts, all of the same length.</summary>
    public required Func<IReadOnlyList<MeasuredText>, CancellationToken, IReadOnlyList<double[]>> Statistics { get; init; }

    /// <summary>A text's value, of its statistics; null where it is not defined.</summary>
    public required Func<double[], double?> OfText { get; init; }

    /// <summary>A corpus's value, of the sum of its texts' statistics; null where it is not defined.</summary>
    public required Func<double[], double?> OfSum { get; init; }

    /// <summary>The value of a corpus as a whole, where that is no function of sums, so that resampled texts say nothing of how sure it is; null for all other metrics.</summary>
    public Func<IReadOnlyList<MeasuredText>, double?>? OfTexts { get; init; }

    /// <summary>Whether a text has a value of its own, whatever the others are: what a reward needs.</summary>
    public bool IsOfSingleTexts { get; init; } = true;

    /// <summary>A metric of sums.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="need">What it is computed against.</param>
    /// <param name="statistics">A text's statistics.</param>
    /// <param name="ofText">A text's value.</param>
    /// <param name="ofSum">A corpus's value; null where it is computed like a text's.</param>
    public static TextMetric Summed(string name, MetricNeed need, Func<MeasuredText, double[]> statistics, Func<double[], double?> ofText, Func<double[], double?>? ofSum = null) =>
        SummedOfBatch(name, need, (texts, stop) => Each(texts, statistics, stop), ofText, ofSum);

    /// <summary>The same of many texts at once, for models that read them in batches.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="need">What it is computed against.</param>
    /// <param name="statistics">Each text's statistics.</param>
    /// <param name="ofText">A text's value.</param>
    /// <param name="ofSum">A corpus's value; null where it is computed like a text's.</param>
    public static TextMetric SummedOfBatch(
        string name, MetricNeed need, Func<IReadOnlyList<MeasuredText>, CancellationToken, IReadOnlyList<double[]>> statistics, Func<double[], double?> ofText, Func<double[], double?>? ofSum = null) =>
        new(name, need) { Statistics = statistics, OfText = ofText, OfSum = ofSum ?? ofText };

    /// <summary>A metric whose value for a corpus is the mean over the texts that have one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="need">What it is computed against.</param>
    /// <param name="value">A text's value; null where it has none.</param>
    public static TextMetric Mean(string name, MetricNeed need, Func<MeasuredText, double?> value) => MeanOfBatch(name, need, (texts, stop) => Each(texts, value, stop));

    /// <summary>The same of many texts at once, for models that read them in batches.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="need">What it is computed against.</param>
    /// <param name="values">Each text's value; null where it has none.</param>
    public static TextMetric MeanOfBatch(string name, MetricNeed need, Func<IReadOnlyList<MeasuredText>, CancellationToken, IReadOnlyList<double?>> values) => new(name, need)
    {
        Statistics = (texts, stop) => [.. values(texts, stop).Select(value => value is { } known ? (double[])[known, 1] : [0, 0])],
        OfText = MeanOf,
        OfSum = MeanOf,
    };

    /// <summary>A metric of a corpus as a whole.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Each text's value, given all of them; null where it has none.</param>
    /// <param name="ofTexts">The corpus's value.</param>
    /// <param name="isOfSingleTexts">Whether a text's value is the same whatever the others are.</param>
    public static TextMetric Whole(
        string name, Func<IReadOnlyList<MeasuredText>, IReadOnlyList<double?>> values, Func<IReadOnlyList<MeasuredText>, double?> ofTexts, bool isOfSingleTexts) => new(name, MetricNeed.Nothing)
        {
            Statistics = (texts, _) => [.. values(texts).Select(value => value is { } known ? (double[])[known, 1] : [0, 0])],
            OfText = MeanOf,
            OfSum = MeanOf,
            OfTexts = ofTexts,
            IsOfSingleTexts = isOfSingleTexts,
        };

    private static double? MeanOf(double[] statistics) => statistics[1] == 0 ? null : statistics[0] / statistics[1];

    private static T[] Each<T>(IReadOnlyList<MeasuredText> texts, Func<MeasuredText, T> measure, CancellationToken stop)
    {
        var results = new T[texts.Count];
        for (var i = 0; i < results.Length; i++)
        {
            stop.ThrowIfCancellationRequested();
            results[i] = measure(texts[i]);
        }

        return results;
    }
}
