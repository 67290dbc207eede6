using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.Base;
using Rlgf.Distributed;
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
    private readonly GradientSum _gradients;
    private readonly OptimizerShares _policyShares, _criticShares;

    /// <summary>Makes the learner and its optimisers.</summary>
    public Learner(TrainingSetup setup, Critics critics)
    {
        (_setup, _settings, _critics) = (setup, setup.Update, critics);
        _terms = [new ClippedPolicyTerm(_settings), new ValueTerm(_settings), new GuideCreditTerm(setup.Algorithm.GuideCreditWeight, setup.Algorithm.GuideCreditShape, setup.Algorithm.GuideCreditGamma, _settings.PolicyLoss.Reduction),
            new KlTerm(setup.Kl, _settings.PolicyLoss.Ratio), .. setup.FurtherLossTerms];
        if (_settings.RecomputeActivations)
        {
            setup.Policy.RecomputesActivations = true;
            critics.RecomputeActivations();
        }
        var adam = new AdamWSettings { Epsilon = _settings.AdamEpsilon, MaxGradientNorm = _settings.MaxGradientNorm };
        _policyShares = new(setup.Ranks, ParameterGroup.Of(setup.Policy.Module, _settings.LearningRate, _settings.WeightDecay), adam, _settings.ShardOptimizer);
        var parameters = critics.NamedParameters().Select(named => KeyValuePair.Create(named.Name, named.Parameter)).ToArray();
        _criticShares = new(
            setup.Ranks,
            [
                new ParameterGroup(parameters.Where(named => named.Value.dim() > 1), _settings.CriticLearningRate, _settings.WeightDecay),
                new ParameterGroup(parameters.Where(named => named.Value.dim() <= 1), _settings.CriticLearningRate, 0),
            ],
            adam, _settings.ShardOptimizer);
        _gradients = new(setup.Ranks, PolicyOptimizer, CriticOptimizer);
    }

    /// <summary>Optimiser of the policy.</summary>
    public FusedAdamW PolicyOptimizer => _policyShares.Optimizer;

    /// <summary>Optimiser of the critics' own parameters; its gradients are clipped apart from the policy's.</summary>
    public FusedAdamW CriticOptimizer => _criticShares.Optimizer;

    /// <summary>Whether the optimisers' state is shared out among the ranks: then all are needed to save it.</summary>
    internal bool SharesState => _policyShares.IsShared;

    /// <summary>Updates policy and critics.</summary>
    /// <param name="data">What to learn from.</param>
    /// <param name="iteration">From 0: sets the learning rate and the order of the rows.</param>
    public UpdateStatistics Update(LearningBatch data, int iteration)
    {
        using var scope = NewDisposeScope();
        var factor = _settings.LearningRateFactor(iteration, _setup.Iterations);
        foreach (var group in PolicyOptimizer.Groups) group.LearningRate = _settings.LearningRate * factor;
        foreach (var group in CriticOptimizer.Groups) group.LearningRate = _settings.CriticLearningRate * factor;
        // Nothing of the rows is learned from where all are left out: a step is then that of the losses on rows of their own, if there are any.
        var hasRows = data.Rows is not { Count: 0 };
        if (hasRows) data = data.OnlyRows();
        // Masks decide which rows and how far they are read: copied once, so that no step waits for them.
        var terms = !hasRows ? [] : (from term in _terms let prepared = term.Prepare(data) where prepared is not null select new Term(term.Name, prepared, prepared.Mask.cpu())).ToArray();
        var reads = Reads.Of(data.Batch, terms, _critics.Sharing);

        using var measured = new DeferredNumbers();
        List<StepStatistics> steps = [];
        var hasMovedFar = false;
        for (var epoch = 0; epoch < _settings.Epochs && !hasMovedFar; epoch++)
        {
            if (!hasRows)
            {
                if (data.Auxiliary.Count > 0 && Step(data, terms, reads, [], steps.Count, measured) is { } step) steps.Add(step);
                continue;
            }
            var order = Enumerable.Range(0, data.Batch.Rollouts.Count).ToArray();
            new RandomStream(_setup.Seed, RandomStream.Combine(MinibatchOrder, (ulong)iteration, (ulong)epoch)).Shuffle<int>(order);
            foreach (var rows in EvenShares.Of(order, _settings.RowsPerMinibatch))
            {
                if (Step(data, terms, reads, rows, steps.Count, measured) is not { } step)
                {
                    hasMovedFar = true;
                    break;
                }
                steps.Add(step);
            }
        }
        var ofAll = OfAllRanks(measured.Read(), steps, data.Auxiliary);
        double Mean<T>(IReadOnlyList<T> of, Func<T, double> value) => of.Count == 0 ? 0 : of.Average(value);
        var metrics = new Dictionary<string, double>();
        if (_settings.TargetKl is not null) metrics["update/steps"] = steps.Count;
        for (var i = 0; i < terms.Length; i++)
        {
            metrics[$"loss/{terms[i].Name}"] = Mean(ofAll, step => step.Losses[i].Sum());
            // Each step's parts first, then the steps.
            var ofSteps = ofAll.Select(step => TermStatistics.Merge(step.Statistics[i])).ToArray();
            foreach (var (name, value) in TermStatistics.Merge(ofSteps).Means) metrics[name] = value;
        }
        for (var i = 0; i < data.Auxiliary.Count; i++) metrics[$"loss/{data.Auxiliary[i].Name}"] = Mean(ofAll, step => step.Auxiliary[i] ?? 0);
        return new(metrics, Mean(steps, step => step.PolicyNorm), Mean(steps, step => step.CriticNorm), _settings.LearningRate * factor);
    }

    /// <summary>Makes sure that all ranks have the same weights, bit for bit, as they have on machines of one kind.</summary>
    /// <exception cref="InputException">One has others; names it.</exception>
    internal void RequireSameWeights() => _gradients.RequireSameWeights();

    /// <summary>Writes the optimisers' whole state. Where it is shared, the other ranks <see cref="GiveState"/> meanwhile.</summary>
    /// <param name="policyPath">File of the policy's.</param>
    /// <param name="criticPath">File of the critics'.</param>
    internal void SaveState(string policyPath, string criticPath)
    {
        _policyShares.Save(policyPath);
        _criticShares.Save(criticPath);
    }

    /// <summary>Gives the first rank, which saves, this one's share of the state.</summary>
    internal void GiveState()
    {
        _policyShares.Give();
        _criticShares.Give();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        PolicyOptimizer.Dispose();
        CriticOptimizer.Dispose();
    }

    /// <summary>How far beyond its target a step may find the policy: the slack of OpenAI's Spinning Up and of Stable-Baselines3.</summary>
    private const double TargetKlFactor = 1.5;

    private const ulong MinibatchOrder = 0x6D696E69; // "mini"

    /// <summary>A term, and its mask [B, A] bool on the host.</summary>
    private readonly record struct Term(string Name, TermOfRows Of, Tensor Mask);

    /// <summary>What terms read.</summary>
    /// <param name="LogProbs">[B, A] bool, on the host: the tokens whose log-probabilities some term reads; null for none.</param>
    /// <param name="Values">[B, A] bool, on the host: those whose values some term reads; null for none.</param>
    /// <param name="Ends">B: how many response tokens the policy reads, up to the last that a term falls on; 0 where the row isn't read.</param>
    private readonly record struct Reads(Tensor? LogProbs, Tensor? Values, int[] Ends)
    {
        public static Reads Of(RolloutBatch batch, Term[] terms, CriticSharing sharing)
        {
            var (logProbs, values) = (Union(terms.Where(term => !term.Of.ReadsValues)), Union(terms.Where(term => term.Of.ReadsValues)));
            // Heads on a shared trunk read the policy's states.
            var byPolicy = values is null || sharing != CriticSharing.SharedTrunk ? logProbs : logProbs?.bitwise_or(values) ?? values;
            return new(logProbs, values, byPolicy is null ? new int[batch.Rollouts.Count] : LastTrue(byPolicy));
        }
    }

    /// <summary>Where a part's statistics are among the numbers of the update.</summary>
    private readonly record struct PartStatistics(int Tokens, (string Name, int Sum)[] Sums)
    {
        public TermStatistics Of(double[] numbers)
        {
            var tokens = numbers[Tokens];
            return new((long)tokens, Sums.ToDictionary(named => named.Name, named => numbers[named.Sum] / Math.Max(tokens, 1)));
        }
    }

    /// <summary>Where a step's measurements are among the numbers of the update: of each term the parts' losses and statistics, and each further loss, null for none.</summary>
    private readonly record struct StepStatistics(List<int>[] Losses, int?[] Auxiliary, List<PartStatistics>[] Statistics, double PolicyNorm, double CriticNorm);

    /// <summary>The measurements of a step: of each term the parts' losses and statistics, and each further loss, null for none.</summary>
    private sealed record StepNumbers(double[][] Losses, double?[] Auxiliary, TermStatistics[][] Statistics);

    private static readonly JsonSerializerOptions NumbersOfAnyKind = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>The measurements of all steps, with the parts of all ranks.</summary>
    private StepNumbers[] OfAllRanks(double[] numbers, List<StepStatistics> steps, IReadOnlyList<IAuxiliaryLoss> auxiliary)
    {
        StepNumbers[] own = [.. steps.Select(step => new StepNumbers(
            Array.ConvertAll(step.Losses, places => places.Select(place => numbers[place]).ToArray()),
            Array.ConvertAll(step.Auxiliary, place => place is { } at ? numbers[at] : (double?)null),
            Array.ConvertAll(step.Statistics, parts => parts.Select(part => part.Of(numbers)).ToArray())))];
        if (_setup.Ranks.Size == 1) return own;
        var all = Array.ConvertAll(_setup.Ranks.Gather(JsonSerializer.SerializeToUtf8Bytes(own, NumbersOfAnyKind)), bytes => JsonSerializer.Deserialize<StepNumbers[]>(bytes, NumbersOfAnyKind)!);
        return [.. own.Select((step, s) => new StepNumbers(
            [.. step.Losses.Select((_, i) => all.SelectMany(rank => rank[s].Losses[i]).ToArray())],
            [.. step.Auxiliary.Select((whole, i) => !auxiliary[i].IsDealt ? whole : all.Select(rank => rank[s].Auxiliary[i]).Aggregate((sum, part) => sum is null || part is null ? sum ?? part : sum + part))],
            [.. step.Statistics.Select((_, i) => all.SelectMany(rank => rank[s].Statistics[i]).ToArray())]))];
    }

    /// <summary>The rows of a minibatch that this rank computes: as many as the others have, and as long ones.</summary>
    private int[] Share(RolloutBatch batch, int[] rows)
    {
        var (size, rank) = (_setup.Ranks.Size, _setup.Ranks.Rank);
        if (size == 1) return rows;
        // To and fro: 0 1 2, 2 1 0, …
        var own = rows.OrderByDescending(row => batch.Rollouts[row].Prompt.Tokens.Length + batch.Rollouts[row].Tokens.Length)
            .Where((_, place) => (place / size % 2 == 0 ? place % size : size - 1 - (place % size)) == rank).ToHashSet();
        return [.. rows.Where(own.Contains)];
    }

    private static Tensor? Union(IEnumerable<Term> terms) => terms.Select(term => term.Mask).Aggregate((Tensor?)null, (union, mask) => union is null ? mask : union.bitwise_or(mask));

    /// <summary>One optimiser step on the given rows; null, and no step, where the policy has moved too far from what wrote them. Terms are divided by the whole minibatch's tokens, so that a split into parts changes nothing.</summary>
    private StepStatistics? Step(LearningBatch data, Term[] terms, Reads reads, int[] rows, int step, DeferredNumbers measured)
    {
        var batch = data.Batch;
        using var scope = NewDisposeScope();
        var index = Index(rows, CPU);
        var denominators = Array.ConvertAll(terms, term => MaskedReduction.Denominator(term.Mask.index_select(0, index), term.Of.Normaliser, _setup.Sampling.MaxNewTokens));

        PolicyOptimizer.ClearGradients();
        CriticOptimizer.ClearGradients();
        var losses = Array.ConvertAll(terms, _ => new List<int>());
        var statistics = Array.ConvertAll(terms, _ => new List<PartStatistics>());
        foreach (var partRows in _settings.InMicroBatches(Share(batch, rows), row => batch.Rollouts[row].Prompt.Tokens.Length + reads.Ends[row]))
        {
            using var inner = NewDisposeScope();
            var part = Forward(batch, reads, partRows, out var hasValues);
            Tensor? sum = null;
            for (var i = 0; i < terms.Length; i++)
            {
                // Heads on states that nothing asked for have nothing to read.
                if (terms[i].Of.ReadsValues && !hasValues) continue;
                var (loss, sums) = terms[i].Of.Compute(part, denominators[i]);
                var weighted = terms[i].Of.Weight == 1 ? loss : loss.Multiply(terms[i].Of.Weight);
                sum = sum is null ? weighted : sum.Add(weighted);
                losses[i].Add(measured.Keep(loss));
                if (sums is not null) statistics[i].Add(new(measured.Keep(sums.Tokens), [.. sums.Sums.Select(named => (named.Key, measured.Keep(named.Value)))]));
            }
            // Nothing to learn from (all masks empty): exactly no gradient.
            if (sum is { requires_grad: true }) (data.Weight == 1 ? sum : sum.Multiply(data.Weight)).Backward();
        }
        // The first step finds the policy as it was; what is measured then is rounding, and a run that waited for it to be less would never learn again.
        if (step > 0 && _settings.TargetKl is { } target && MeanOf(ClippedPolicyTerm.KlToOld, statistics, measured) > TargetKlFactor * target) return null;
        // What each rank has a part of is added up, and to that what all compute whole.
        var auxiliary = new int?[data.Auxiliary.Count];
        Accumulate(isDealt: true);
        _gradients.Apply();
        Accumulate(isDealt: false);

        var (policyNorm, criticNorm) = (_policyShares.Step(), _criticShares.Step());
        if (!double.IsFinite(policyNorm) || !double.IsFinite(criticNorm))
            throw new InputException($"training diverged: the gradient's norm is {policyNorm} (policy), {criticNorm} (critics). Lower the learning rate; a checkpoint from before is whole.");
        return new(losses, auxiliary, statistics, policyNorm, criticNorm);

        void Accumulate(bool isDealt)
        {
            for (var i = 0; i < auxiliary.Length; i++)
                if (data.Auxiliary[i].IsDealt == isDealt && data.Auxiliary[i].Accumulate(step) is { } value) auxiliary[i] = measured.Keep(value);
        }
    }

    /// <summary>The mean over a step's tokens of something that one of the terms measures; 0 where none does. Waits for what computes it.</summary>
    private double MeanOf(string name, List<PartStatistics>[] statistics, DeferredNumbers measured)
    {
        double sum = 0, tokens = 0;
        foreach (var part in statistics.SelectMany(parts => parts))
        {
            if (Array.Find(part.Sums, of => of.Name == name) is not { Name: not null } found) continue;
            (sum, tokens) = (sum + measured.At(found.Sum), tokens + measured.At(part.Tokens));
        }
        var all = Dealt.Numbers(_setup.Ranks, [sum, tokens]).Chunk(2).ToArray();
        return all.Sum(part => part[0]) / Math.Max(all.Sum(part => part[1]), 1);
    }

    /// <summary>
    /// New log-probabilities and values of some rows, [b, A] each. A row is read up to its last token that a term falls on, and not at all without one: the policy's
    /// pass over an AggreVaTeD row stops where the guide takes over.
    /// </summary>
    private LearningPart Forward(RolloutBatch batch, Reads reads, int[] rows, out bool hasValues)
    {
        using var scope = NewDisposeScope();
        var (index, onHost) = (Index(rows, batch.Tokens.device), Index(rows, CPU));
        Rollout[] rollouts = Array.ConvertAll(rows, row => batch.Rollouts[row]);
        var width = batch.Tokens.size(1);
        var logProbs = zeros([rows.Length, width], device: batch.Tokens.device);
        var (scored, valued) = (reads.LogProbs?.index_select(0, onHost), reads.Values?.index_select(0, onHost));
        var sharedTrunk = valued is not null && _critics.Sharing == CriticSharing.SharedTrunk;
        int[] read = [.. Enumerable.Range(0, rows.Length).Where(i => reads.Ends[rows[i]] > 0)];
        Tensor? states = null;
        if (read.Length > 0)
        {
            states = _setup.Policy.ResponseStates([.. read.Select(i => new TokenRow(rollouts[i].Prompt.Tokens, rollouts[i].Tokens[..reads.Ends[rows[i]]]))]);
            // Rows and positions beyond what was read hold no loss; the states are widened so that all tensors of the part have one shape.
            if (states.size(1) < width) states = nn.functional.pad(states, [0, 0, 0, width - states.size(1)]);
            if (read.Length < rows.Length) states = zeros([rows.Length, width, states.size(2)], states.dtype, states.device).index_copy(0, Index(read, states.device), states);
            if (scored is not null)
                logProbs = TokenLogProbs.Of(_setup.Policy, states, batch.Tokens.index_select(0, index), scored, [.. rollouts.Select(rollout => rollout.Sample)], _setup.Sampling, _settings.PositionsPerPart);
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

    private static Tensor Index(int[] rows, Device device) => tensor(Array.ConvertAll(rows, row => (long)row), device: device);

    /// <summary>For each row of a mask on the host, one past the last position at which it is true; 0 if there is none.</summary>
    private static int[] LastTrue(Tensor mask)
    {
        var isTrue = mask.HostArray<bool>();
        var width = (int)mask.size(1);
        return [.. Enumerable.Range(0, (int)mask.size(0)).Select(row => Math.Max(0, Array.LastIndexOf(isTrue, true, row * width + width - 1, width) + 1 - row * width))];
    }
}
