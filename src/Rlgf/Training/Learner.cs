using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Optimizers;
using Rlgf.Models.Tensors;
using Rlgf.Rollouts;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>What an update measured.</summary>
/// <param name="Terms">By name: <c>loss/NAME</c> of each term of the loss, the mean over the optimiser steps, and the terms' own statistics, over all their tokens.</param>
/// <param name="PolicyGradientNorm">Norm of the policy's gradient before it was scaled down, mean over the steps.</param>
/// <param name="CriticGradientNorm">Norm of the gradient of the critics' own parameters, likewise.</param>
/// <param name="LearningRate">The policy's learning rate.</param>
public sealed record UpdateStatistics(IReadOnlyDictionary<string, double> Terms, double PolicyGradientNorm, double CriticGradientNorm, double LearningRate);

/// <summary>The update of an iteration: epochs of minibatches, each one optimiser step on the sum of the loss's terms.</summary>
public sealed class Learner : IDisposable
{
    private readonly TrainingSetup _setup;
    private readonly UpdateSettings _settings;
    private readonly Critics _critics;
    private readonly ILossTerm[] _terms;

    /// <summary>Makes the learner and its optimisers.</summary>
    public Learner(TrainingSetup setup, Critics critics)
    {
        (_setup, _settings, _critics) = (setup, setup.Update, critics);
        _terms = [new ClippedPolicyTerm(_settings), new ValueTerm(_settings), new GuideCreditTerm(setup.Algorithm.GuideCreditWeight), new KlTerm(setup.Kl), .. setup.FurtherLossTerms];
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
    /// <param name="iteration">From 0: sets the learning rate and the order of the rows.</param>
    public UpdateStatistics Update(LearningBatch data, int iteration)
    {
        using var scope = NewDisposeScope();
        var factor = _settings.LearningRateFactor(iteration, _setup.Iterations);
        foreach (var group in PolicyOptimizer.Groups) group.LearningRate = _settings.LearningRate * factor;
        foreach (var group in CriticOptimizer.Groups) group.LearningRate = _settings.CriticLearningRate * factor;
        var terms = (from term in _terms let prepared = term.Prepare(data) where prepared is not null select new Term(term.Name, prepared)).ToArray();
        var reads = new Reads(Union(terms.Where(term => !term.Of.ReadsValues)), Union(terms.Where(term => term.Of.ReadsValues)));

        List<StepStatistics> steps = [];
        for (var epoch = 0; epoch < _settings.Epochs; epoch++)
        {
            var order = Enumerable.Range(0, data.Batch.Rollouts.Count).ToArray();
            new RandomStream(_setup.Seed, RandomStream.Combine(MinibatchOrder, (ulong)iteration, (ulong)epoch)).Shuffle<int>(order);
            foreach (var rows in EvenShares.Of(order, _settings.RowsPerMinibatch)) steps.Add(Step(data, terms, reads, rows, steps.Count));
        }
        double Mean(Func<StepStatistics, double> value) => steps.Count == 0 ? 0 : steps.Average(value);
        var metrics = new Dictionary<string, double>();
        for (var i = 0; i < terms.Length; i++)
        {
            metrics[$"loss/{terms[i].Name}"] = Mean(step => step.Losses[i]);
            foreach (var (name, value) in TermStatistics.Merge([.. steps.Select(step => step.Statistics[i])]).Means) metrics[name] = value;
        }
        for (var i = 0; i < data.Auxiliary.Count; i++) metrics[$"loss/{data.Auxiliary[i].Name}"] = Mean(step => step.Auxiliary[i]);
        return new(metrics, Mean(step => step.PolicyNorm), Mean(step => step.CriticNorm), _settings.LearningRate * factor);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        PolicyOptimizer.Dispose();
        CriticOptimizer.Dispose();
    }

    private const ulong MinibatchOrder = 0x6D696E69; // "mini"

    private static readonly TermStatistics Nothing = new(0, new Dictionary<string, double>());

    private readonly record struct Term(string Name, TermOfRows Of);

    /// <summary>[B, A] bool each: the tokens whose log-probabilities, and whose values, some term reads; null for none.</summary>
    private readonly record struct Reads(Tensor? LogProbs, Tensor? Values);

    private readonly record struct StepStatistics(double[] Losses, double[] Auxiliary, TermStatistics[] Statistics, double PolicyNorm, double CriticNorm);

    private static Tensor? Union(IEnumerable<Term> terms) => terms.Select(term => term.Of.Mask).Aggregate((Tensor?)null, (union, mask) => union is null ? mask : union.logical_or(mask));

    /// <summary>One optimiser step on the given rows. Terms are divided by the whole minibatch's tokens, so that a split into parts changes nothing.</summary>
    private StepStatistics Step(LearningBatch data, Term[] terms, Reads reads, int[] rows, int step)
    {
        var batch = data.Batch;
        using var scope = NewDisposeScope();
        var index = Index(rows, batch);
        var denominators = Array.ConvertAll(terms, term => MaskedReduction.Denominator(term.Of.Mask.index_select(0, index), term.Of.Normaliser));

        PolicyOptimizer.ClearGradients();
        CriticOptimizer.ClearGradients();
        var losses = new double[terms.Length];
        var statistics = Array.ConvertAll(terms, _ => new List<TermStatistics>());
        foreach (var partRows in rows.Chunk(_settings.RowsPerMicroBatch > 0 ? _settings.RowsPerMicroBatch : rows.Length))
        {
            using var inner = NewDisposeScope();
            var part = Forward(batch, reads, partRows, out var hasValues);
            Tensor? sum = null;
            for (var i = 0; i < terms.Length; i++)
            {
                // Heads on states that nothing asked for have nothing to read.
                if (terms[i].Of.ReadsValues && !hasValues) continue;
                var (loss, measured) = terms[i].Of.Compute(part, denominators[i]);
                var weighted = terms[i].Of.Weight == 1 ? loss : loss.Multiply(terms[i].Of.Weight);
                sum = sum is null ? weighted : sum.Add(weighted);
                losses[i] += loss.item<float>();
                if (measured is not null) statistics[i].Add(measured);
            }
            // Nothing to learn from (all masks empty): exactly no gradient.
            if (sum is { requires_grad: true }) sum.backward();
        }
        double[] auxiliary = [.. data.Auxiliary.Select(loss => loss.Accumulate(step))];

        var (policyNorm, criticNorm) = (PolicyOptimizer.Step(), CriticOptimizer.Step());
        if (!double.IsFinite(policyNorm) || !double.IsFinite(criticNorm))
            throw new InputException($"training diverged: the gradient's norm is {policyNorm} (policy), {criticNorm} (critics). Lower the learning rate; a checkpoint from before is whole.");
        return new(losses, auxiliary, [.. statistics.Select(parts => parts.Count == 0 ? Nothing : TermStatistics.Merge(parts))], policyNorm, criticNorm);
    }

    /// <summary>
    /// New log-probabilities and values of some rows, [b, A] each. A row is read up to its last token that a term falls on, and not at all without one: the policy's
    /// pass over an AggreVaTeD row stops where the guide takes over.
    /// </summary>
    private LearningPart Forward(RolloutBatch batch, Reads reads, int[] rows, out bool hasValues)
    {
        using var scope = NewDisposeScope();
        var index = Index(rows, batch);
        Rollout[] rollouts = Array.ConvertAll(rows, row => batch.Rollouts[row]);
        var width = batch.Tokens.size(1);
        var logProbs = zeros([rows.Length, width], device: batch.Tokens.device);
        var (scored, valued) = (reads.LogProbs?.index_select(0, index), reads.Values?.index_select(0, index));
        var sharedTrunk = valued is not null && _critics.Sharing == CriticSharing.SharedTrunk;
        var read = sharedTrunk ? scored?.logical_or(valued!) ?? valued : scored;
        var needed = read is null ? new int[rows.Length] : LastTrue(read);
        Tensor? states = null;
        if (needed.Max() > 0)
        {
            states = _setup.Policy.ResponseStates([.. rollouts.Select((rollout, i) => new TokenRow(rollout.Prompt.Tokens, rollout.Tokens[..needed[i]]))]);
            // Positions beyond what was read hold no loss; the states are widened so that all tensors of the part have one shape.
            if (states.size(1) < width) states = nn.functional.pad(states, [0, 0, 0, width - states.size(1)]);
            if (scored is not null)
                logProbs = TokenLogProbs.Of(_setup.Policy, states, batch.Tokens.index_select(0, index), scored, [.. rollouts.Select(rollout => rollout.Sample)], _setup.Sampling);
        }
        Tensor? values = null;
        if (valued is not null && (states is not null || !sharedTrunk))
        {
            values = _critics.Values([.. rollouts.Select(rollout => rollout.RollOut)], [.. rollouts.Select(rollout => rollout.TokenRow)], states);
            if (values.size(1) < width) values = nn.functional.pad(values, [0, width - values.size(1)]);
        }
        hasValues = values is not null;
        return new LearningPart(rows, index.MoveToOuterDisposeScope(), logProbs.MoveToOuterDisposeScope(), values?.MoveToOuterDisposeScope());
    }

    private static Tensor Index(int[] rows, RolloutBatch batch) => tensor(Array.ConvertAll(rows, row => (long)row), device: batch.Tokens.device);

    /// <summary>For each row of a mask, one past the last position at which it is true; 0 if there is none.</summary>
    private static int[] LastTrue(Tensor mask)
    {
        var isTrue = mask.HostArray<bool>();
        var width = (int)mask.size(1);
        return [.. Enumerable.Range(0, (int)mask.size(0)).Select(row => Math.Max(0, Array.LastIndexOf(isTrue, true, row * width + width - 1, width) + 1 - row * width))];
    }
}
