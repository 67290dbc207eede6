using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Rlgf.Models.Tensors;

/// <summary>Backward passes through what is computed again within them (log-probabilities in parts, layers whose activations aren't kept).</summary>
public static class Gradients
{
    private static ExceptionDispatchInfo? _failure;

    /// <summary>Adds the gradients of a scalar to those of the parameters.</summary>
    /// <param name="loss">[], differentiable.</param>
    /// <exception cref="Exception">What was computed again within the pass failed, such as for want of memory. An exception must not pass through native code, where it would end the process: it is thrown here.</exception>
    public static void Backward(this Tensor loss)
    {
        loss.backward();
        Interlocked.Exchange(ref _failure, null)?.Throw();
    }

    /// <summary>Keeps a failure within a pass until that is over; its gradients should be no numbers, so that nobody takes them for some.</summary>
    public static void Fail(Exception exception) => Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);

    [ThreadStatic]
    private static bool _areInPlace;

    /// <summary>Whether the gradient of a weight goes straight into the one that is there: see <see cref="InPlace"/>.</summary>
    internal static bool AreInPlace => _areInPlace;

    /// <summary>
    /// Until it is disposed of, products that this thread computes with a weight that is trained add the weight's gradient straight to the one that is there in their backward pass, so that a large head computed in parts has
    /// one gradient in memory rather than one and that of a part. For graphs whose backward pass is asked for gradients of everything, within the scope of another.
    /// </summary>
    public static InPlaceScope InPlace() => new(_areInPlace);

    /// <summary>Ends an <see cref="InPlace"/>.</summary>
    public readonly ref struct InPlaceScope
    {
        private readonly bool _outer;

        internal InPlaceScope(bool outer) => (_outer, _areInPlace) = (outer, true);

        /// <summary>Ends.</summary>
        public void Dispose() => _areInPlace = _outer;
    }
}
