using Rlgf.Losses;
using Rlgf.Rollouts;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>What an update learns from.</summary>
/// <param name="Batch">B rows.</param>
/// <param name="Advantages">[B, A] float32: Â.</param>
/// <param name="Returns">[B, A] float32: targets of the critic; null without one.</param>
/// <param name="Values">[B, A] float32: the critic's values before the update; null without one.</param>
/// <param name="ReferenceLogProbs">[B, A] float32: log π_0 of the policy's tokens.</param>
/// <param name="KlCoefficient">The KL penalty's coefficient, for a term that adds it to the loss.</param>
/// <param name="Penalties">[B, A] float32: subtracted from the advantages once these are whitened; null for nothing.</param>
public sealed record LearningBatch(
    RolloutBatch Batch, Tensor Advantages, Tensor? Returns, Tensor? Values, Tensor ReferenceLogProbs, double KlCoefficient = 0, Tensor? Penalties = null)
{
    /// <summary>Losses on rows of their own.</summary>
    public IReadOnlyList<IAuxiliaryLoss> Auxiliary { get; init; } = [];

    /// <summary>Factor on the terms, not on the losses on rows of their own; what is logged is before it.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Places of the rows that are learned from; null for all. The others count nowhere: no term sees them, and nothing is divided by their number.</summary>
    public IReadOnlyList<int>? Rows { get; init; }

    /// <summary>The rows that are learned from, as a batch of their own; there must be some.</summary>
    internal LearningBatch OnlyRows()
    {
        if (Rows is null) return this;
        var batch = RolloutBatch.From([.. Rows.Select(row => Batch.Rollouts[row])], Batch.Tokens.device);
        var index = tensor(Rows.Select(row => (long)row).ToArray(), device: Batch.Tokens.device);
        Tensor Of(Tensor whole) => whole.index_select(0, index).narrow(1, 0, batch.Tokens.size(1));
        Tensor? OfSome(Tensor? whole) => whole is null ? null : Of(whole);
        return new(batch, Of(Advantages), OfSome(Returns), OfSome(Values), Of(ReferenceLogProbs), KlCoefficient, OfSome(Penalties)) { Auxiliary = Auxiliary, Weight = Weight };
    }
}

/// <summary>A term of the loss. The learner adds the terms of its list up and knows none of them: the clipped policy loss, the value loss, the guide's credit and the KL are four.</summary>
public interface ILossTerm
{
    /// <summary>Its name: what it measures is logged as <c>loss/NAME</c>.</summary>
    string Name { get; }

    /// <summary>The term on an iteration's rows, computed once for all its minibatches; null where it falls on none of them.</summary>
    /// <param name="data">The rows. What is made of them here may be kept until the update is over.</param>
    TermOfRows? Prepare(LearningBatch data);
}

/// <summary>A term on the rows of one iteration.</summary>
public sealed record TermOfRows
{
    /// <summary>[B, A] bool: the tokens that the term falls on. Nothing is computed for others.</summary>
    public required Tensor Mask { get; init; }

    /// <summary>Factor of the term in the sum; what is logged is before it.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>From tokens to one number.</summary>
    public LossReduction Normaliser { get; init; }

    /// <summary>Whether it falls on the critics' values (<see cref="LearningPart.Values"/>) rather than on log-probabilities.</summary>
    public bool ReadsValues { get; init; }

    /// <summary>
    /// The term on some of the rows, before its weight, divided by the <see cref="MaskedReduction.Denominator"/> that it is given: that of the whole minibatch, so that parts sum to the whole. Exactly 0 where
    /// the mask is empty.
    /// </summary>
    public required Func<LearningPart, double, TermLoss> Compute { get; init; }
}

/// <summary>A term's value.</summary>
/// <param name="Loss">Scalar, differentiable.</param>
/// <param name="Statistics">What else it measured; null for nothing.</param>
public sealed record TermLoss(Tensor Loss, TermSums? Statistics = null);

/// <summary>What a term measured over some tokens, where it was computed. The learner reads all of an update at once, since every look at a number waits for an accelerator.</summary>
/// <param name="Tokens">[], a count: number of tokens.</param>
/// <param name="Sums">[] each: sums over the tokens, by the names that their means are logged under.</param>
public sealed record TermSums(Tensor Tokens, IReadOnlyDictionary<string, Tensor> Sums);

/// <summary>What a term measured over some tokens.</summary>
/// <param name="Tokens">Number of tokens.</param>
/// <param name="Means">Means over them, by the names that they are logged under.</param>
public sealed record TermStatistics(long Tokens, IReadOnlyDictionary<string, double> Means)
{
    /// <summary>The statistics of all parts' tokens together: a minibatch from its micro-batches, an iteration from its minibatches. 0 where there were no tokens.</summary>
    public static TermStatistics Merge(IReadOnlyCollection<TermStatistics> parts)
    {
        var tokens = parts.Sum(part => part.Tokens);
        return new(tokens, parts.SelectMany(part => part.Means.Keys).Distinct().ToDictionary(
            name => name, name => tokens == 0 ? 0 : parts.Sum(part => part.Tokens * part.Means.GetValueOrDefault(name)) / tokens));
    }
}

/// <summary>Some rows of an iteration, as the policy and the critics see them now.</summary>
public sealed class LearningPart
{
    private readonly Tensor _index;
    private readonly Tensor? _values;

    internal LearningPart(int[] rows, Tensor index, Tensor logProbs, Tensor? values) => (Rows, _index, LogProbs, _values) = (rows, index, logProbs, values);

    /// <summary>The b rows' places in the batch.</summary>
    public IReadOnlyList<int> Rows { get; }

    /// <summary>[b, A] float32, differentiable: log π of the tokens that terms fall on, under the distribution that was sampled; 0 elsewhere.</summary>
    public Tensor LogProbs { get; }

    /// <summary>[b, A] float32, differentiable: V of each row's own critic. There where a term reads values.</summary>
    public Tensor Values => _values ?? throw new InvalidOperationException("No term of the loss says that it reads values.");

    /// <summary>These rows of a tensor of the whole batch.</summary>
    /// <param name="whole">[B, …].</param>
    /// <returns>[b, …].</returns>
    public Tensor Pick(Tensor whole) => whole.index_select(0, _index);
}
