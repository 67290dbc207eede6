using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Rollouts;

/// <summary>What becomes of the logits of some positions, for example the log-probability of a token each.</summary>
/// <param name="positions">Which of the positions.</param>
/// <param name="states">[n, D]: their states.</param>
/// <param name="tokens">[n] int64: their tokens.</param>
/// <returns>[n] float32, each depending on its own state only. All that it keeps must be on the host, or parameters: it is asked once more when gradients are computed.</returns>
internal delegate Tensor OfLogits(Range positions, Tensor states, Tensor tokens);

/// <summary>
/// Log-probabilities without ever holding all logits, which are the largest tensors of training: N positions × V tokens, three to four times where gradients are asked. They are computed for a part of the positions at a time
/// and forgotten; gradients are those of all at once, to rounding.
/// </summary>
/// <remarks>
/// Where the head is trained, each part is computed again in the backward pass, which costs a third more of the head's products. Where it isn't (an adapter is trained, or only the layers), a position's number depends on its
/// state alone: its derivative [D] is computed at once and nothing is done twice.
/// </remarks>
internal static class LogitsInParts
{
    /// <summary>So many logits (128 MiB) are held at once; more are taken in parts.</summary>
    private const long MostAtOnce = 1L << 25;

    /// <summary>About so many logits (64 MiB) are in a part.</summary>
    private const long InPart = 1L << 24;

    /// <summary>Smaller products lose more time than their memory is worth.</summary>
    private const long SmallestPart = 320;

    /// <summary>Parts are as many positions as a multiple of this: oneDNN compiles a product for each new shape.</summary>
    private const long Multiple = 64;

    /// <summary>How many positions are taken at once.</summary>
    /// <param name="positions">N.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="asked">What the recipe asks for: 0 for all; null where size decides.</param>
    public static long PositionsAtOnce(long positions, int vocabulary, int? asked = null) => asked switch
    {
        0 => positions,
        { } given => Math.Min(positions, given),
        null when positions * vocabulary <= MostAtOnce => positions,
        null => Math.Min(positions, Math.Max(SmallestPart, InPart / vocabulary / Multiple * Multiple)),
    };

    /// <summary>The numbers of all positions.</summary>
    /// <param name="states">[N, D], N at least 1; may be differentiable.</param>
    /// <param name="tokens">[N] int64.</param>
    /// <param name="atOnce">How many positions are taken at once, at least 1.</param>
    /// <param name="of">From logits to numbers.</param>
    /// <returns>[N] float32, differentiable if the states or the head's parameters are.</returns>
    public static Tensor Of(Tensor states, Tensor tokens, long atOnce, OfLogits of)
    {
        var count = states.size(0);
        if (atOnce >= count) return of(..(int)count, states, tokens);
        using var scope = NewDisposeScope();
        if (!is_grad_enabled()) return Constants().MoveToOuterDisposeScope();
        var isHeadTrained = IsHeadTrained(states, tokens, of);
        if (!isHeadTrained && !states.requires_grad) return Constants().MoveToOuterDisposeScope();
        if (!isHeadTrained) return WithDerivatives(states, tokens, atOnce, of).MoveToOuterDisposeScope();
        // What nothing below asks a gradient of must ask for one here, so that the head's is computed.
        var input = states.requires_grad ? states : states.detach().requires_grad_(true);
        return Recomputed.apply(input, tokens, atOnce, of).MoveToOuterDisposeScope();

        Tensor Constants() => Constant(states, tokens, atOnce, of);
    }

    private static IEnumerable<(long First, long Count)> Parts(long count, long atOnce)
    {
        for (var first = 0L; first < count; first += atOnce) yield return (first, Math.Min(atOnce, count - first));
    }

    /// <summary>Whether parameters beyond the states ask for gradients: found out at one position.</summary>
    private static bool IsHeadTrained(Tensor states, Tensor tokens, OfLogits of)
    {
        using var scope = NewDisposeScope();
        return of(..1, states.detach().narrow(0, 0, 1), tokens.narrow(0, 0, 1)).requires_grad;
    }

