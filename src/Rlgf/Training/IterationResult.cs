using Rlgf.Algorithms;
using Rlgf.Distributed;
using Rlgf.Guides;
using Rlgf.Models.Tensors;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Statistics;
using Rlgf.Tokenizers;
using Rlgf.Worth;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>What an iteration leaves: the state for the next one, and what to log.</summary>
/// <param name="State">For the next iteration.</param>
/// <param name="Record">Metrics by name (docs/metrics.md says what each is).</param>
/// <param name="Samples">The first rows, token by token.</param>
public sealed record IterationResult(TrainingState State, IterationRecord Record, IReadOnlyList<SampleRecord> Samples)
{
    private const int SampleRows = 8;

    /// <summary>What is not as it should be in a run that goes on, one line each; none mostly.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Puts an iteration's numbers together.</summary>
    /// <param name="state">Before the iteration, with what its rows changed.</param>
    /// <param name="written">What was written and scored.</param>
    /// <param name="setup">The run.</param>
    /// <param name="batch">What was learned from.</param>
    /// <param name="klToStart">[B, A] float32.</param>
    /// <param name="values">[B, A] float32; null without a critic.</param>
    /// <param name="estimated">Advantages and returns.</param>
    /// <param name="update">What the update measured.</param>
    /// <param name="replay">Lessons; null without them.</param>
    /// <param name="seconds">By phase.</param>
    /// <param name="communication">What the ranks sent to each other.</param>
    internal static IterationResult From(
        TrainingState state, WrittenRows written, TrainingSetup setup, RolloutBatch batch,
        Tensor klToStart, Tensor? values, EstimatedAdvantages estimated, UpdateStatistics update, LessonReplay? replay, IReadOnlyDictionary<string, double> seconds, CommunicationCost communication)
    {
        var (rollouts, scores) = (batch.Rollouts, written.Scores);
        var plan = written.First[0].Plan;
        var (log, toStart, advantage) = (Rows(batch.LogProbs), Rows(klToStart), Rows(estimated.Advantages));
        var value = values is null ? null : Rows(values);
        var kl = rollouts.Select((rollout, row) => Indices(rollout, Actor.Policy).Sum(t => (double)toStart[row][t])).ToArray();
        var rowsOfPolicy = rollouts.Count(rollout => Indices(rollout, Actor.Policy).Any());
        var policyAdvantages = rollouts.SelectMany((rollout, row) => Indices(rollout, Actor.Policy).Select(t => (double)advantage[row][t])).ToArray();
        // −log π of what was drawn estimates the entropy without bias.
        var entropy = rollouts.SelectMany((rollout, row) => Indices(rollout, Actor.Policy).Select(t => -(double)log[row][t])).DefaultIfEmpty(double.NaN).Average();
        var totals = scores.Select(score => score.Return).ToArray();
        var next = state with
        {
            Iteration = state.Iteration + 1,
            Kl = state.Kl.Update(rowsOfPolicy == 0 ? null : kl.Sum() / rowsOfPolicy, rollouts.Count),
            PolicyTokens = state.PolicyTokens + PolicyTokens(written.Everything) + (written.Worth?.PolicyTokens ?? 0),
            GuideTokens = state.GuideTokens + written.GuideTokens.Values.Sum(),
        };

        var metrics = new Dictionary<string, double>
        {
            ["reward/mean"] = totals.Average(),
            ["reward/deviation"] = Deviation(totals),
            ["kl/start"] = rowsOfPolicy == 0 ? double.NaN : kl.Sum() / rowsOfPolicy,
            ["kl/coefficient"] = state.Kl.Coefficient,
            ["response/length"] = rollouts.Average(rollout => rollout.Tokens.Length),
            ["response/ended"] = rollouts.Average(rollout => rollout.Ended ? 1.0 : 0),
            ["roll_in/share"] = rollouts.Average(rollout => rollout.RollInLength > 0 ? 1.0 : 0),
            ["roll_in/length"] = rollouts.Average(rollout => rollout.RollInLength),
            ["roll_in/probability"] = MeanBeta(written.First),
            ["tokens/policy"] = next.PolicyTokens,
            ["tokens/guide"] = next.GuideTokens,
            ["advantage/mean"] = policyAdvantages.DefaultIfEmpty(0).Average(),
            ["advantage/deviation"] = Deviation(policyAdvantages),
            ["loss/policy"] = 0,
            ["loss/value"] = 0,
            ["policy/entropy"] = entropy,
            ["policy/gradient_norm"] = update.PolicyGradientNorm,
            ["critic/gradient_norm"] = update.CriticGradientNorm,
            ["critic/explained_variance"] = value is null ? double.NaN : ExplainedVariance(rollouts, value, Rows(estimated.Returns!)),
            ["learning_rate"] = update.LearningRate,
        };
        AddLosses(metrics, state.Iteration, setup, rollouts, estimated, update);
        if (setup.NormaliseReward)
        {
            metrics["reward/running_mean"] = next.Rewards.Mean;
            metrics["reward/running_deviation"] = next.Rewards.Scale;
        }
        AddGuidance(metrics, setup, rollouts, written);
        if (state.Worth is { } worth) AddWorth(metrics, worth, setup.GuideWorth!);
        AddWhatSomeRunsHave(metrics, plan, setup.Algorithm, scores, state, replay, seconds);

        if (setup.Ranks.Size > 1)
        {
            metrics["communication/bytes"] = communication.Bytes;
            metrics["communication/seconds"] = communication.Seconds;
        }

        var samples = rollouts.Take(SampleRows).Select((rollout, row) => Sample(rollout, scores[row], setup.Tokenizer, log[row], toStart[row], advantage[row], value?[row]));
        return new(next, new(state.Iteration, plan, metrics), [.. samples]);
    }

