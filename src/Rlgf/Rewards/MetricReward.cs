using Rlgf.Prompts;
using Rlgf.Text.Metrics;

namespace Rlgf.Rewards;

/// <summary>A metric of single texts against a prompt's references, or a column of its row, in the metric's own unit.</summary>
/// <param name="name">Name for logs and reports.</param>
/// <param name="metric">The metric.</param>
/// <param name="column">The column that holds references or, for coverage, concepts; null for the prompt's references.</param>
/// <param name="failures">What becomes of rows that have no reference, or no value.</param>
public sealed class MetricReward(string name, TextMetric metric, string? column = null, FailureRule? failures = null) : ILocalReward, IReadsRows
{
    private readonly FailureRule _failures = failures ?? new FailureRule();

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var who = $"the reward '{Name}'";
        var problems = new string?[responses.Count];
        var texts = new MeasuredText?[responses.Count];
        for (var i = 0; i < texts.Length; i++)
        {
            try
            {
                texts[i] = Measured(responses[i], who);
            }
            catch (RowFailure failure)
            {
                problems[i] = failure.Message;
            }
        }

        int[] measured = [.. Enumerable.Range(0, texts.Length).Where(i => texts[i] is not null)];
        var statistics = metric.Statistics([.. measured.Select(i => texts[i]!)], cancellationToken);
        var scores = new RewardScore[texts.Length];
        for (var m = 0; m < measured.Length; m++)
        {
            if (metric.OfText(statistics[m]) is { } value) scores[measured[m]] = _failures.Done(new RewardScore(value));
            else problems[measured[m]] = $"{metric.Name} of such a response is not defined";
        }

        for (var i = 0; i < scores.Length; i++) scores[i] ??= _failures.Of(who, responses[i].Prompt, problems[i]!);
        return scores;
    }

    FailureRule IReadsRows.Failures => _failures;

    void IReadsRows.Require(Prompt prompt)
    {
        if (metric.Need != MetricNeed.Nothing) RowTexts.Of(prompt, column, $"the reward '{Name}'");
    }

    private MeasuredText Measured(Response response, string who) => metric.Need switch
    {
        MetricNeed.References => new(response.Text, RowTexts.Of(response.Prompt, column, who)),
        // A text of words is as good as a list of them.
        MetricNeed.Concepts => new(response.Text, []) { Concepts = [.. RowTexts.Of(response.Prompt, column, who).SelectMany(PythonText.Split)] },
        _ => new(response.Text, []),
    };
}
