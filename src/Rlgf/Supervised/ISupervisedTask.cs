using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>What is learned: the loop (<see cref="SupervisedLoop"/>) knows examples by number only.</summary>
internal interface ISupervisedTask
{
    /// <summary>The module that is trained.</summary>
    nn.Module Module { get; }

    /// <summary>Number of training examples.</summary>
    int Examples { get; }

    /// <summary>Tokens that an example takes, to put examples of like length together.</summary>
    int Length(int example);

    /// <summary>Number of terms that the loss of an example has: tokens to be predicted, or 1.</summary>
    int Terms(int example);

    /// <summary>Sum of the losses of some examples.</summary>
    /// <param name="examples">Their numbers.</param>
    /// <param name="epoch">How often all examples were used before: draws differ between epochs.</param>
    /// <returns>[] float32.</returns>
    Tensor LossSum(ReadOnlySpan<int> examples, int epoch);

    /// <summary>Metrics on the held-out examples; <c>loss</c>, a mean, decides which model is the best.</summary>
    IReadOnlyDictionary<string, double> Evaluate();

    /// <summary>Writes the model into a folder, from which <see cref="Load"/> reads it.</summary>
    void Save(string folder);

    /// <summary>Writes the model into the training's folder, as others are to read it.</summary>
    void SaveBest(string folder) => Save(folder);

    /// <summary>Reads the model's weights from a folder.</summary>
    void Load(string folder);
}
