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

/// <summary>The scores under whose softmax over the whole vocabulary the log-probability of a token is asked: the logits, and what may have been done to them.</summary>
/// <param name="positions">Which of the positions.</param>
/// <param name="states">[n, D]: their states.</param>
/// <returns>[n, V] float32, new: where they are a part, their memory is used for what comes of them. Besides as for <see cref="OfLogits"/>.</returns>
internal delegate Tensor Scores(Range positions, Tensor states);

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
    public static Tensor Of(Tensor states, Tensor tokens, long atOnce, OfLogits of) => Of(states, tokens, atOnce, new ByGraph(of));

    /// <summary>log softmax(scores) at the token of each position. Beside the scores of a part there is no other tensor of their size.</summary>
    /// <param name="states">[N, D], N at least 1; may be differentiable.</param>
    /// <param name="tokens">[N] int64.</param>
    /// <param name="atOnce">How many positions are taken at once, at least 1.</param>
    /// <param name="scores">From states to scores.</param>
    /// <returns>[N] float32, differentiable if the states or the head's parameters are.</returns>
    public static Tensor OfWholeVocabulary(Tensor states, Tensor tokens, long atOnce, Scores scores) => Of(states, tokens, atOnce, new OfSoftmax(scores));

    private static Tensor Of(Tensor states, Tensor tokens, long atOnce, Way of)
    {
        var count = states.size(0);
        if (atOnce >= count) return of.Whole(..(int)count, states, tokens);
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
    private static bool IsHeadTrained(Tensor states, Tensor tokens, Way of)
    {
        using var scope = NewDisposeScope();
        return of.Whole(..1, states.detach().narrow(0, 0, 1), tokens.narrow(0, 0, 1)).requires_grad;
    }

    /// <summary>[N], without a graph.</summary>
    private static Tensor Constant(Tensor states, Tensor tokens, long atOnce, Way of)
    {
        using var scope = NewDisposeScope();
        var constant = states.detach();
        return cat([.. Parts(states.size(0), atOnce).Select(part =>
        {
            using var inner = NewDisposeScope();
            return of.Numbers(PositionsOf(part), constant.narrow(0, part.First, part.Count), tokens.narrow(0, part.First, part.Count)).MoveToOuterDisposeScope();
        })]).MoveToOuterDisposeScope();
    }

    private static Range PositionsOf((long First, long Count) part) => (int)part.First..(int)(part.First + part.Count);

    /// <summary>[N], with each position's derivative with respect to its state computed along: h − h has the value 0 and the gradient 1.</summary>
    private static Tensor WithDerivatives(Tensor states, Tensor tokens, long atOnce, Way of)
    {
        using var scope = NewDisposeScope();
        var derivatives = empty_like(states.detach());
        var numbers = Parts(states.size(0), atOnce).Select(part =>
        {
            using var inner = NewDisposeScope();
            var leaf = states.detach().narrow(0, part.First, part.Count).detach().requires_grad_(true);
            var computed = of.Backward(PositionsOf(part), leaf, tokens.narrow(0, part.First, part.Count), null);
            derivatives.narrow(0, part.First, part.Count).copy_(leaf.grad!);
            return computed.MoveToOuterDisposeScope();
        }).ToArray();
        return cat(numbers).Add(((states - states.detach()) * derivatives).sum(1)).MoveToOuterDisposeScope();
    }

    /// <summary>How the numbers of a part come about, and its gradients.</summary>
    private abstract class Way
    {
        /// <summary>[n], with a graph that stays.</summary>
        public abstract Tensor Whole(Range positions, Tensor states, Tensor tokens);

        /// <summary>[n], constants. What no graph needs is gone when it returns.</summary>
        public abstract Tensor Numbers(Range positions, Tensor states, Tensor tokens);

        /// <summary>The same, and adds to the gradients of the states, a leaf, and of the head's parameters.</summary>
        /// <param name="positions">Which.</param>
        /// <param name="states">[n, D].</param>
        /// <param name="tokens">[n].</param>
        /// <param name="gradient">[n]: of the numbers; null for 1.</param>
        public abstract Tensor Backward(Range positions, Tensor states, Tensor tokens, Tensor? gradient);
    }

    /// <summary>By libtorch's own graph, whatever is made of the logits.</summary>
    private sealed class ByGraph(OfLogits of) : Way
    {
        public override Tensor Whole(Range positions, Tensor states, Tensor tokens) => of(positions, states, tokens);

        public override Tensor Numbers(Range positions, Tensor states, Tensor tokens)
        {
            using var scope = NewDisposeScope();
            return of(positions, states, tokens).detach().MoveToOuterDisposeScope();
        }

        public override Tensor Backward(Range positions, Tensor states, Tensor tokens, Tensor? gradient)
        {
            using var scope = NewDisposeScope();
            var numbers = Graph(positions, states, tokens);
            numbers.backward([gradient ?? ones_like(numbers)]);
            return numbers.detach().MoveToOuterDisposeScope();
        }

        // Of what is between, only what the graph keeps is left when gradients are computed.
        private Tensor Graph(Range positions, Tensor states, Tensor tokens)
        {
            using var scope = NewDisposeScope();
            return of(positions, states, tokens).MoveToOuterDisposeScope();
        }
    }

    /// <summary>The log-softmax of scores, whose memory becomes that of its derivative: onehot − softmax, times the gradient.</summary>
    private sealed class OfSoftmax(Scores scores) : Way
    {
        public override Tensor Whole(Range positions, Tensor states, Tensor tokens)
        {
            using var scope = NewDisposeScope();
            return (-nn.functional.cross_entropy(scores(positions, states), tokens, reduction: nn.Reduction.None)).MoveToOuterDisposeScope();
        }

        public override Tensor Numbers(Range positions, Tensor states, Tensor tokens)
        {
            using var scope = NewDisposeScope();
            return Numbers(scores(positions, states).detach(), tokens).Numbers.MoveToOuterDisposeScope();
        }

        public override Tensor Backward(Range positions, Tensor states, Tensor tokens, Tensor? gradient)
        {
            using var scope = NewDisposeScope();
            var computed = scores(positions, states);
            Tensor numbers;
            var derivative = computed.detach();
            using (no_grad())
            {
                (numbers, var sums) = Numbers(derivative, tokens);
                gradient ??= ones_like(numbers);
                derivative.mul_((-gradient / sums).unsqueeze(1)).scatter_add_(1, tokens.unsqueeze(1), gradient.unsqueeze(1));
            }
            // libtorch counts changes in place, and refuses where the graph of the scores had kept them.
            computed.backward([derivative]);
            return numbers.MoveToOuterDisposeScope();
        }

        /// <summary>[n], and the sums [n] of e^(score − the row's largest), which the scores are afterwards.</summary>
        private static (Tensor Numbers, Tensor Sums) Numbers(Tensor scores, Tensor tokens)
        {
            using var gradients = no_grad();
            scores.sub_(scores.amax([1], keepdim: true));
            var chosen = scores.gather(1, tokens.unsqueeze(1)).squeeze(1);
            var sums = scores.exp_().sum(1);
            return (chosen - sums.log(), sums);
        }
    }

    /// <summary>[N], computed again for gradients.</summary>
    private sealed class Recomputed : autograd.SingleTensorFunction<Recomputed>
    {
        private const string AtOnce = "at once", OfPart = "of part", Result = "result";

        public override string Name => nameof(LogitsInParts);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (states, tokens, atOnce, of) = ((Tensor)vars[0], (Tensor)vars[1], (long)vars[2], (Way)vars[3]);
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
            var (atOnce, of) = ((long)ctx.get_data(AtOnce), (Way)ctx.get_data(OfPart));
            var (states, tokens) = (saved[0].detach(), saved[1]);
            var result = empty_like(states);
            try
            {
                using var gradients = enable_grad();
                using var inPlace = Gradients.InPlace();
                foreach (var part in Parts(states.size(0), atOnce))
                {
                    using var inner = NewDisposeScope();
                    var leaf = states.narrow(0, part.First, part.Count).detach().requires_grad_(true);
                    _ = of.Backward(PositionsOf(part), leaf, tokens.narrow(0, part.First, part.Count), grad_output.narrow(0, part.First, part.Count));
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
