using Rlgf.Advantages;
using Rlgf.Losses;
using Rlgf.Models.Checkpoints;
using Rlgf.Training;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

/// <summary>Losses, gradients and advantages of the methods without a critic are those of TRL's trainers, wherever the settings here can say what its settings say.</summary>
public sealed class TrlLossTests(ITestOutputHelper output)
{
    /// <summary>What the fixtures have and the settings here can't say: by name, so that nothing is skipped in silence.</summary>
    private static readonly Dictionary<string, string[]> NotSaid = new()
    {
        ["grpo.json"] =
        [
            "sapo", "sapo_beta", "vespo", "vespo_beta", "cispo_defaults", "sequence_sapo", "truncated_masked_grpo", "truncated_masked_bnpo", "truncated_masked_dr_grpo", "truncated_masked_dapo", "truncated_masked_luspo",
            "truncated_masked_beta", "entropy_quantile_20", "entropy_quantile_50_bnpo", "entropy_quantile_50_beta", "entropy_bonus", "entropy_bonus_dapo_quantile", "off_policy_mask", "accumulate_bnpo",
            "accumulate_sapo", "accumulate_vespo", "sampler_token_truncate", "sampler_token_mask", "sampler_sequence_truncate", "sampler_sequence_mask", "sampler_token_truncate_dapo_beta", "sampler_token_truncate_vespo",
            "sampler_token_mask_vespo",
        ],
        ["rloo.json"] = ["truncated_masked"],
        ["grpo_advantages.json"] =
        [
            "missing_group", "missing_batch", "missing_none", "missing_all_but_one", "two_rewards_missing_sum_then_normalize", "two_rewards_normalize_then_sum", "two_rewards_weighted_normalize_then_sum",
            "two_rewards_equal_group_normalize_then_sum", "two_rewards_missing_normalize_then_sum",
        ],
        ["advantages of rloo.json"] = ["kl", "kl_large", "normalized_kl", "clipped_rewards_kl", "equal_group_kl", "missing", "on_policy", "temperature", "truncated_masked", "accumulate"],
    };

    [Theory]
    [InlineData("grpo.json", 45)]
    [InlineData("rloo.json", 16)]
    public void Losses_from_given_log_probabilities_are_trls(string file, int count)
    {
        using var scope = NewDisposeScope();
        foreach (var said in Said(file, file, count, one => file == "rloo.json" ? OfRloo(one) : OfGrpo(one)))
            Close(said.Case, "loss", said.Case.Outputs.GetProperty("loss").GetDouble(), said.Loss.Of(said.Case.Output("per_token_logps")), 1e-5);
    }

    [Theory]
    [InlineData("grpo.json", 45)]
    [InlineData("rloo.json", 16)]
    public void Log_probabilities_losses_and_gradients_of_a_model_are_trls(string file, int count)
    {
        using var scope = NewDisposeScope();
        using var model = TrlCases.Model(file);
        using var gradients = TrlCases.Gradients(file);
        var parameters = model.Module.named_parameters().ToDictionary(named => named.name, named => named.parameter);
        foreach (var (one, loss) in Said(file, file, count, one => file == "rloo.json" ? OfRloo(one) : OfGrpo(one)))
        {
            using var inner = NewDisposeScope();
            foreach (var parameter in parameters.Values) parameter.grad?.zero_();
            var logProbs = loss.LogProbsBy(model);
            var gap = ((logProbs.detach().to(float64) - one.Output("per_token_logps")) * one.Tensor("completion_mask")).abs().max().item<double>();
            Assert.True(gap <= 1e-4, $"{one.Name}: log-probabilities differ by {gap}");
            Close(one, "loss by the model", one.Outputs.GetProperty("loss").GetDouble(), loss.Of(logProbs, backward: true), 1e-4);

            var norm = Math.Max(1e-3, one.Outputs.GetProperty("gradient_norm").GetDouble());
            var squares = parameters.Values.Sum(parameter => parameter.grad is { } gradient ? gradient.to(float64).square().sum().item<double>() : 0);
            Assert.True(Math.Abs(Math.Sqrt(squares) - one.Outputs.GetProperty("gradient_norm").GetDouble()) <= 1e-3 * norm, $"{one.Name}: the gradient's norm is {Math.Sqrt(squares)}, TRL's {norm}");
            var found = 0;
            foreach (var stored in gradients.Entries.Keys.Where(key => key.StartsWith(one.Name + ".", StringComparison.Ordinal)))
            {
                var difference = (parameters[stored[(one.Name.Length + 1)..]].grad! - gradients.Read(stored)).abs().max().item<float>();
                Assert.True(difference <= 1e-3 * norm, $"{stored}: {difference} of {norm}");
                found++;
            }
            Assert.True(found > 0, $"{one.Name} has no gradient to compare with");
        }
    }

