using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;

namespace Rlgf.Recipes;

/// <summary>The type of the base that an adapter is trained on, as recipes of every kind say it.</summary>
internal static class BaseType
{
    /// <summary>The type with <c>auto</c> replaced.</summary>
    /// <param name="type">What was said; null, which stays so, for float32.</param>
    /// <param name="device">Where the policy computes.</param>
    /// <param name="folder">The model's folder; null for one that is made anew.</param>
    /// <param name="lora">A new adapter on it; null for none.</param>
    public static PolicyPrecision? Resolved(PolicyPrecision? type, string device, string? folder, LoraSettings? lora) => type switch
    {
        PolicyPrecision.Auto => HasAdapter(folder, lora) && Precision.Auto.ResolvedOn(device) == Precision.Bfloat16 ? PolicyPrecision.Bfloat16Base : PolicyPrecision.Float32,
        _ => type,
    };

    /// <summary>Whether an adapter is trained rather than all weights.</summary>
    /// <param name="folder">As of <see cref="Resolved"/>.</param>
    /// <param name="lora">As of <see cref="Resolved"/>.</param>
    public static bool HasAdapter(string? folder, LoraSettings? lora) => lora is not null || (folder is not null && LanguageModelFolder.HoldsAdapter(folder));

    /// <summary>What is wrong on this machine with a type that was chosen; null for nothing.</summary>
    /// <param name="type">As of <see cref="Resolved"/>.</param>
    /// <param name="device">As of <see cref="Resolved"/>.</param>
    /// <param name="folder">As of <see cref="Resolved"/>.</param>
    /// <param name="lora">As of <see cref="Resolved"/>.</param>
    public static string? Problem(PolicyPrecision? type, string device, string? folder, LoraSettings? lora)
    {
        if (type != PolicyPrecision.Bfloat16Base) return null;
        // A folder that isn't there is complained of by its own key.
        if (!HasAdapter(folder, lora) && (folder is null || Directory.Exists(folder)))
            return "bfloat16_base is for a base under a LoRA adapter, and here all weights are trained, which are float32; set model.lora, or leave it out";
        return DeviceName.Resolved(device) == DeviceName.Default && !PrecisionOfModels.HasBfloat16Products
            ? "the processor has no instructions for products of bfloat16 (AVX512_BF16), which then take longer than float32's; say auto, which is float32 here, or leave it out"
            : null;
    }

    /// <summary>Refuses a model that trains weights in bfloat16, in which an optimiser's small steps are lost: whole modules beside an adapter.</summary>
    /// <exception cref="InputException">There are such; names them.</exception>
    public static void RequireTrained(ILanguageModel model)
    {
        var rounded = model.Module.named_parameters().Where(named => named.parameter.requires_grad && named.parameter.dtype != TorchSharp.torch.ScalarType.Float32).Select(named => named.name).ToArray();
        if (rounded.Length > 0)
            throw new InputException($"the adapter trains whole modules of the base too ({string.Join(", ", rounded)}), which must be float32: precision.policy can't be bfloat16_base or auto with it; leave that out");
    }
}
