using System.Runtime.Intrinsics.X86;

namespace Rlgf.Models;

/// <summary>What this machine's processor can do.</summary>
internal static class Processor
{
    // CPUID leaf 7, subleaf 1, EAX: AVX512_BF16. Whether the system lets programs use the wide registers is what Avx512F says.
    private const int Avx512Bf16 = 1 << 5;

    /// <summary>Whether it multiplies bfloat16 numbers itself (AVX512_BF16).</summary>
    public static bool HasBfloat16Products { get; } = Avx512F.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && (X86Base.CpuId(7, 1).Eax & Avx512Bf16) != 0;
}
