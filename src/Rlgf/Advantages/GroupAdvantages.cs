using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models.Tensors;
using Rlgf.Statistics;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Advantages;

/// <summary>What a response's distance from its group's mean is divided by.</summary>
public enum GroupScaling
{
    /// <summary>The standard deviation within the group, plus ε: GRPO.</summary>
    GroupDeviation,

    /// <summary>The standard deviation of the whole batch's rewards, plus ε: groups with little spread aren't blown up.</summary>
    BatchDeviation,

    /// <summary>The standard deviation of the whole batch's distances, plus ε: what is left of the spread once the prompts' own difficulty is taken off.</summary>
    AdvantageDeviation,

    /// <summary>Nothing: the distance itself, as in "Dr. GRPO" (Liu et al. 2025, arXiv 2503.20783).</summary>
    None,
}

/// <summary>Advantages without a critic: several responses to one prompt, each compared with the others of its group.</summary>
public static class GroupAdvantages
{
    /// <summary>(r − group mean) / (deviation + ε): GRPO.</summary>
    /// <remarks>
    /// Shao et al. 2024, "DeepSeekMath" (arXiv 2402.03300), section 4.1.2, outcome supervision. ε is added to the deviation, not under the root, as in TRL.
    /// </remarks>
    /// <param name="rewards">[B], floating point: one reward per response, of the task alone. A KL penalty in it would be divided by its own deviation wherever the task sees no difference.</param>
    /// <param name="groups">B numbers: responses to the same prompt bear the same one, whatever it is and wherever they lie.</param>
    /// <param name="scaling">What to divide by.</param>
    /// <param name="unbiased">The deviation divides by n − 1 and not by n.</param>
    /// <param name="epsilon">ε, 0 or above.</param>
    /// <param name="isBaseline">For each response whether a group's mean and deviation are over it; null, or none of a group: over all.</param>
    /// <returns>[B], constants. A group without spread, a group of one among them, gives exactly 0: it says nothing about which response is better.</returns>
    public static Tensor Grpo(
        Tensor rewards, IReadOnlyList<int> groups, GroupScaling scaling = GroupScaling.GroupDeviation, bool unbiased = true, double epsilon = 1e-4,
        IReadOnlyList<bool>? isBaseline = null) =>
        Of(rewards, groups, leaveOneOut: false, scaling, unbiased, epsilon, isBaseline);

    /// <summary>r minus the mean of the other responses of its group: REINFORCE with a leave-one-out baseline, which is unbiased.</summary>
    /// <remarks>Ahmadian et al. 2024, "Back to Basics" (arXiv 2402.14740), section 3.2; Kool, van Hoof, Welling 2019.</remarks>
    /// <param name="rewards">[B], floating point: one reward per response, of the task alone. A KL penalty in it would be divided by its own deviation wherever the task sees no difference.</param>
    /// <param name="groups">B numbers: responses to the same prompt bear the same one, whatever it is and wherever they lie.</param>
    /// <param name="scaling">What to divide by.</param>
    /// <param name="epsilon">ε, 0 or above.</param>
    /// <param name="isBaseline">For each response whether a group's mean and deviation are over it; null, or none of a group: over all.</param>
    /// <returns>[B], constants; exactly 0 in a group without spread.</returns>
    /// <exception cref="InputException">A group of one: there are no others to compare with.</exception>
    public static Tensor Rloo(Tensor rewards, IReadOnlyList<int> groups, GroupScaling scaling = GroupScaling.None, double epsilon = 1e-4, IReadOnlyList<bool>? isBaseline = null) =>
        Of(rewards, groups, leaveOneOut: true, scaling, unbiased: true, epsilon, isBaseline);

    /// <summary>For each response whether the rewards of its group differ, by more than the rounding of float32.</summary>
    /// <param name="rewards">[B].</param>
    /// <param name="groups">B numbers, as above.</param>
    public static bool[] HaveSpread(Tensor rewards, IReadOnlyList<int> groups)
    {
        var reward = Rewards(rewards, groups);
        var haveSpread = new bool[reward.Length];
        foreach (var rows in Members(groups))
        {
            var hasSpread = !Spread.IsNone(Array.ConvertAll(rows, row => reward[row]));
            foreach (var row in rows) haveSpread[row] = hasSpread;
        }
        return haveSpread;
    }