    /// <summary>What the terms of the loss measured, and how many groups had nothing to compare.</summary>
    private static void AddLosses(
        Dictionary<string, double> metrics, int iteration, TrainingSetup setup, IReadOnlyList<Rollout> rollouts, EstimatedAdvantages estimated, UpdateStatistics update)
    {
        if (setup.Algorithm.GuideCredit > 0) metrics["loss/guide"] = 0;
        if (setup.Supervised is { } supervised)
        {
            metrics["loss/supervised"] = 0;
            metrics["supervised/coefficient"] = supervised.CoefficientAt(iteration, setup.Iterations);
        }
        if (estimated.HaveSpread is { } haveSpread)
            metrics["groups/equal"] = Enumerable.Range(0, rollouts.Count).GroupBy(row => rollouts[row].Group, (_, rows) => haveSpread[rows.First()]).Average(hasSpread => hasSpread ? 0.0 : 1);
        foreach (var (name, measured) in update.Terms) metrics[name] = measured;
    }

    /// <summary>What the guide did not answer, how much of its text was given, and what was written again.</summary>
    private static void AddGuidance(Dictionary<string, double> metrics, TrainingSetup setup, IReadOnlyList<Rollout> rollouts, WrittenRows written)
    {
        if (setup.Guide is { MayDecline: true }) metrics["guide/unanswered"] = rollouts.Count(rollout => rollout.GuideDeclined);
        if (setup.Guide is IMeteredGuide metered)
            foreach (var (name, value) in metered.Metrics) metrics[name] = value;
        if (setup.Phases.Any(phase => phase.Cut is not null))
            metrics["cut/share"] = written.First.Where(row => row.Plan.CutsByShare).Select(row => row.Plan.Share).DefaultIfEmpty(double.NaN).Average();
        if (setup.Algorithm.Gate is not null)
        {
            var again = written.Everything.Skip(written.First.Count).ToArray();
            metrics["gate/share"] = again.Select(row => row.Group).Distinct().Count() / (double)written.First.Select(row => row.Group).Distinct().Count();
            metrics["gate/tokens"] = PolicyTokens(again) + WrittenRows.TokensByGuide(again).Values.Sum();
        }
    }

    /// <summary>What guide and policy make of the same beginnings.</summary>
    private static void AddWorth(Dictionary<string, double> metrics, GuideWorth worth, GuideWorthSettings settings)
    {
        var gap = worth.Gap(settings.Window);
        metrics["worth/gap"] = gap.Mean;
        metrics["worth/gap_half_width"] = gap.HalfWidth;
        metrics["worth/guide"] = worth.Guide(settings.Window);
        metrics["worth/policy"] = worth.Policy(settings.Window);
        metrics["worth/distance"] = worth.Distance(settings.Window);
    }

