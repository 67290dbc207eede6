using System.Collections.ObjectModel;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Supervised;

/// <summary>The examples of one step.</summary>
/// <param name="Examples">Their numbers: a mean may be taken over all of them, however few are in memory at once.</param>
/// <param name="Epoch">How often all examples were used before: draws differ between epochs.</param>
internal sealed record StepBatch(int[] Examples, int Epoch);

/// <summary>What is learned: the loop (<see cref="SupervisedLoop"/>) knows examples by number only.</summary>
internal interface ISupervisedTask
{
    /// <summary>The module that is trained.</summary>
    nn.Module Module { get; }

    /// <summary>The learning rate where the settings say none.</summary>
    double UsualLearningRate => SupervisedSettings.UsualLearningRate;

    /// <summary>Whether the weights under an adapter are held, rather than all of a module trained.</summary>
    static bool TrainsAdapter(nn.Module module) => module.parameters().Any(parameter => !parameter.requires_grad);

    /// <summary>Number of training examples.</summary>
    int Examples { get; }

    /// <summary>Tokens that an example takes, to put examples of like length together.</summary>
    int Length(int example);

    /// <summary>Number of terms that the loss of an example has: tokens to be predicted, or 1.</summary>
    int Terms(int example);

    /// <summary>Sum of the losses of some examples.</summary>
    /// <param name="examples">Their numbers, all or some of the step's.</param>
    /// <param name="step">The step that they are a part of.</param>
    /// <returns>[] float32.</returns>
    Tensor LossSum(ReadOnlySpan<int> examples, StepBatch step);

    /// <summary>What the step that was just learned measured beside its loss, by name; asked once a step.</summary>
    IReadOnlyDictionary<string, double> TakeMetrics() => ReadOnlyDictionary<string, double>.Empty;

    /// <summary>Metrics on the held-out examples; <c>loss</c>, a mean, decides which model is the best.</summary>
    IReadOnlyDictionary<string, double> Evaluate();

    /// <summary>Writes the model into a folder, from which <see cref="Load"/> reads it.</summary>
    void Save(string folder);

    /// <summary>Writes the model into the training's folder, as others are to read it.</summary>
    void SaveBest(string folder) => Save(folder);

    /// <summary>Reads the model's weights from a folder.</summary>
    void Load(string folder);
}
