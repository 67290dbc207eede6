using System.Diagnostics;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models;

/// <summary>The type of the numbers that a model computes with. What is trained is always float32.</summary>
public enum Precision
{
    /// <summary>24 significant bits.</summary>
    Float32,

    /// <summary>8 significant bits: half the memory, and on processors with instructions for it twice the speed and more.</summary>
    Bfloat16,

    /// <summary>Whichever of the two multiplies faster on this machine, measured.</summary>
    Auto,
}

/// <summary>What <see cref="Precision.Auto"/> is here, and models in another type.</summary>
public static class PrecisionOfModels
{
    /// <summary>Where the two are nearly as fast, float32 is the better one.</summary>
    private const double WorthIt = 1.25;

    private static readonly Lazy<double> Speedup = new(MeasureSpeedup);

    /// <summary>How many times as fast as a float32 product a bfloat16 product is on this machine: 256 × 1024 × 1024, the median of five, measured once.</summary>
    public static double Bfloat16Speedup => Speedup.Value;

    /// <summary>The same for a type that was chosen; for <see cref="Precision.Auto"/> the faster one.</summary>
    public static Precision Resolved(this Precision precision) =>
        precision != Precision.Auto ? precision : Bfloat16Speedup >= WorthIt ? Precision.Bfloat16 : Precision.Float32;

    /// <summary>A frozen copy of a model whose parameters are of another type. Its logits are float32 all the same.</summary>
    /// <param name="model">The model.</param>
    /// <param name="precision">The type.</param>
    public static ILanguageModel CopyAs(ILanguageModel model, Precision precision)
    {
        var configuration = new ModelConfiguration(model.Configuration, "the model's configuration");
        ILanguageModel copy;
        using (precision.OfNewParameters()) copy = ModelFamilies.Of(configuration).CreateLanguageModel(configuration, model.Device);
        CopyWeights(model, copy);
        return copy;
    }

    /// <summary>Brings a copy up to date.</summary>
    /// <param name="from">A model.</param>
    /// <param name="to">Another of the same sizes, of any type.</param>
    public static void CopyWeights(ILanguageModel from, ILanguageModel to) => ModuleWeights.Copy(from.Module, to.Module);

    /// <summary>Parameters that are made until it is disposed of are of that type.</summary>
    internal static Blocks.Weights.TypeScope OfNewParameters(this Precision precision) =>
        new(precision.Resolved() == Precision.Bfloat16 ? ScalarType.BFloat16 : ScalarType.Float32);

    private static double MeasureSpeedup()
    {
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var (left, right) = (ones(256, 1024), ones(1024, 1024));
        var (left16, right16) = (left.to(bfloat16), right.to(bfloat16));
        _ = (Seconds(left, right), Seconds(left16, right16));
        var ratios = Enumerable.Range(0, 5).Select(_ => Seconds(left, right) / Seconds(left16, right16)).Order().ToArray();
        return ratios[2];

        static double Seconds(Tensor x, Tensor weight)
        {
            var start = Stopwatch.GetTimestamp();
            using var product = nn.functional.linear(x, weight);
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }
}
