using Rlgf.Advantages;
using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Optimizers;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>What an update learns from.</summary>
/// <param name="Batch">B rows.</param>
/// <param name="Advantages">[B, A] float32: Â.</param>
/// <param name="Returns">[B, A] float32: targets of the critic; null without one.</param>
/// <param name="Values">[B, A] float32: the critic's values before the update; null without one.</param>
/// <param name="ReferenceLogProbs">[B, A] float32: log π_0 of the policy's tokens.</param>
/// <param name="Penalties">[B, A] float32: subtracted from the advantages once these are whitened; null for nothing.</param>
public sealed record LearningBatch(RolloutBatch Batch, Tensor Advantages, Tensor? Returns, Tensor? Values, Tensor ReferenceLogProbs, Tensor? Penalties = null);

/// <summary>What an update measured: means over its optimiser steps.</summary>
/// <param name="PolicyLoss">The clipped loss.</param>
/// <param name="ValueLoss">The value loss, before its coefficient.</param>
/// <param name="GuideLoss">The credit to the guide, its coefficient included.</param>
/// <param name="Policy">Statistics of the policy's tokens.</param>
/// <param name="ValueClipFraction">Share of value tokens whose error was clipped.</param>
/// <param name="PolicyGradientNorm">Norm of the policy's gradient before it was scaled down.</param>
/// <param name="CriticGradientNorm">Norm of the gradient of the critics' own parameters.</param>
/// <param name="LearningRate">The policy's learning rate.</param>
public sealed record UpdateStatistics(
    double PolicyLoss, double ValueLoss, double GuideLoss, PolicyLossStatistics Policy, double ValueClipFraction, double PolicyGradientNorm, double CriticGradientNorm, double LearningRate);

/// <summary>The update of an iteration: epochs of minibatches, each one optimiser step.</summary>
public sealed class Learner : IDisposable
{
    private readonly TrainingSetup _setup;
    private readonly UpdateSettings _settings;
    private readonly Critics _critics;

    /// <summary>Makes the learner and its optimisers.</summary>
    public Learner(TrainingSetup setup, Critics critics)
    {
        (_setup, _settings, _critics) = (setup, setup.Update, critics);
        var adam = new AdamWSettings { Epsilon = _settings.AdamEpsilon, MaxGradientNorm = _settings.MaxGradientNorm };
        PolicyOptimizer = new FusedAdamW(ParameterGroup.Of(setup.Policy.Module, _settings.LearningRate, _settings.WeightDecay), adam);
        var parameters = critics.NamedParameters().Select(named => KeyValuePair.Create(named.Name, named.Parameter)).ToArray();
        CriticOptimizer = new FusedAdamW(
            [
                new ParameterGroup(parameters.Where(named => named.Value.dim() > 1), _settings.CriticLearningRate, _settings.WeightDecay),
                new ParameterGroup(parameters.Where(named => named.Value.dim() <= 1), _settings.CriticLearningRate, 0),
            ],
            adam);
    }

    /// <summary>Optimiser of the policy.</summary>
    public FusedAdamW PolicyOptimizer { get; }

    /// <summary>Optimiser of the critics' own parameters; its gradients are clipped apart from the policy's.</summary>
    public FusedAdamW CriticOptimizer { get; }

    /// <summary>Updates policy and critics.</summary>
    /// <param name="data">What to learn from.</param>
    /// <param name="plan">The plan that the rows were written under.</param>
    /// <param name="klCoefficient">The penalty's coefficient, used here if it goes into the loss.</param>
    /// <param name="iteration">From 0: sets the learning rate and the order of the rows.</param>
    public UpdateStatistics Update(LearningBatch data, RolloutPlan plan, double klCoefficient, int iteration)
    {
        using var scope = NewDisposeScope();
        var batch = data.Batch;
        var factor = _settings.LearningRateFactor(iteration, _setup.Iterations);
        foreach (var group in PolicyOptimizer.Groups) group.LearningRate = _settings.LearningRate * factor;
        foreach (var group in CriticOptimizer.Groups) group.LearningRate = _settings.CriticLearningRate * factor;
        var advantages = _settings.WhitenAdvantages ? Whitening.Apply(data.Advantages, batch.TrainsPolicy) : data.Advantages;
        if (data.Penalties is { } penalties) advantages = advantages - penalties;
        var credit = plan.GuideCredit > 0 ? GuideCredit.Weights(data.Advantages, batch.IsGuide, _setup.Algorithm.GuideCreditWeight) : null;
        var shared = data with { Advantages = advantages };

        List<StepStatistics> steps = [];
        for (var epoch = 0; epoch < _settings.Epochs; epoch++)
        {
            var order = Enumerable.Range(0, batch.Rollouts.Count).ToArray();
            new RandomStream(_setup.Seed, RandomStream.Combine(MinibatchOrder, (ulong)iteration, (ulong)epoch)).Shuffle<int>(order);
            foreach (var rows in EvenShares.Of(order, _settings.RowsPerMinibatch))
            {
                steps.Add(Step(shared, credit, rows, plan, klCoefficient));
            }
        }
        double Mean(Func<StepStatistics, double> value) => steps.Count == 0 ? 0 : steps.Average(value);
        return new(
            Mean(s => s.PolicyLoss), Mean(s => s.ValueLoss), Mean(s => s.GuideLoss), PolicyLossStatistics.Merge([.. steps.Select(s => s.Policy)]),
            Mean(s => s.ValueClipFraction), Mean(s => s.PolicyNorm), Mean(s => s.CriticNorm), _settings.LearningRate * factor);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        PolicyOptimizer.Dispose();
        CriticOptimizer.Dispose();
    }

