using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>Losses that teach a policy to prefer one answer to another, by how far it has moved from a reference on each: direct preference optimisation and its family.</summary>
/// <remarks>
/// Rafailov et al. 2023 (arXiv 2305.18290), equation 7; label smoothing as in Mitchell, "A note on DPO with noisy preferences &amp; relationship to IPO" (2023), equation 3, and as in Chowdhury et al. 2024 (arXiv 2403.00409),
/// equation 12 (<c>robust</c>); EXO: Ji et al. 2024 (arXiv 2402.00856); NCA: Chen et al. 2024 (arXiv 2402.05369); BCO: Jung et al. 2024 (arXiv 2404.04656), without its running mean; SPPO: Wu et al. 2024 (arXiv 2405.00675);
/// APO: D'Oosterlinck et al. 2024 (arXiv 2408.06266); DiscoPOP: Lu et al. 2024 (arXiv 2406.08414), each for pairs as TRL has them. IPO: Azar et al. 2023 (arXiv 2310.12036), equation 17; the hinge: Zhao et al. 2023 (arXiv 2305.10425) as Liu et al. 2024 (arXiv 2309.06657) write it with a reference, equation 11.
/// </remarks>
public static class PreferenceLoss
{
    /// <summary>The loss of each pair, without the supervised term.</summary>
    /// <param name="chosen">[P]: Σ log π − Σ log π_ref over the preferred answers' tokens.</param>
    /// <param name="rejected">[P]: the same of the others.</param>
    /// <param name="chosenTokens">[P]: lengths of the preferred answers in tokens, the end token included; read where means are compared.</param>
    /// <param name="rejectedTokens">[P]: those of the others.</param>
    /// <param name="settings">Which loss.</param>
    /// <returns>[P], differentiable in both.</returns>
    public static Tensor OfPairs(Tensor chosen, Tensor rejected, Tensor chosenTokens, Tensor rejectedTokens, PreferenceLossSettings settings)
    {
        Shape.RequireSame(rejected, chosen, nameof(rejected));
        Shape.RequireSame(chosenTokens, chosen, nameof(chosenTokens));
        Shape.RequireSame(rejectedTokens, chosen, nameof(rejectedTokens));
        using var scope = NewDisposeScope();
        var (better, worse) = settings.ComparesMeans ? (chosen / chosenTokens, rejected / rejectedTokens) : (chosen, rejected);
        var difference = better - worse;
        var (margin, smoothing, beta) = (difference.Multiply(settings.Beta), settings.LabelSmoothing, settings.Beta);
        var (betterReward, worseReward) = (better.Multiply(beta), worse.Multiply(beta));
        var loss = settings.Objective switch
        {
            PreferenceObjective.Sigmoid => Weighted(margin, 1 - smoothing, smoothing),
            PreferenceObjective.Robust => Weighted(margin, (1 - smoothing) / (1 - 2 * smoothing), -smoothing / (1 - 2 * smoothing)),
            PreferenceObjective.Ipo => difference.Subtract(1 / (2 * settings.Beta)).Square(),
            PreferenceObjective.Hinge => margin.Multiply(-1).Add(1).ClampMin(0),
            PreferenceObjective.ExoPair => Divergence(margin, smoothing),
            PreferenceObjective.NcaPair => Weighted(betterReward, 1, 0.5).Add(nn.functional.logsigmoid(-worseReward).Multiply(-0.5)),
            PreferenceObjective.BcoPair => Weighted(betterReward, 1, 0).Add(nn.functional.logsigmoid(-worseReward).Multiply(-1)),
            PreferenceObjective.SppoHard => better.Subtract(1 / (2 * beta)).Square().Add(worse.Add(1 / (2 * beta)).Square()),
            PreferenceObjective.ApoZero => sigmoid(-betterReward).Add(sigmoid(worseReward)),
            PreferenceObjective.ApoDown => sigmoid(betterReward).Add(sigmoid(-margin)),
            PreferenceObjective.Discopop => Discovered(margin),
            _ => throw new ArgumentOutOfRangeException(nameof(settings)),
        };
        return loss.MoveToOuterDisposeScope();
    }

    /// <summary>KL of the pair's two answers as the policy has them, σ(x) and σ(−x), from the labels 1 − s and s: Ji et al., equation 17 for pairs.</summary>
    private static Tensor Divergence(Tensor x, double smoothing) =>
        (sigmoid(x) * nn.functional.logsigmoid(x).Subtract(Math.Log(1 - smoothing))).Add(sigmoid(-x) * nn.functional.logsigmoid(-x).Subtract(Math.Log(smoothing)));

    /// <summary>(1 − g) (−log σ(x)) + g exp(−x), g = σ(x / τ), the published τ = 0.05.</summary>
    private static Tensor Discovered(Tensor x)
    {
        const double Temperature = 0.05;
        var gate = sigmoid(x.Multiply(1 / Temperature));
        // g exp(−x) as one exponential: far below 0 the first is 0 and the second infinite.
        return (gate.Subtract(1) * nn.functional.logsigmoid(x)).Add(exp(nn.functional.logsigmoid(x.Multiply(1 / Temperature)) - x));
    }

    /// <summary>−a log σ(x) − b log σ(−x): the second is the loss of the pair the other way round.</summary>
    private static Tensor Weighted(Tensor x, double right, double wrong)
    {
        var loss = nn.functional.logsigmoid(x).Multiply(-right);
        return wrong == 0 ? loss : loss.Add(nn.functional.logsigmoid(-x).Multiply(-wrong));
    }
}