    [Fact]
    public void Advantages_of_grpo_are_trls()
    {
        using var scope = NewDisposeScope();
        foreach (var (one, scaling) in Said("grpo_advantages.json", "grpo_advantages.json", 26, ScalingOf))
        {
            var weights = one.List("reward_weights") is { Length: > 0 } given ? given : [.. one.Rewards.Select(_ => 1.0)];
            double[] rewards = [.. Enumerable.Range(0, one.Rewards[0].Length).Select(row => one.Rewards.Zip(weights, (function, weight) => weight * function[row]).Sum())];
            SameAdvantages(one, one.Output("advantages"), rewards, GroupAdvantages.Grpo(tensor(rewards), one.Groups, scaling!.Value), scaling.Value);
        }
        // Where a case's loss was computed its advantages are known too.
        foreach (var one in TrlCases.Of("grpo.json"))
        {
            var scaling = ScalingOf(one).Said!.Value;
            SameAdvantages(one, one.Tensor("advantages"), one.Rewards[0], GroupAdvantages.Grpo(tensor(one.Rewards[0]), one.Groups, scaling), scaling);
        }
    }

    [Fact]
    public void Advantages_of_rloo_are_trls()
    {
        using var scope = NewDisposeScope();
        foreach (var (one, scaling) in Said("rloo.json", "advantages of rloo.json", 7, ScalingOfRloo))
        {
            var range = one.List("reward_clip_range");
            double[] rewards = range.Length == 0 ? one.Rewards[0] : [.. one.Rewards[0].Select(reward => Math.Clamp(reward, range[0], range[1]))];
            SameAdvantages(one, one.Tensor("advantages"), rewards, GroupAdvantages.Rloo(tensor(rewards), one.Groups, scaling!.Value), scaling.Value);
        }
    }

    /// <summary>The cases that the settings here can say, with what they are here. All others must be among those that are named, each with a reason.</summary>
    private List<(TrlCase Case, T Loss)> Said<T>(string file, string list, int count, Func<TrlCase, (T Said, string? Reason)> of)
    {
        List<(TrlCase Case, T Loss)> said = [];
        List<string> left = [];
        foreach (var one in TrlCases.Of(file))
        {
            var (settings, reason) = of(one);
            if (reason is null) said.Add((one, settings));
            else left.Add(one.Name);
            if (reason is not null) output.WriteLine($"{file}: {one.Name}: {reason}");
        }
        output.WriteLine($"{file}: {said.Count} cases are compared, {left.Count} can't be said");
        if (TrlCases.IsOwnFolder)
        {
            Assert.Equal(NotSaid[list].Order(StringComparer.Ordinal), left.Order(StringComparer.Ordinal));
            Assert.Equal(count, said.Count);
        }
        Assert.NotEmpty(said);
        return said;
    }

    /// <summary>TRL's settings as this project's, or why that can't be.</summary>
    private static (TrlLoss Said, string? Reason) OfGrpo(TrlCase one)
    {
        var type = one.Text("loss_type");
        var steps = one.Number("gradient_accumulation_steps");
        var high = one.Number("epsilon_high") ?? one.Number("epsilon")!.Value;
        var reason =
            type is "sapo" or "vespo" ? $"the soft gate of {type} is no surrogate here"
            : type == "cispo" && high <= 1 ? "cispo's bound is epsilon_high itself there and 1 + clip_range_high here, so that one below 1 can't be said"
            : one.Flag("mask_truncated_completions") ? "responses that were cut count here like others; there is no mask over them"
            : one.Number("top_entropy_quantile") < 1 ? "tokens are not chosen by their entropy"
            : one.Number("entropy_coef") != 0 ? "there is no entropy bonus"
            : !one.IsNull("off_policy_mask_threshold") ? "rows are not left out by how far the policy has moved"
            : one.Has("importance_sampling_ratio") ? "what is sampled and what is trained is one model here, so that no weight corrects the sampler"
            : type == "bnpo" && steps != 1 ? "a loss by tokens is divided by those of all micro-batches here, by each one's own there"
            : type is "dapo" or "cispo" && steps != one.Number("steps_per_generation") ? "several updates a generation: the tokens of one are divided by here, a share of all of them there"
            : null;
        if (reason is not null) return (null!, reason);
        var reduction = type switch
        {
            "grpo" => LossReduction.RowMean,
            "bnpo" or "dapo" or "cispo" => LossReduction.TokenMean,
            "dr_grpo" => LossReduction.MaxLength,
            "luspo" => LossReduction.RowSum,
            _ => throw new NotSupportedException($"{one.Name}: loss_type {type}"),
        };
        var isCispo = type == "cispo";
        return (new(
            one,
            new()
            {
                Ratio = one.Text("importance_sampling_level") == "sequence" ? RatioLevel.Sequence : RatioLevel.Token,
                Surrogate = isCispo ? PolicySurrogate.Cispo : PolicySurrogate.Clipped,
                ClipRange = isCispo ? null : one.Number("epsilon"),
                ClipRangeHigh = isCispo ? high - 1 : one.Number("epsilon_high"),
                DualClip = one.Number("delta"),
                Reduction = reduction,
            },
            new() { Coefficient = one.Number("beta"), Placement = KlPlacement.Loss, Estimator = KlEstimator.K3, Reduction = reduction, ImportanceWeighted = one.Flag("use_bias_correction_kl") }), null);
    }