    private const ulong MinibatchOrder = 0x6D696E69; // "mini"

    private readonly record struct StepStatistics(
        double PolicyLoss, double ValueLoss, double GuideLoss, PolicyLossStatistics Policy, double ValueClipFraction, double PolicyNorm, double CriticNorm);

    /// <summary>One optimiser step on the given rows. Losses are divided by the whole minibatch's tokens, so that a split into parts changes nothing.</summary>
    private StepStatistics Step(LearningBatch data, Tensor? credit, int[] rows, RolloutPlan plan, double klCoefficient)
    {
        using var scope = NewDisposeScope();
        var minibatch = Part.Of(data, credit, rows);
        var denominators = (
            Policy: MaskedReduction.Denominator(minibatch.TrainsPolicy, _settings.Reduction),
            Value: MaskedReduction.Denominator(minibatch.IsRollOut, _settings.Reduction),
            Guide: (double)minibatch.IsGuide.sum().item<long>(),
            Kl: MaskedReduction.Denominator(minibatch.IsPolicy, LossReduction.TokenMean));

        PolicyOptimizer.ClearGradients();
        CriticOptimizer.ClearGradients();
        List<StepStatistics> parts = [];
        foreach (var partRows in rows.Chunk(_settings.RowsPerMicroBatch > 0 ? _settings.RowsPerMicroBatch : rows.Length))
        {
            using var inner = NewDisposeScope();
            var part = partRows.Length == rows.Length ? minibatch : Part.Of(data, credit, partRows);
            var (logProbs, values) = Forward(part, plan);
            var policy = ClippedPolicyLoss.Compute(logProbs, part.OldLogProbs, part.Advantages, part.TrainsPolicy, _settings.ClipRange, _settings.Reduction, denominators.Policy);
            var loss = policy.Loss;
            var value = values is null ? null : ClippedValueLoss.Compute(
                values, part.Values!, part.Returns!, part.IsRollOut, _settings.ValueClipRange, _settings.Reduction, denominators.Value);
            if (value is not null) loss = loss + _settings.ValueCoefficient * value.Loss;
            var guide = part.Credit is null ? null : GuideCredit.Weighted(logProbs, part.Credit, part.IsGuide, plan.GuideCredit, denominators.Guide);
            if (guide is not null) loss = loss + guide;
            if (_setup.Kl.Placement == KlPlacement.Loss && klCoefficient > 0)
            {
                var kl = KlDivergence.Estimate(logProbs, part.ReferenceLogProbs, _setup.Kl.Estimator!.Value);
                loss = loss + klCoefficient * MaskedReduction.Apply(kl, part.IsPolicy, LossReduction.TokenMean, denominators.Kl);
            }
            // Nothing to learn from (all masks empty): exactly no gradient.
            if (loss.requires_grad) loss.backward();
            parts.Add(new(policy.Loss.item<float>(), value?.Loss.item<float>() ?? 0, guide?.item<float>() ?? 0, policy.Statistics, value?.ClipFraction ?? 0, 0, 0));
        }

        var (policyNorm, criticNorm) = (PolicyOptimizer.Step(), CriticOptimizer.Step());
        if (!double.IsFinite(policyNorm) || !double.IsFinite(criticNorm))
            throw new InputException($"training diverged: the gradient's norm is {policyNorm} (policy), {criticNorm} (critics). Lower the learning rate; a checkpoint from before is whole.");
        return new(
            parts.Sum(p => p.PolicyLoss), parts.Sum(p => p.ValueLoss), parts.Sum(p => p.GuideLoss), PolicyLossStatistics.Merge([.. parts.Select(p => p.Policy)]),
            parts.Average(p => p.ValueClipFraction), policyNorm, criticNorm);
    }

