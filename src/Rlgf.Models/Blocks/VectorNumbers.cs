using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>A type of numbers as they lie in a tensor's memory, eight at a time as float32.</summary>
internal unsafe interface IVectorNumbers
{
    /// <summary>Bytes of a number.</summary>
    static abstract int Size { get; }

    /// <summary>Eight numbers from an address.</summary>
    static abstract Vector256<float> Load(byte* numbers);

    /// <summary>Writes eight numbers to an address, rounded to the nearest, of two as near to the even one.</summary>
    static abstract void Store(Vector256<float> values, byte* numbers);
}

/// <summary>float32.</summary>
internal readonly unsafe struct Float32Numbers : IVectorNumbers
{
    public static int Size => sizeof(float);

    public static Vector256<float> Load(byte* numbers) => Vector256.Load((float*)numbers);

    public static void Store(Vector256<float> values, byte* numbers) => values.Store((float*)numbers);
}

/// <summary>bfloat16: the upper half of a float32.</summary>
internal readonly unsafe struct Bfloat16Numbers : IVectorNumbers
{
    private const uint QuietNaN = 0x7fc0;

    public static int Size => sizeof(ushort);

    public static Vector256<float> Load(byte* numbers) => (Vector256.WidenLower(Vector128.Load((ushort*)numbers).ToVector256Unsafe()) << 16).AsSingle();

    public static void Store(Vector256<float> values, byte* numbers)
    {
        var bits = values.AsUInt32();
        // Half of what is cut off, less one where the last bit that stays is even, carries exactly where rounding is upwards.
        var rounded = (bits + Vector256.Create(0x7fffu) + ((bits >>> 16) & Vector256<uint>.One)) >>> 16;
        var kept = Vector256.ConditionalSelect(Vector256.Equals(values, values).AsUInt32(), rounded, Vector256.Create(QuietNaN));
        Vector128.Narrow(kept.GetLower(), kept.GetUpper()).Store((ushort*)numbers);
    }
}

/// <summary>Where a tensor's numbers are, and functions of eight of them.</summary>
internal static unsafe class VectorNumbers
{
    /// <summary>Numbers in a vector.</summary>
    public const int Lanes = 8;

    // ln 2 in two parts, the first so short that its product with a whole number below 256 is exact.
    private const float UpperLn2 = 0.693359375f, LowerLn2 = -2.12194440e-4f;

    /// <summary>Below it exp is no normal float32 any more: 0 here.</summary>
    private const float LeastExponent = -87.33f;

    private const float MostExponent = 88.72f;

    /// <summary>Address of a tensor's first number. As <c>Tensor.bytes</c> finds its span, but for views of what is larger than a span may be too. The tensor must be kept alive.</summary>
    public static byte* Address(Tensor tensor) => (byte*)NumbersOf(tensor.Handle);

    /// <summary>Copies numbers, a multiple of eight, into another type.</summary>
    public static void Copy<TFrom, TTo>(byte* from, byte* to, int count)
        where TFrom : struct, IVectorNumbers
        where TTo : struct, IVectorNumbers
    {
        for (var i = 0; i < count; i += Lanes, from += Lanes * TFrom.Size, to += Lanes * TTo.Size) TTo.Store(TFrom.Load(from), to);
    }

    /// <summary>eˣ of each number, to two units in the last place; 0 below −87.</summary>
    /// <remarks>eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2, eʳ by its series up to r⁷/7!, after which it leaves out less than 6·10⁻⁹.</remarks>
    public static Vector256<float> Exp(Vector256<float> x)
    {
        // What is no number stays none in this order.
        var bounded = Vector256.MinNative(Vector256.Create(MostExponent), x);
        var n = Vector256.Round(bounded * 1.44269504f);
        var r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-LowerLn2), Vector256.FusedMultiplyAdd(n, Vector256.Create(-UpperLn2), bounded));
        var sum = Vector256.Create(1f / 5040);
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256.Create(1f / 720));
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256.Create(1f / 120));
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256.Create(1f / 24));
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256.Create(1f / 6));
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256.Create(0.5f));
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256<float>.One);
        sum = Vector256.FusedMultiplyAdd(sum, r, Vector256<float>.One);
        // Two factors, since 2ⁿ alone may be beyond what there is.
        var half = Vector256.ConvertToInt32(n) >> 1;
        var rest = Vector256.ConvertToInt32(n) - half;
        var bias = Vector256.Create(127);
        var result = sum * ((half + bias) << 23).AsSingle() * ((rest + bias) << 23).AsSingle();
        return Vector256.ConditionalSelect(Vector256.LessThan(x, Vector256.Create(LeastExponent)), Vector256<float>.Zero, result);
    }

    [DllImport("LibTorchSharp", EntryPoint = "THSTensor_data", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern nint NumbersOf(nint tensor);
}
