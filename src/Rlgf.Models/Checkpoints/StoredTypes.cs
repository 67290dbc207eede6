using static TorchSharp.torch;

namespace Rlgf.Models.Checkpoints;

/// <summary>The types of stored numbers: how safetensors files call them, and how many bytes one takes.</summary>
internal static class StoredTypes
{
    private static readonly (ScalarType Type, string Name, int Size)[] All =
    [
        (ScalarType.Float64, "F64", 8),
        (ScalarType.Float32, "F32", 4),
        (ScalarType.Float16, "F16", 2),
        (ScalarType.BFloat16, "BF16", 2),
        (ScalarType.Int64, "I64", 8),
        (ScalarType.Int32, "I32", 4),
        (ScalarType.Int16, "I16", 2),
        (ScalarType.Int8, "I8", 1),
        (ScalarType.Byte, "U8", 1),
        (ScalarType.Bool, "BOOL", 1),
    ];

    /// <summary>The type that a safetensors header names, or null where it isn't known.</summary>
    public static ScalarType? Parse(string? name)
    {
        foreach (var entry in All)
        {
            if (entry.Name == name) return entry.Type;
        }

        return null;
    }

    /// <summary>What to do about a type that isn't read, where it is a known one: numbers of 8 bits and fewer mean nothing without the scales that stand beside them.</summary>
    public static string? AdviceFor(string? name) => name is not null && (name.StartsWith("F8_", StringComparison.Ordinal) || name.StartsWith("F6_", StringComparison.Ordinal) || name.StartsWith("F4", StringComparison.Ordinal))
        ? "the weights are quantised; take the model's original ones (bfloat16, float16 or float32)"
        : name is "U16" or "U32" or "U64" or "C64" ? "no model's weights are of it here; take the model's original ones (bfloat16, float16 or float32)" : null;

    /// <summary>Its name in safetensors headers.</summary>
    public static string NameOf(ScalarType type) => Entry(type).Name;

    /// <summary>What <c>config.json</c> calls a type that weights are saved in.</summary>
    /// <exception cref="ArgumentException">Weights aren't saved in it.</exception>
    public static string LongNameOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => "float32",
        ScalarType.Float16 => "float16",
        ScalarType.BFloat16 => "bfloat16",
        _ => throw new ArgumentException($"Weights are stored as float32, float16 or bfloat16, not {type}.", nameof(type)),
    };

    /// <summary>Bytes of one number.</summary>
    public static int SizeOf(ScalarType type) => Entry(type).Size;

    private static (ScalarType Type, string Name, int Size) Entry(ScalarType type)
    {
        foreach (var entry in All)
        {
            if (entry.Type == type) return entry;
        }

        throw new ArgumentException($"Tensors of type {type} can't be stored.", nameof(type));
    }
}
