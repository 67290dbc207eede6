using static TorchSharp.torch;

namespace Rlgf.Models.Tensors;

/// <summary>Numbers of tensors as arrays.</summary>
public static class TensorHost
{
    /// <summary>A tensor's numbers, wherever it is, in the order of its last index. On an accelerator this waits for all that was begun there: read once what belongs together.</summary>
    /// <typeparam name="T">The type of the tensor's numbers.</typeparam>
    /// <param name="x">[…].</param>
    public static T[] HostArray<T>(this Tensor x)
        where T : unmanaged
    {
        using var scope = NewDisposeScope();
        return x.detach().cpu().data<T>().ToArray();
    }
}
