namespace Rlgf.Gguf;

/// <summary>Sizes and names of the types.</summary>
internal static class GgufTypes
{
    /// <summary>Types that are known but not read, for messages.</summary>
    private static readonly Dictionary<uint, string> Others = new()
    {
        [4] = "Q4_2", [5] = "Q4_3", [9] = "Q8_1", [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S", [22] = "IQ2_S", [23] = "IQ4_XS",
        [24] = "I8", [25] = "I16", [26] = "I32", [27] = "I64", [28] = "F64", [29] = "IQ1_M", [34] = "TQ1_0", [35] = "TQ2_0", [39] = "MXFP4",
    };

    /// <summary>The type with a number, or null where it isn't one that is read.</summary>
    public static GgufType? Parse(uint number) => number <= int.MaxValue && Enum.IsDefined((GgufType)number) ? (GgufType)number : null;

    /// <summary>What a type is called, by its number.</summary>
    public static string NameOf(uint number) => Parse(number)?.ToString() ?? Others.GetValueOrDefault(number) ?? $"number {number}";

    /// <summary>All that are read.</summary>
    public static string AllNames => string.Join(", ", Enum.GetNames<GgufType>());

    /// <summary>A block: how many numbers it holds, and in how many bytes.</summary>
    public static (int Numbers, int Bytes) BlockOf(GgufType type) => type switch
    {
        GgufType.F32 => (1, 4),
        GgufType.F16 or GgufType.BF16 => (1, 2),
        GgufType.Q4_0 => (32, 2 + 16),
        GgufType.Q4_1 => (32, 2 + 2 + 16),
        GgufType.Q5_0 => (32, 2 + 4 + 16),
        GgufType.Q5_1 => (32, 2 + 2 + 4 + 16),
        GgufType.Q8_0 => (32, 2 + 32),
        GgufType.Q2_K => (256, 16 + 64 + 2 + 2),
        GgufType.Q3_K => (256, 32 + 64 + 12 + 2),
        GgufType.Q4_K => (256, 2 + 2 + 12 + 128),
        GgufType.Q5_K => (256, 2 + 2 + 12 + 32 + 128),
        GgufType.Q6_K => (256, 128 + 64 + 16 + 2),
        GgufType.Q8_K => (256, 4 + 256 + 32),
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };
}
