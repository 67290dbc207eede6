using System.Text.Json.Serialization;
using Rlgf.Prompts;
using Rlgf.Rollouts;

namespace Rlgf.Runs;

/// <summary>Where a run writes what it sees. Metric names are paths such as <c>reward/mean</c>, <c>kl/start</c>, <c>seconds/roll_in</c>; see docs/metrics.md.</summary>
public interface IRunLog
{
    /// <summary>Where the run begins, before anything long.</summary>
    void Started(RunStart start) { }

    /// <summary>One training iteration.</summary>
    void Iteration(IterationRecord record);

    /// <summary>One evaluation on held-out prompts.</summary>
    void Evaluation(EvaluationRecord record);

    /// <summary>Some of an iteration's rows, token by token.</summary>
    void Samples(int iteration, IReadOnlyList<SampleRecord> samples);
}

/// <summary>What an iteration did and measured.</summary>
/// <param name="Iteration">From 0.</param>
/// <param name="Plan">The plan it ran.</param>
/// <param name="Metrics">Values by name, in the order to show them.</param>
public sealed record IterationRecord(int Iteration, RolloutPlan Plan, IReadOnlyDictionary<string, double> Metrics);

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
}

/// <summary>A message of a prompt.</summary>
/// <param name="Role">Who wrote it.</param>
/// <param name="Content">Its text.</param>
public sealed record MessageRecord(string Role, string Content)
{
    /// <summary>A prompt's messages; null where it is a text.</summary>
    public static IReadOnlyList<MessageRecord>? Of(Prompt prompt) => prompt.Messages is { } messages ? [.. messages.Select(message => new MessageRecord(message.Role, message.Content))] : null;
}

/// <summary>One training row, token by token.</summary>
/// <param name="Prompt">The prompt's text.</param>
/// <param name="RollInLength">r.</param>
/// <param name="Reward">Score of the response, without KL.</param>
/// <param name="RewardParts">Its parts by name.</param>
/// <param name="Tokens">The response's tokens.</param>
public sealed record SampleRecord(string Prompt, int RollInLength, double Reward, IReadOnlyDictionary<string, double> RewardParts, IReadOnlyList<SampleToken> Tokens)
{
    /// <summary>The conversation that is answered; null where the prompt is a text.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<MessageRecord>? Messages { get; init; }
}

/// <summary>One response token.</summary>
/// <param name="Text">Its text; bytes of a split character show as U+FFFD.</param>
/// <param name="Author">Who wrote it.</param>
/// <param name="Advantage">Â_t.</param>
/// <param name="Value">V(s_t) of the plan's critic; NaN without a critic.</param>
/// <param name="Kl">log π(a_t|s_t) − log π_0(a_t|s_t) before the update, under the distribution that was sampled.</param>
/// <param name="LogProb">log π(a_t|s_t) before the update, under the distribution that was sampled.</param>
public sealed record SampleToken(string Text, Actor Author, double Advantage, double Value, double Kl, double LogProb);
