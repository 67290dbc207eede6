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
}
