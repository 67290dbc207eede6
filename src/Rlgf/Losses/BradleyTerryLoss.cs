using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>The loss of a reward model: how likely its scores make what people preferred.</summary>
/// <remarks>
/// Bradley and Terry, "Rank analysis of incomplete block designs" (1952): the chosen answer wins with the probability σ(c − r). As a loss of reward models Ouyang et al. 2022 (arXiv 2203.02155), equation 1; the margin
/// is that of Touvron et al. 2023 (arXiv 2307.09288), equation 2, and the centring term that of Eisenstein et al. 2023 (arXiv 2312.09244), section 2.1: scores are known but for a constant of each prompt, and it keeps
/// their sum near 0.
/// </remarks>
public static class BradleyTerryLoss
{
    /// <summary>−log σ(c − r − margin) + coefficient · (c + r)² of each pair.</summary>
    /// <param name="chosen">[B]: scores of the preferred answers.</param>
    /// <param name="rejected">[B]: scores of the others.</param>
    /// <param name="margins">[B]: by how much the chosen answer should be ahead; null for 0.</param>
    /// <param name="centring">Coefficient of the centring term; 0 for none.</param>
    /// <returns>[B], differentiable in both scores.</returns>
    public static Tensor OfPairs(Tensor chosen, Tensor rejected, Tensor? margins = null, double centring = 0)
    {
        Shape.RequireSame(rejected, chosen, nameof(rejected));
        if (margins is not null) Shape.RequireSame(margins, chosen, nameof(margins));
        using var scope = NewDisposeScope();
        var ahead = chosen - rejected;
        if (margins is not null) ahead -= margins;
        var loss = -nn.functional.logsigmoid(ahead);
        if (centring != 0) loss = loss.Add(chosen.Add(rejected).Square().Multiply(centring));
        return loss.MoveToOuterDisposeScope();
    }
}
