using System.Diagnostics;
using Rlgf.Advantages;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Rlgf.Text.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>
/// One iteration of guided reinforcement learning, the same for every algorithm: plan, prompts, roll in, roll out, score, shape, advantages, update, record.
/// Chang et al., "Learning to Generate Better Than Your LLM" (arXiv 2306.11816), section 4; what the paper leaves open is decided in docs/algorithms.md.
/// </summary>
/// <param name="setup">What the run is given.</param>
/// <param name="critics">The value functions that the algorithm's plans need.</param>
/// <param name="learner">Does the update.</param>
public sealed class GuidedIteration(TrainingSetup setup, Critics critics, Learner learner)
{
    private readonly RolloutWriter _writer = new(setup.WritingCopy ?? setup.Policy, setup.Tokenizer, setup.Guide, setup.Sampling, setup.Seed);
    private readonly ShuffledOrder _order = new(setup.Prompts.Count, setup.Seed);

    /// <summary>Whether an update has begun and not ended: the weights are then between two iterations, and not to be saved.</summary>
    public bool IsUpdating { get; private set; }

    /// <summary>Runs the iteration that the state is at.</summary>
    /// <param name="state">What the iterations before left.</param>
    /// <param name="cancellationToken">
    /// Stops while text is written and scored, when no weight has changed: the state is then still the one to go on from. An update that has begun is finished.
    /// </param>
    public IterationResult Run(TrainingState state, CancellationToken cancellationToken)
    {
        using var scope = NewDisposeScope();
        var clock = new PhaseClock();
        var (algorithm, iteration) = (setup.Algorithm, state.Iteration);

        if (setup.WritingCopy is { } copy) PrecisionOfModels.CopyWeights(setup.Policy, copy);

        // 1. Plan: who rolls in, who rolls out, how often.
        var coin = RandomStream.Uniform(setup.Seed, RandomStream.Combine(PlanCoin, (ulong)iteration), 0);
        var plan = Plans.Of(algorithm, iteration, coin, state.Gap.Factor);

        // 2. Prompts: the next of the seeded order, each as often as its group is large.
        var prompts = PromptsOf(iteration);

        // 3. and 4. Roll in, roll out. No gradient: text is data here.
        var rollIns = clock.Time("roll_in", () => _writer.RollIn(plan, prompts, iteration, cancellationToken));
        var rollouts = clock.Time("roll_out", () => _writer.RollOut(plan, prompts, rollIns, iteration, cancellationToken));
        var batch = RolloutBatch.From(rollouts, plan);

        // 5. Score whole responses; where the algorithm asks, also those that the guide wrote whole, to see how far it is ahead.
        var scores = clock.Time("reward", () => CheckedScores.Of(setup.Reward, [.. rollouts.Select(rollout => rollout.Response)], cancellationToken));

        var gap = clock.Time("gap", () => MeasuredGap(state.Gap, rollIns, rollouts, scores, cancellationToken));

        // 6. Shape: normalised where the recipe says so, and a KL penalty on the tokens that the policy wrote.
        var (policyLogProbs, referenceLogProbs) = clock.Time("reference", () => LogProbsToCompare(batch));
        if (setup.NormaliseReward) state = state with { Rewards = state.Rewards.With([.. scores.Select(score => score.Return)]) };
        var rewards = TaskRewards(batch, setup.NormaliseReward ? [.. scores.Select(state.Rewards.Normalise)] : scores);
        var penalties = setup.Kl.Placement == KlPlacement.Reward && state.Kl.Coefficient > 0
            ? RewardShaping.Penalties(policyLogProbs, referenceLogProbs, batch.IsPolicy, batch.Lengths, state.Kl.Coefficient, setup.Kl.Estimator!.Value)
            : null;

        // 7. Advantages, with the critic of the actor that rolls out.
        var values = algorithm.Advantage == AdvantageEstimator.Gae ? clock.Time("values", () => Values(batch, plan)) : null;
        var estimated = EstimatedAdvantages.Of(algorithm, batch, rewards, values, penalties);

        // 8. Update: policy loss on what the policy wrote, value loss on the roll-out, credit to the guide where the plan gives any.
        IsUpdating = true;
        var update = clock.Time("update", () => learner.Update(
            new(batch, estimated.Advantages, estimated.Returns, values?.narrow(1, 0, rewards.size(1)), referenceLogProbs, estimated.Penalties), plan, state.Kl.Coefficient, iteration));

        // 9. Record.
        IsUpdating = false;
        return IterationResult.From(state, plan, setup, rollIns, batch, scores, policyLogProbs - referenceLogProbs, values, estimated, update, gap, clock.Seconds);
    }

    private const ulong PlanCoin = 0x706C616E; // "plan": keeps the coin apart from the rows' draws.

