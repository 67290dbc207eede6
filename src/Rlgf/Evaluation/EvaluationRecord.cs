using System.Text.Json.Serialization;
using Rlgf.Prompts;

namespace Rlgf.Evaluation;

/// <summary>How a model does on held-out prompts.</summary>
/// <param name="Iteration">Iterations of training before it; 0 is the starting model.</param>
/// <param name="Metrics">Means over the rows, by name.</param>
/// <param name="Rows">One row a prompt, in the order of the prompts, so that two evaluations can be compared pair by pair.</param>
public sealed record EvaluationRecord(int Iteration, IReadOnlyDictionary<string, double> Metrics, IReadOnlyList<EvaluationRow> Rows);

/// <summary>One held-out prompt and what was written.</summary>
/// <param name="Prompt">The prompt's text.</param>
/// <param name="Response">The response's text.</param>
/// <param name="Tokens">Number of response tokens.</param>
/// <param name="Ended">Whether it ended by itself.</param>
/// <param name="Reward">The training reward, without KL.</param>
/// <param name="RewardParts">Its parts by name.</param>
/// <param name="Judge">The score of the judge that training never saw; NaN without one.</param>
/// <param name="Kl">
/// Σ_t log π(a_t|s_t, S_t) − log π_0(a_t|s_t, S_t) under the distribution that was sampled, nats a response; NaN where the writer has no such log-probabilities (a guide) or nothing was drawn (greedy, beams).
/// </param>
/// <param name="StartLogProb">Σ_t log π_0(a_t|s_t): how likely the starting model finds it.</param>
/// <param name="RawKl">The same of the raw models, by another response that was drawn from the raw model; equal where sampling changes nothing, NaN for a guide.</param>
public sealed record EvaluationRow(string Prompt, string Response, int Tokens, bool Ended, double Reward, IReadOnlyDictionary<string, double> RewardParts, double Judge, double Kl, double StartLogProb, double RawKl = double.NaN)
{
    /// <summary>The conversation that was answered; null where the prompt is a text.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<MessageRecord>? Messages { get; init; }

    /// <summary>The value of the column that results are given by, as text; null without one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Group { get; init; }
}