    /// <summary>Gives every token of a response the response's advantage.</summary>
    /// <param name="advantages">[B].</param>
    /// <param name="lengths">[B], integers in 0…A: number of tokens of each response.</param>
    /// <param name="steps">A.</param>
    /// <returns>[B, A], 0 beyond a row's length.</returns>
    public static Tensor OverTokens(Tensor advantages, Tensor lengths, int steps)
    {
        Shape.RequireRows(lengths, advantages, nameof(lengths));
        using var scope = NewDisposeScope();
        var isInside = TensorNumbers.Range(steps, advantages.device).unsqueeze(0) < lengths.to(ScalarType.Int64, advantages.device).unsqueeze(1);
        return (advantages.detach().unsqueeze(1) * isInside.to(advantages.dtype)).MoveToOuterDisposeScope();
    }

    private static Tensor Of(Tensor rewards, IReadOnlyList<int> groups, bool leaveOneOut, GroupScaling scaling, bool unbiased, double epsilon, IReadOnlyList<bool>? isBaseline)
    {
        var reward = Rewards(rewards, groups);
        var advantages = new double[reward.Length];
        var divisors = new double[reward.Length];
        foreach (var rows in Members(groups))
        {
            if (leaveOneOut && rows.Length < 2)
                throw new InputException($"rloo compares a response with the others to the same prompt, and group {groups[rows[0]]} has one response: sample at least 2 per prompt.");
            var group = Array.ConvertAll(rows, row => reward[row]);
            // Dividing a rounding error by itself would turn it into an advantage of 1.
            if (Spread.IsNone(group)) continue;
            var compared = isBaseline is null ? rows : Array.FindAll(rows, row => isBaseline[row]);
            if (compared.Length == 0) compared = rows;
            var pool = compared.Length == rows.Length ? group : Array.ConvertAll(compared, row => reward[row]);
            var (mean, total, deviation) = (pool.Average(), pool.Sum(), Deviation(pool, unbiased));
            foreach (var row in rows)
            {
                // A row is not among those that it is compared with.
                var isOneOfThem = leaveOneOut && compared.Length > 1 && Array.BinarySearch(compared, row) >= 0;
                advantages[row] = reward[row] - (isOneOfThem ? (total - reward[row]) / (compared.Length - 1) : mean);
                // Compared with rows that are all equal, a distance is its own measure.
                divisors[row] = pool == group || !Spread.IsNone(pool) ? deviation + epsilon : 1;
            }
        }
        double? ofAll = scaling switch
        {
            GroupScaling.GroupDeviation => null,
            GroupScaling.BatchDeviation => Deviation(reward, unbiased) + epsilon,
            // Around 0, which is their mean by construction, in every group.
            GroupScaling.AdvantageDeviation => Deviation(advantages, unbiased) + epsilon,
            GroupScaling.None => 1,
            _ => throw new InputException($"group scaling {scaling} is unknown: use {string.Join(", ", Enum.GetNames<GroupScaling>())}."),
        };
        for (var row = 0; row < advantages.Length; row++)
        {
            // A row of an equal group stays exactly 0, whatever would divide it.
            if (advantages[row] != 0) advantages[row] /= ofAll ?? divisors[row];
        }
        return tensor(advantages, rewards.dtype, rewards.device);
    }

    // One number per response: plain loops over arrays are as fast as tensors here, and easier to check.
    private static double[] Rewards(Tensor rewards, IReadOnlyList<int> groups)
    {
        if (rewards.dim() != 1 || rewards.size(0) != groups.Count)
            throw new ArgumentException($"rewards must be [{groups.Count}], one for each entry of groups, it is [{string.Join(", ", rewards.shape)}].", nameof(rewards));
        using var scope = NewDisposeScope();
        return rewards.detach().to(ScalarType.Float64).cpu().data<double>().ToArray();
    }

    private static IEnumerable<int[]> Members(IReadOnlyList<int> groups) => Enumerable.Range(0, groups.Count).GroupBy(row => groups[row], (_, rows) => rows.ToArray());

    private static double Deviation(double[] x, bool unbiased)
    {
        if (x.Length < 2) return 0;
        var mean = x.Average();
        return Math.Sqrt(x.Sum(v => (v - mean) * (v - mean)) / (unbiased ? x.Length - 1 : x.Length));
    }
}