    /// <summary>
    /// New log-probabilities and values of some rows, [B, A] each. A row is read up to its last token that a loss falls on, and not at all without one: the policy's
    /// pass over an AggreVaTeD row stops where the guide takes over.
    /// </summary>
    private (Tensor LogProbs, Tensor? Values) Forward(Part part, RolloutPlan plan)
    {
        using var scope = NewDisposeScope();
        var sharedTrunk = part.Returns is not null && _critics.Sharing == CriticSharing.SharedTrunk;
        var (count, width) = (part.Tokens.size(0), part.Tokens.size(1));
        var scored = _setup.Kl.Placement == KlPlacement.Loss ? part.IsPolicy : part.TrainsPolicy;
        if (part.Credit is not null) scored = scored.logical_or(part.IsGuide);
        var needed = part.LastNeeded(sharedTrunk ? scored.logical_or(part.IsRollOut) : scored);
        var logProbs = zeros([count, width]);
        Tensor? states = null;
        if (needed.Max() > 0)
        {
            TokenRow[] rows = [.. part.Rows.Select((row, i) => row with { Response = row.Response[..needed[i]] })];
            states = _setup.Policy.ResponseStates(rows);
            // Positions beyond what was read hold no loss; the states are widened so that all tensors of the part have one shape.
            if (states.size(1) < width) states = nn.functional.pad(states, [0, 0, 0, width - states.size(1)]);
            logProbs = TokenLogProbs.Of(_setup.Policy, states, part.Tokens, scored, part.Samples, _setup.Sampling);
        }
        Tensor? values = null;
        if (part.Returns is not null && (states is not null || !sharedTrunk))
        {
            values = _critics.Values(plan.RollOut, part.Rows, states);
            if (values.size(1) < width) values = nn.functional.pad(values, [0, width - values.size(1)]);
        }
        return (logProbs.MoveToOuterDisposeScope(), values?.MoveToOuterDisposeScope());
    }

    /// <summary>Some rows of a batch: the same tensors, those rows only.</summary>
    private sealed class Part
    {
        public required TokenRow[] Rows { get; init; }
        public required SampledRow[] Samples { get; init; }
        public required Tensor Tokens { get; init; }
        public required Tensor OldLogProbs { get; init; }
        public required Tensor ReferenceLogProbs { get; init; }
        public required Tensor Advantages { get; init; }
        public required Tensor? Returns { get; init; }
        public required Tensor? Values { get; init; }
        public required Tensor? Credit { get; init; }
        public required Tensor TrainsPolicy { get; init; }
        public required Tensor IsPolicy { get; init; }
        public required Tensor IsGuide { get; init; }
        public required Tensor IsRollOut { get; init; }

        public static Part Of(LearningBatch data, Tensor? credit, int[] rows)
        {
            using var index = tensor(Array.ConvertAll(rows, row => (long)row));
            var batch = data.Batch;
            Tensor Pick(Tensor x) => x.index_select(0, index);
            return new()
            {
                Rows = Array.ConvertAll(rows, row => batch.Rollouts[row].TokenRow),
                Samples = Array.ConvertAll(rows, row => batch.Rollouts[row].Sample),
                Tokens = Pick(batch.Tokens),
                OldLogProbs = Pick(batch.LogProbs),
                ReferenceLogProbs = Pick(data.ReferenceLogProbs),
                Advantages = Pick(data.Advantages),
                Returns = data.Returns is { } returns ? Pick(returns) : null,
                Values = data.Values is { } values ? Pick(values) : null,
                Credit = credit is null ? null : Pick(credit),
                TrainsPolicy = Pick(batch.TrainsPolicy),
                IsPolicy = Pick(batch.IsPolicy),
                IsGuide = Pick(batch.IsGuide),
                IsRollOut = Pick(batch.IsRollOut),
            };
        }

        /// <summary>For each row, one past the last position at which the mask is true; 0 if there is none.</summary>
        public int[] LastNeeded(Tensor mask)
        {
            var needed = mask.data<bool>().ToArray();
            var width = (int)mask.size(1);
            return [.. Enumerable.Range(0, Rows.Length).Select(row => Array.LastIndexOf(needed, true, row * width + width - 1, width) + 1 - row * width).Select(n => Math.Max(0, n))];
        }
    }
}