    private static (TrlLoss Said, string? Reason) OfRloo(TrlCase one) => one.Flag("mask_truncated_completions")
        ? (null!, "responses that were cut count here like others; there is no mask over them")
        : (new(
            one,
            new() { Ratio = RatioLevel.SequenceProduct, ClipRange = one.Number("epsilon"), ClipRangeHigh = one.Number("epsilon_high"), Reduction = LossReduction.RowMean },
            new() { Coefficient = 0, Placement = KlPlacement.Loss, Estimator = KlEstimator.K3 }), null);

    private static (GroupScaling? Said, string? Reason) ScalingOf(TrlCase one) =>
        one.Text("multi_objective_aggregation") == "normalize_then_sum" ? (null, "rewards are added up before they are compared, not compared one by one")
        : one.Rewards.Any(function => function.Any(double.IsNaN)) ? (null, "every response has a score from every part of the reward")
        : (one.Text("scale_rewards") switch { "group" => GroupScaling.GroupDeviation, "batch" => GroupScaling.BatchDeviation, _ => GroupScaling.None }, null);

    private static (GroupScaling? Said, string? Reason) ScalingOfRloo(TrlCase one) =>
        one.Number("beta") != 0 ? (null, "the KL penalty is outside the comparison of a group here, inside it there")
        : one.Rewards[0].Any(double.IsNaN) ? (null, "every response has a score from every part of the reward")
        : (one.Flag("normalize_advantages") ? GroupScaling.AdvantageDeviation : GroupScaling.None, null);

    /// <summary>Equal up to float32, which TRL computes in: a difference of numbers as large as the rewards is divided by the deviation.</summary>
    private static void SameAdvantages(TrlCase one, Tensor expected, double[] rewards, Tensor actual, GroupScaling scaling)
    {
        var (wanted, got) = (expected.data<double>().ToArray(), actual.data<double>().ToArray());
        var size = wanted.Length / one.Groups.Distinct().Count();
        var largest = rewards.Max(Math.Abs);
        for (var row = 0; row < wanted.Length; row++)
        {
            double[] group = [.. rewards.Skip(row / size * size).Take(size)];
            if (group.Max() == group.Min())
            {
                // There the mean of equal numbers may be off by a bit and then be divided by it.
                Assert.True(got[row] == 0, $"{one.Name}, row {row}: {got[row]}");
                Assert.True(Math.Abs(wanted[row]) <= 2e-3, $"{one.Name}, row {row}: {wanted[row]}");
                continue;
            }
            var divisor = scaling == GroupScaling.None ? 1 : Deviation(scaling == GroupScaling.GroupDeviation ? group : rewards) + 1e-4;
            var tolerance = 1e-5 * Math.Max(1, Math.Abs(wanted[row])) + largest * Math.Pow(2, -22) / divisor;
            Assert.True(Math.Abs(wanted[row] - got[row]) <= tolerance, $"{one.Name}, row {row}: {got[row]}, TRL has {wanted[row]}");
        }

        static double Deviation(double[] x) => Math.Sqrt(x.Sum(v => (v - x.Average()) * (v - x.Average())) / (x.Length - 1));
    }

    private static void Close(TrlCase one, string what, double expected, double actual, double tolerance) =>
        Assert.True(Math.Abs(expected - actual) <= tolerance * Math.Max(1, Math.Abs(expected)), $"{one.Name}: the {what} is {actual}, TRL's {expected}");
}
