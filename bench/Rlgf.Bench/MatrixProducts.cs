using Rlgf.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Bench;

/// <summary>How fast this machine multiplies matrices, now: what all other figures are compared with.</summary>
internal static class MatrixProducts
{
    /// <summary>Single-precision operations a second of [rows, inner] · [inner, columns], the median of some runs.</summary>
    public static double Rate(long rows, long inner, long columns)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var left = randn(rows, inner);
        var right = randn(inner, columns);
        var result = empty(rows, columns);
        return 2.0 * rows * inner * columns / Clock.MedianTime(() => result.addmm_(left, right, beta: 0, alpha: 1));
    }

    /// <summary>Seconds of the products of one decoding step alone: each matrix of the model once, on one token of each row.</summary>
    public static double DecodingStepSeconds(ILanguageModel model, long rows)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var products = new List<(Tensor Left, Tensor Right)>();
        foreach (var (name, parameter) in model.Module.named_parameters())
        {
            // Matrices of the layers are stored [in, out]; the embedding [V, D] is the head too; positions are only looked up.
            if (parameter.dim() != 2 || name.EndsWith("wpe.weight", StringComparison.Ordinal)) continue;
            var matrix = name.EndsWith("wte.weight", StringComparison.Ordinal) ? parameter.t() : parameter;
            products.Add((randn(rows, matrix.size(0)), matrix));
        }

        return Clock.MedianTime(() =>
        {
            foreach (var (left, right) in products) left.matmul(right).Dispose();
        });
    }
}
