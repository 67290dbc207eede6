using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Lora;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.NumberTypes;

/// <summary>The type of the numbers that a model computes with. What is trained is always float32.</summary>
public enum Precision
{
    /// <summary>24 significant bits.</summary>
    Float32,

    /// <summary>8 significant bits: half the memory, and on processors with instructions for it twice the speed and more.</summary>
    Bfloat16,

    /// <summary>bfloat16 where the processor has instructions for its products, float32 elsewhere: the same on one machine every time.</summary>
    Auto,
}

/// <summary>The type of the numbers that a model which is trained computes with.</summary>
public enum PolicyPrecision
{
    /// <summary>All of it in float32.</summary>
    Float32,

    /// <summary>
    /// The base under a LoRA adapter in bfloat16, in memory once for all that is on it. The adapter's weights, their gradients, critics and optimiser are float32, and so are the sums of the layers, norms, attention,
    /// logits and losses.
    /// </summary>
    Bfloat16Base,

    /// <summary><c>bfloat16_base</c> where there is an adapter, on a GPU or a processor with instructions for such products; <c>float32</c> elsewhere.</summary>
    Auto,
}

/// <summary>What <see cref="Precision.Auto"/> is here, and models in another type.</summary>
public static class PrecisionOfModels
{
    /// <summary>Whether the processor multiplies bfloat16 numbers itself (AVX512_BF16): products then take about half of float32's time, elsewhere more than it.</summary>
    public static bool HasBfloat16Products => Processor.HasBfloat16Products;

    /// <summary>The same for a type that was chosen; for <see cref="Precision.Auto"/> what the processor's features say. Nothing is measured: a recipe must not compute in another type the next time.</summary>
    public static Precision Resolved(this Precision precision) =>
        precision != Precision.Auto ? precision : HasBfloat16Products ? Precision.Bfloat16 : Precision.Float32;

    /// <summary>The same on a device: on a GPU <see cref="Precision.Auto"/> is bfloat16, which those of recent years multiply faster.</summary>
    /// <param name="precision">The type.</param>
    /// <param name="device">A name as of <see cref="DeviceName"/>.</param>
    public static Precision ResolvedOn(this Precision precision, string device) =>
        precision == Precision.Auto && DeviceName.Resolved(device) != DeviceName.Default ? Precision.Bfloat16 : precision.Resolved();

    /// <summary>What a model's parameters are.</summary>
    public static Precision PrecisionOf(ILanguageModel model) => model.Module.parameters().First().dtype == ScalarType.BFloat16 ? Precision.Bfloat16 : Precision.Float32;

    /// <summary>A frozen copy of a model whose parameters are of another type. Its logits are float32 all the same.</summary>
    /// <param name="model">The model.</param>
    /// <param name="precision">The type.</param>
    /// <param name="device">Where to; null for where the model is.</param>
    public static ILanguageModel CopyAs(ILanguageModel model, Precision precision, Device? device = null)
    {
        var configuration = new ModelConfiguration(model.Configuration, "the model's configuration");
        ILanguageModel copy;
        using (precision.OfNewParameters()) copy = ModelFamilies.Of(configuration).CreateLanguageModel(configuration, device ?? model.Device);
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
}
