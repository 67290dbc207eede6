using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>Rules about tokens that a model's folder has and recipes don't (<c>GenerationDefaults</c>); each is one of transformers' processors.</summary>
public sealed record ModelTokenRules
{
    /// <summary>End tokens are impossible in a row of fewer tokens, its prompt included, or where that is an encoder's the decoder's start token (<c>min_length</c>); 0 for no minimum.</summary>
    public int MinLength { get; init; }

    /// <summary>Ids that can't be the first that is chosen (<c>begin_suppress_tokens</c>).</summary>
    public IReadOnlyList<int> NotFirst { get; init; } = [];

    /// <summary>How many tokens a response holds when the first is chosen: 1 where one is forced before it.</summary>
    public int FirstChoice { get; init; }

    /// <summary>What is added to logits (<c>sequence_bias</c>).</summary>
    public IReadOnlyList<SequenceBias> Biases { get; init; } = [];

    /// <summary>The ids that can't come next in a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="endTokens">Ids that end a row.</param>
    public IEnumerable<int> Forbidden(RowHistory row, IReadOnlyList<int> endTokens) =>
        [.. row.Tokens.Count < MinLength ? endTokens : [], .. row.ResponseTokens == FirstChoice ? NotFirst : []];

    /// <summary>Adds the biases.</summary>
    /// <param name="logits">[B, V] float32.</param>
    /// <param name="rows">B histories.</param>
    /// <returns>[B, V] float32, differentiable if the logits are; <paramref name="logits"/> itself where nothing is added.</returns>
    public Tensor AddBiases(Tensor logits, IReadOnlyList<RowHistory> rows)
    {
        if (Biases.Count == 0) return logits;
        var vocabulary = (int)logits.size(1);
        var added = new float[rows.Count * vocabulary];
        for (var row = 0; row < rows.Count; row++)
        {
            foreach (var (sequence, bias) in Biases.Where(bias => LogitsProcessing.StandsAtEnd(rows[row].Tokens, bias.Sequence))) added[(row * vocabulary) + sequence[^1]] += bias;
        }

        return logits.Add(tensor(added, [rows.Count, vocabulary], device: logits.device));
    }
}

/// <summary>What is added to the logit of a sequence's last id where those before it stand.</summary>
/// <param name="Sequence">The ids, one at least.</param>
/// <param name="Bias">The number; below 0 makes it less likely.</param>
public sealed record SequenceBias(IReadOnlyList<int> Sequence, float Bias);
