using Rlgf.Advantages;
using Rlgf.Algorithms;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>Advantages of an iteration's rows, by the algorithm's estimator.</summary>
/// <param name="Advantages">[B, A] float32: Â_t, 0 beyond a row's length.</param>
/// <param name="Returns">[B, A] float32: targets of the critic; null without one.</param>
/// <param name="Penalties">
/// [B, A] float32: what is subtracted from the advantages of a group estimator where the KL penalty is placed in the reward, Σ_{s ≥ t} coefficient · k_s; null where there is nothing to
/// subtract, as GAE's advantages hold the penalty already.
/// </param>
public sealed record EstimatedAdvantages(Tensor Advantages, Tensor? Returns, Tensor? Penalties = null)
{
    /// <summary>For each of the B rows whether the rewards of its group differ; null where groups aren't compared.</summary>
    public IReadOnlyList<bool>? HaveSpread { get; init; }

    /// <summary>Places of the rows that are learned from; null for all.</summary>
    internal IReadOnlyList<int>? RowsToLearnFrom(AlgorithmSettings algorithm) => HaveSpread is { } haveSpread && algorithm.Groups.Equal == EqualGroups.LeaveOut && haveSpread.Contains(false)
        ? [.. Enumerable.Range(0, haveSpread.Count).Where(row => haveSpread[row])]
        : null;

    /// <summary>Estimates them.</summary>
    /// <remarks>
    /// Groups are compared by what the task says of them alone. In a sum with the penalty, a group in which the task sees no difference would have the noise of the penalty divided by its own
    /// deviation. The penalty of a token is then a reward of its own, whose return from that token on is subtracted as it is.
    /// </remarks>
    /// <param name="algorithm">Says how.</param>
    /// <param name="batch">B rows.</param>
    /// <param name="rewards">[B, A] float32: of the task, without KL.</param>
    /// <param name="values">[B, A] float32, or [B, A + 1] with the value after a row's last token where cut rows bootstrap; null for estimators without a critic.</param>
    /// <param name="penalties">[B, A] float32: the KL penalty of each token, 0 where the policy did not write; null where it isn't placed in the reward.</param>
    public static EstimatedAdvantages Of(AlgorithmSettings algorithm, RolloutBatch batch, Tensor rewards, Tensor? values, Tensor? penalties = null)
    {
        using var scope = NewDisposeScope();
        if (!algorithm.ComparesGroups)
        {
            if (algorithm.HasCritic && values is null) throw new ArgumentNullException(nameof(values), "GAE needs a critic.");
            if (penalties is not null) rewards = rewards - penalties;
            if (values is null)
            {
                // Whole returns: with λ = 1 nothing of the values is left.
                var returns = GeneralizedAdvantage.Estimate(zeros_like(rewards), rewards, batch.Lengths, algorithm.Gamma, lambda: 1);
                return new(returns.Advantages.MoveToOuterDisposeScope(), null);
            }
            var steps = rewards.size(1);
            Tensor? after = null, ended = null;
            if (values.size(1) > steps)
            {
                after = values.gather(1, batch.Lengths.unsqueeze(1)).squeeze(1);
                ended = tensor(batch.Rollouts.Select(rollout => rollout.Ended).ToArray(), device: values.device);
            }
            var estimate = GeneralizedAdvantage.Estimate(values.narrow(1, 0, steps), rewards, batch.Lengths, algorithm.Gamma, algorithm.Lambda, after, ended);
            return new(estimate.Advantages.MoveToOuterDisposeScope(), estimate.Returns.MoveToOuterDisposeScope());
        }

        // The group is what was asked of one draw of a prompt, whatever the guide's part in it and wherever the rows lie.
        var groups = batch.Rollouts.Select(rollout => rollout.Group).ToArray();
        var totals = rewards.to(ScalarType.Float64).sum(1);
        var haveSpread = GroupAdvantages.HaveSpread(totals, groups);
        // What is left out counts nowhere, in the deviation of the batch neither.
        var isLeftOut = algorithm.Groups.Equal == EqualGroups.LeaveOut;
        int[] compared = [.. Enumerable.Range(0, groups.Length).Where(row => !isLeftOut || haveSpread[row])];
        var perRow = zeros_like(totals);
        if (compared.Length > 0)
        {
            using var index = tensor(Array.ConvertAll(compared, row => (long)row), device: totals.device);
            perRow = perRow.index_copy(0, index, Compare(algorithm, totals.index_select(0, index), compared, batch));
        }
        return new(
            GroupAdvantages.OverTokens(perRow, batch.Lengths, (int)rewards.size(1)).to(rewards.dtype).MoveToOuterDisposeScope(),
            null,
            penalties?.flip(1).cumsum(1).flip(1).MoveToOuterDisposeScope())
        { HaveSpread = haveSpread };
    }

    private static Tensor Compare(AlgorithmSettings algorithm, Tensor totals, int[] rows, RolloutBatch batch)
    {
        int[] groups = [.. rows.Select(row => batch.Rollouts[row].Group)];
        bool[]? isBaseline = algorithm.Groups.Baseline == GroupBaseline.Unguided ? [.. rows.Select(row => batch.Rollouts[row].IsUnguided)] : null;
        return algorithm.Advantage == AdvantageEstimator.Grpo
            ? GroupAdvantages.Grpo(totals, groups, algorithm.GroupScaling, epsilon: algorithm.Groups.Epsilon, isBaseline: isBaseline)
            : GroupAdvantages.Rloo(totals, groups, algorithm.GroupScaling, algorithm.Groups.Epsilon, isBaseline);
    }
}
