using static TorchSharp.torch;

namespace Rlgf.Training;

/// <summary>A loss on rows of its own that every optimiser step of an iteration adds to that of the iteration's rows: remembered rows, texts of a data set.</summary>
public interface IAuxiliaryLoss
{
    /// <summary>Its name: what it measures is logged as <c>loss/NAME</c>, the mean over the steps.</summary>
    string Name { get; }

    /// <summary>Whether each of the ranks that train together adds a part of the gradient and returns a part of the loss, which are added up; otherwise each computes the whole, the same on all.</summary>
    bool IsDealt => false;

    /// <summary>Adds its gradient to the policy's parameters, for one step. Where there is nothing to learn no gradient is left.</summary>
    /// <param name="step">The optimiser step of the iteration, from 0.</param>
    /// <returns>[], the loss before its weight, where it was computed: the learner reads all of an update at once. Null where there was nothing to learn, logged as 0.</returns>
    Tensor? Accumulate(int step);
}
