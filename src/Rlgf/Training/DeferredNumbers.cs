using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>Numbers that stay where they were computed until all are read at once: each look at one of them would wait for all that a GPU has begun.</summary>
internal sealed class DeferredNumbers : IDisposable
{
    private readonly List<Tensor> _numbers = [];

    /// <summary>Keeps a number.</summary>
    /// <param name="number">[], of any type and on any device; stays the caller's.</param>
    /// <returns>Its place in what <see cref="Read"/> gives.</returns>
    public int Keep(Tensor number)
    {
        using var scope = NewDisposeScope();
        _numbers.Add(number.detach().to(ScalarType.Float64, copy: true).DetachFromDisposeScope());
        return _numbers.Count - 1;
    }

    /// <summary>One number now, which waits for all that computes it.</summary>
    /// <param name="place">From <see cref="Keep"/>.</param>
    public double At(int place) => _numbers[place].item<double>();

    /// <summary>All numbers, by their places. The one copy to the host.</summary>
    public double[] Read()
    {
        if (_numbers.Count == 0) return [];
        using var scope = NewDisposeScope();
        return stack(_numbers.Select(number => number.to(_numbers[0].device))).HostArray<double>();
    }

    /// <inheritdoc/>
    public void Dispose() => _numbers.ForEach(number => number.Dispose());
}
