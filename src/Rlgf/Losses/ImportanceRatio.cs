using Rlgf.Base;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>log π/π_old of tokens, or of the responses that they belong to.</summary>
public static class ImportanceRatio
{
    /// <summary>The logarithm of the ratio that a token's loss is multiplied by, differentiable.</summary>
    /// <param name="logProbs">[B, A]: log π of the response's tokens.</param>
    /// <param name="oldLogProbs">[B, A]: log-probabilities under the distribution that was sampled; a constant.</param>
    /// <param name="mask">[B, A] bool: the tokens that count. Nothing outside it is read.</param>
    /// <param name="level">Of a token or of a response.</param>
    /// <returns>[B, A], 0 outside the mask. A response's ratio is that of each of its tokens in the mask.</returns>
    public static Tensor Log(Tensor logProbs, Tensor oldLogProbs, Tensor mask, RatioLevel level)
    {
        using var scope = NewDisposeScope();
        var ofTokens = (logProbs - oldLogProbs.detach()).KeepWhere(mask);
        return (level switch
        {
            RatioLevel.Token => ofTokens,
            RatioLevel.Sequence => (ofTokens.sum(1, keepdim: true) / mask.sum(1, keepdim: true).ClampMin(1).to(logProbs.dtype)).expand_as(ofTokens).KeepWhere(mask),
            RatioLevel.SequenceProduct => ofTokens.sum(1, keepdim: true).expand_as(ofTokens).KeepWhere(mask),
            _ => throw new InputException($"ratio level {level} is unknown: use {string.Join(", ", Enum.GetNames<RatioLevel>())}."),
        }).MoveToOuterDisposeScope();
    }
}