    /// <summary>Parts of the reward, phases, and what belongs to the guide's credit and to the gap.</summary>
    private static void AddWhatSomeRunsHave(
        Dictionary<string, double> metrics, RolloutPlan plan, AlgorithmSettings algorithm, IReadOnlyList<RewardScore> scores, TrainingState state, LessonReplay? replay,
        IReadOnlyDictionary<string, double> seconds)
    {
        foreach (var part in scores[0].Parts.Keys) metrics[$"reward/part/{part}"] = scores.Average(score => score.Parts[part]);
        if (algorithm.GuideCredit > 0)
        {
            metrics["guide/credit"] = plan.GuideCredit;
        }
        if (algorithm.ScaleByGap)
        {
            metrics["gap/smoothed"] = state.Gap.Smoothed ?? double.NaN;
            metrics["gap/factor"] = state.Gap.Factor;
        }
        if (state.Lessons is { } lessons)
        {
            metrics["lessons/guide"] = lessons.Asking.Guide.DefaultIfEmpty(double.NaN).Average();
            metrics["lessons/policy"] = lessons.Asking.Policy.DefaultIfEmpty(double.NaN).Average();
            metrics["lessons/factor"] = lessons.Guidance.Factor;
            foreach (var (name, value) in replay!.Metrics) metrics[name] = value;
        }
        foreach (var (phase, time) in seconds) metrics[$"seconds/{phase}"] = time;
        metrics["seconds/total"] = seconds.Values.Sum();
    }

    /// <summary>Tokens that the policy wrote of rows; the guide's are <see cref="WrittenRows.TokensByGuide"/>.</summary>
    private static long PolicyTokens(IReadOnlyCollection<Rollout> rollouts) => rollouts.Sum(rollout => (long)Indices(rollout, Actor.Policy).Count());

    /// <summary>A row token by token; log-probabilities are known of the policy's tokens only.</summary>
    private static SampleRecord Sample(Rollout rollout, RewardScore score, ITokenizer tokenizer, float[] log, float[] toStart, float[] advantage, float[]? value) => new(
        rollout.Prompt.Text, rollout.RollInLength, score.Return, score.Parts,
        [.. rollout.Tokens.Select((token, t) =>
        {
            var isPolicy = rollout.AuthorOf(t) == Actor.Policy;
            return new SampleToken(
                tokenizer.Decode([token], skipSpecialTokens: false), rollout.AuthorOf(t), advantage[t], value?[t] ?? double.NaN,
                isPolicy ? toStart[t] : double.NaN, isPolicy ? log[t] : double.NaN);
        })])
    { Messages = MessageRecord.Of(rollout.Prompt) };

    private static IEnumerable<int> Indices(Rollout rollout, Actor author) => Enumerable.Range(0, rollout.Tokens.Length).Where(t => rollout.AuthorOf(t) == author);

    /// <summary>The plan's β, which is that of every row but where some prompts are asked for less.</summary>
    private static double MeanBeta(IReadOnlyList<PlannedRow> rows) =>
        rows.All(row => row.Plan.RollInProbability == rows[0].Plan.RollInProbability) ? rows[0].Plan.RollInProbability : rows.Average(row => row.Plan.RollInProbability);

    private static float[][] Rows(Tensor matrix)
    {
        return [.. matrix.HostArray<float>().Chunk((int)matrix.size(1))];
    }

    private static double Deviation(double[] x) => x.Length < 2 ? 0 : Spread.Deviation(x);

    /// <summary>1 − Var(R − V) / Var(R) over the tokens of the roll-outs; NaN without spread.</summary>
    private static double ExplainedVariance(IReadOnlyList<Rollout> rollouts, float[][] values, float[][] returns)
    {
        var tokens = rollouts.SelectMany((rollout, row) => Enumerable.Range(rollout.RollInLength, rollout.Tokens.Length - rollout.RollInLength).Select(t => (row, t))).ToArray();
        var target = Deviation([.. tokens.Select(at => (double)returns[at.row][at.t])]);
        var error = Deviation([.. tokens.Select(at => (double)returns[at.row][at.t] - values[at.row][at.t])]);
        return target == 0 ? double.NaN : 1 - error * error / (target * target);
    }
}
