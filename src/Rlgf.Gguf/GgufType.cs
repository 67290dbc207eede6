using System.Diagnostics.CodeAnalysis;

namespace Rlgf.Gguf;

/// <summary>How the numbers of a tensor are stored in a GGUF file. The values are those of the file.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "The names are the format's.")]
public enum GgufType
{
    /// <summary>float32.</summary>
    F32 = 0,

    /// <summary>float16.</summary>
    F16 = 1,

    /// <summary>Blocks of 32: 4 bits and a scale.</summary>
    Q4_0 = 2,

    /// <summary>Blocks of 32: 4 bits, a scale and a minimum.</summary>
    Q4_1 = 3,

    /// <summary>Blocks of 32: 5 bits and a scale.</summary>
    Q5_0 = 6,

    /// <summary>Blocks of 32: 5 bits, a scale and a minimum.</summary>
    Q5_1 = 7,

    /// <summary>Blocks of 32: 8 bits and a scale.</summary>
    Q8_0 = 8,

    /// <summary>Blocks of 256: 2 bits, scales and minimums of 16.</summary>
    Q2_K = 10,

    /// <summary>Blocks of 256: 3 bits, scales of 16.</summary>
    Q3_K = 11,

    /// <summary>Blocks of 256: 4 bits, scales and minimums of 32.</summary>
    Q4_K = 12,

    /// <summary>Blocks of 256: 5 bits, scales and minimums of 32.</summary>
    Q5_K = 13,

    /// <summary>Blocks of 256: 6 bits, scales of 16.</summary>
    Q6_K = 14,

    /// <summary>Blocks of 256: 8 bits and a scale.</summary>
    Q8_K = 15,

    /// <summary>bfloat16.</summary>
    BF16 = 30,
}