    private Prompt[] PromptsOf(int iteration)
    {
        var perIteration = setup.RowsPerIteration / setup.Algorithm.GroupSize;
        return [.. Enumerable.Range(0, perIteration * setup.Algorithm.GroupSize)
            .Select(row => setup.Prompts[_order.RowAt((long)iteration * perIteration + row / setup.Algorithm.GroupSize)])];
    }

    /// <summary>
    /// [B, A] float32 each: log π_θ and log π_0 of the policy's tokens under the distribution that was sampled, 0 elsewhere; both computed in one type. A copy in another type rounds while it writes,
    /// token by token, and no pass over whole rows rounds in the same way: what it said differs by 0.03 nats a response, so it isn't used where there is a copy.
    /// </summary>
    private (Tensor Policy, Tensor Reference) LogProbsToCompare(RolloutBatch batch) =>
        (setup.WritingCopy is null ? batch.LogProbs : LogProbs(setup.ComparedPolicy, batch), LogProbs(setup.Reference, batch));

    private Tensor LogProbs(ILanguageModel model, RolloutBatch batch)
    {
        using var noGradient = no_grad();
        using var inner = NewDisposeScope();
        if (batch.PolicyTokens == 0) return zeros_like(batch.LogProbs).MoveToOuterDisposeScope();
        var states = model.ResponseStates(batch.TokenRows);
        return TokenLogProbs.Of(model, Padded(states, batch), batch.Tokens, batch.IsPolicy, batch.Samples, setup.Sampling).MoveToOuterDisposeScope();
    }

    /// <summary>[B, A] float32: the score on the last token, whoever wrote it, and dense rewards where there are any.</summary>
    private static Tensor TaskRewards(RolloutBatch batch, IReadOnlyList<RewardScore> scores)
    {
        int rows = batch.Rollouts.Count, steps = (int)batch.Tokens.size(1);
        var rewards = new float[rows * steps];
        for (var row = 0; row < rows; row++)
        {
            var length = batch.Rollouts[row].Tokens.Length;
            if (scores[row].PerToken is { } dense)
                dense.CopyTo(rewards, row * steps);
            if (length > 0) rewards[row * steps + length - 1] += (float)scores[row].Total;
        }
        return tensor(rewards).reshape(rows, steps);
    }

    /// <summary>[B, A] float32, or [B, A + 1] where cut rows go on from the value after their last token.</summary>
    private Tensor Values(RolloutBatch batch, RolloutPlan plan)
    {
        using var noGradient = no_grad();
        using var inner = NewDisposeScope();
        // Any token will do after the last: the state before it is what is valued.
        var rows = setup.BootstrapCutRows
            ? [.. batch.TokenRows.Select(row => row with { Response = [.. row.Response, 0] })]
            : batch.TokenRows;
        var states = critics.Sharing == CriticSharing.SharedTrunk ? setup.Policy.ResponseStates(rows) : null;
        var values = critics.Values(plan.RollOut, rows, states);
        if (values.size(1) == 0) values = zeros_like(batch.LogProbs);
        return values.MoveToOuterDisposeScope();
    }

    /// <summary>How much better the guide's whole responses are than the policy's, where the algorithm asks; they were generated anyway.</summary>
    private GuidanceGap MeasuredGap(
        GuidanceGap gap, RollInResult[] rollIns, Rollout[] rollouts, IReadOnlyList<RewardScore> scores, CancellationToken cancellationToken)
    {
        if (!setup.Algorithm.ScaleByGap) return gap;
        var whole = Enumerable.Range(0, rollIns.Length).Where(row => rollIns[row].WholeGuideResponse is not null).ToArray();
        var responses = Array.ConvertAll(whole, row =>
        {
            var written = rollIns[row].WholeGuideResponse!;
            return rollouts[row].Response with { Text = _writer.TextOf(written.Tokens, written.Ended), Tokens = written.Tokens, Ended = written.Ended };
        });
        var guideRewards = responses.Length == 0 ? [] : CheckedScores.Of(setup.Reward, responses, cancellationToken).Select(score => score.Return).ToArray();
        var policyRewards = Enumerable.Range(0, rollouts.Length)
            .Where(row => rollouts[row].RollInLength == 0 && rollIns[row].WholeGuideResponse is null).Select(row => scores[row].Return).ToArray();
        return gap.Update(guideRewards, policyRewards);
    }

    /// <summary>States of rows that are all empty have no step; the batch has at least one.</summary>
    private static Tensor Padded(Tensor states, RolloutBatch batch) =>
        states.size(1) == batch.Tokens.size(1) ? states : zeros([batch.Tokens.size(0), batch.Tokens.size(1), states.size(2)], states.dtype, states.device);
}

/// <summary>Seconds by phase.</summary>
internal sealed class PhaseClock
{
    private readonly Dictionary<string, double> _seconds = [];

    public IReadOnlyDictionary<string, double> Seconds => _seconds;

    public T Time<T>(string phase, Func<T> work)
    {
        var start = Stopwatch.GetTimestamp();
        var result = work();
        _seconds[phase] = _seconds.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(start).TotalSeconds;
        return result;
    }
}
