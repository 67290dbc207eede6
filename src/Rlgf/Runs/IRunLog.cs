using System.Text.Json.Serialization;
using Rlgf.Evaluation;
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

    /// <summary>What is not as it should be in a run that goes on, said once.</summary>
    /// <param name="iteration">Iterations done.</param>
    /// <param name="message">One line: what, and what to try.</param>
    void Warning(int iteration, string message) { }

    /// <summary>A tripwire was touched.</summary>
    void Tripwire(TripwireRecord record) { }

    /// <summary>The run has gone back: what was told of later iterations and evaluations is of a way that was left.</summary>
    /// <param name="iteration">Iterations done now.</param>
    void WentBack(int iteration) { }

    /// <summary>One step of a supervised training.</summary>
    void Step(StepRecord record) { }

    /// <summary>What was measured on the held-out examples of a supervised training, after so many steps.</summary>
    void HeldOut(StepRecord record) { }
}

/// <summary>A tripwire that was touched.</summary>
/// <param name="Iteration">Iterations before the evaluation that touched it.</param>
/// <param name="Wire">The recipe's key.</param>
/// <param name="Seen">What was seen, in a clause.</param>
/// <param name="Action">What was done, in words: <c>warned</c>, <c>stopped</c>, or where the run went back to and with which KL coefficient.</param>
public sealed record TripwireRecord(int Iteration, string Wire, string Seen, string Action);

/// <summary>What was measured in a step of a supervised training, or after it.</summary>
/// <param name="Step">Steps done; 0 is the starting model.</param>
/// <param name="Metrics">Values by name, in the order to show them.</param>
public sealed record StepRecord(int Step, IReadOnlyDictionary<string, double> Metrics);

/// <summary>What an iteration did and measured.</summary>
/// <param name="Iteration">From 0.</param>
/// <param name="Plan">The plan it ran.</param>
/// <param name="Metrics">Values by name, in the order to show them.</param>
public sealed record IterationRecord(int Iteration, RolloutPlan Plan, IReadOnlyDictionary<string, double> Metrics);

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