    /// <summary>[N], without a graph.</summary>
    private static Tensor Constant(Tensor states, Tensor tokens, long atOnce, OfLogits of)
    {
        using var scope = NewDisposeScope();
        var constant = states.detach();
        return cat([.. Parts(states.size(0), atOnce).Select(part =>
        {
            using var inner = NewDisposeScope();
            return Numbers(constant.narrow(0, part.First, part.Count), tokens, part, of).detach().MoveToOuterDisposeScope();
        })]).MoveToOuterDisposeScope();
    }

    /// <summary>[n]: of the states [n, D] of a part. Logits that no graph needs are gone when it returns.</summary>
    private static Tensor Numbers(Tensor statesOfPart, Tensor tokens, (long First, long Count) part, OfLogits of)
    {
        using var scope = NewDisposeScope();
        return of((int)part.First..(int)(part.First + part.Count), statesOfPart, tokens.narrow(0, part.First, part.Count)).MoveToOuterDisposeScope();
    }

    /// <summary>[N], with each position's derivative with respect to its state computed along: h − h has the value 0 and the gradient 1.</summary>
    private static Tensor WithDerivatives(Tensor states, Tensor tokens, long atOnce, OfLogits of)
    {
        using var scope = NewDisposeScope();
        var derivatives = empty_like(states.detach());
        var numbers = Parts(states.size(0), atOnce).Select(part =>
        {
            using var inner = NewDisposeScope();
            var leaf = states.detach().narrow(0, part.First, part.Count).detach().requires_grad_(true);
            var computed = Numbers(leaf, tokens, part, of);
            computed.sum().backward();
            derivatives.narrow(0, part.First, part.Count).copy_(leaf.grad!);
            return computed.detach().MoveToOuterDisposeScope();
        }).ToArray();
        return cat(numbers).Add(((states - states.detach()) * derivatives).sum(1)).MoveToOuterDisposeScope();
    }

    /// <summary>[N], computed again for gradients.</summary>
    private sealed class Recomputed : autograd.SingleTensorFunction<Recomputed>
    {
        private const string AtOnce = "at once", OfPart = "of part", Result = "result";

        public override string Name => nameof(LogitsInParts);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (states, tokens, atOnce, of) = ((Tensor)vars[0], (Tensor)vars[1], (long)vars[2], (OfLogits)vars[3]);
            ctx.save_for_backward([states, tokens]);
            ctx.save_data(AtOnce, atOnce);
            ctx.save_data(OfPart, of);
            // With a graph, which goes at once: what is computed where gradients are off may be computed in another way.
            using var gradients = enable_grad();
            return Constant(states, tokens, atOnce, of);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using var scope = NewDisposeScope();
            var saved = ctx.get_saved_variables();
            var (atOnce, of) = ((long)ctx.get_data(AtOnce), (OfLogits)ctx.get_data(OfPart));
            var (states, tokens) = (saved[0].detach(), saved[1]);
            var result = empty_like(states);
            try
            {
                using var gradients = enable_grad();
                foreach (var part in Parts(states.size(0), atOnce))
                {
                    using var inner = NewDisposeScope();
                    var leaf = states.narrow(0, part.First, part.Count).detach().requires_grad_(true);
                    Numbers(leaf, tokens, part, of).backward([grad_output.narrow(0, part.First, part.Count)]);
                    using var noGradients = no_grad();
                    result.narrow(0, part.First, part.Count).copy_(leaf.grad!);
                }
            }
            catch (Exception exception)
            {
                Gradients.Fail(exception);
                result.Fill(double.NaN);
            }
            // Native code copies it after this has returned: until then something must hold it.
            result = result.MoveToOuterDisposeScope();
            ctx.save_data(Result, new[] { result });
            return [result, null!, null!, null!];
        }
    }
}
