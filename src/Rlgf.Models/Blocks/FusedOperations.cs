using System.Runtime.Intrinsics;
using Rlgf.Models.Tensors;
using TorchSharp;
using static Rlgf.Models.Blocks.VectorNumbers;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// What stands between the products of a layer, for few rows and without a gradient: each a pass over the numbers, in place where it can be. libtorch needs several operations for each of them, whose beginning takes longer than
/// the numbers of few rows do. They compute in float32 and round once, to the states' type. What is one operation there, such as LayerNorm and GELU, stays one.
/// </summary>
internal static unsafe class FusedOperations
{
    /// <summary>Beyond as many numbers libtorch's own ways are as good: so many pay for their beginning, and go on all threads.</summary>
    private const long MostNumbers = 1 << 20;

    /// <summary>√(2/π), of GELU's tanh form.</summary>
    private const float GeluScale = 0.7978845608f;

    private const float GeluCubic = 0.044715f;

    /// <summary>Whether operations may be done here at all at the moment: nothing asks for a gradient, and the two ways aren't being compared.</summary>
    public static bool AreOn => Vector256.IsHardwareAccelerated && PackedProducts.IsOn && !is_grad_enabled();

    /// <summary>Whether it can be done here: few numbers of float32 or bfloat16 on the CPU, each one's numbers one after the other and a multiple of eight.</summary>
    public static bool Fit(Tensor x) => AreOn && x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16 && x.numel() is var numbers && x.size(-1) is var width
        && width % Lanes == 0 && numbers is > 0 and <= MostNumbers && x.stride(-1) == 1;

    /// <summary>x / √(mean(x²) + ε) · w.</summary>
    /// <param name="x">[…, D] that <see cref="Fit"/>.</param>
    /// <param name="weight">[D], of x's type or bfloat16.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="fromOne">Whether 1 is added to the weight.</param>
    /// <returns>[…, D] of the weight's type, new.</returns>
    public static Tensor RmsNorm(Tensor x, Tensor weight, double epsilon, bool fromOne)
    {
        using var states = x.contiguous();
        var y = empty(states.shape, dtype: weight.dtype, device: x.device);
        var width = (int)x.size(-1);
        var rows = (int)(x.numel() / width);
        if (x.dtype == ScalarType.BFloat16) RmsNorm<Bfloat16Numbers, Bfloat16Numbers>(Address(states), Address(weight), Address(y), rows, width, (float)epsilon, fromOne);
        else if (weight.dtype == ScalarType.BFloat16) RmsNorm<Float32Numbers, Bfloat16Numbers>(Address(states), Address(weight), Address(y), rows, width, (float)epsilon, fromOne);
        else RmsNorm<Float32Numbers, Float32Numbers>(Address(states), Address(weight), Address(y), rows, width, (float)epsilon, fromOne);
        GC.KeepAlive(states);
        GC.KeepAlive(weight);
        return y;
    }

    /// <summary>x + y.</summary>
    /// <param name="x">[N, D].</param>
    /// <param name="y">[N, D], the caller's own: where no gradient is asked, the sum may take its place.</param>
    /// <returns>[N, D].</returns>
    public static Tensor Sum(Tensor x, Tensor y)
    {
        if (!Fit(y) || x.dtype != y.dtype || !x.is_contiguous() || !y.is_contiguous()) return x.Add(y);
        var numbers = y.numel();
        if (y.dtype == ScalarType.BFloat16) AddTo<Bfloat16Numbers>(Address(x), Address(y), numbers);
        else AddTo<Float32Numbers>(Address(x), Address(y), numbers);
        GC.KeepAlive(x);
        return y;
    }

    /// <summary>act(gate) · up (Shazeer 2020).</summary>
    /// <param name="gate">[N, D] that <see cref="Fit"/>; rows may be apart.</param>
    /// <param name="up">[N, D] likewise, of the same type.</param>
    /// <param name="isGelu">Whether act is GELU in its tanh form rather than SiLU, x / (1 + e⁻ˣ).</param>
    /// <returns>[N, D] of the same type, new.</returns>
    public static Tensor Gate(Tensor gate, Tensor up, bool isGelu)
    {
        var (rows, width) = ((int)gate.size(0), (int)gate.size(1));
        var y = empty([rows, width], dtype: gate.dtype, device: gate.device);
        var (g, u, to, gateStride, upStride) = ((nint)Address(gate), (nint)Address(up), (nint)Address(y), gate.stride(0), up.stride(0));
        if (gate.dtype == ScalarType.BFloat16) Call<Bfloat16Numbers>();
        else Call<Float32Numbers>();
        GC.KeepAlive(gate);
        GC.KeepAlive(up);
        return y;

        void Call<T>()
            where T : struct, IVectorNumbers
        {
            if (isGelu) Gated<T, TanhGelu>((byte*)g, (byte*)u, (byte*)to, rows, width, gateStride, upStride);
            else Gated<T, Silu>((byte*)g, (byte*)u, (byte*)to, rows, width, gateStride, upStride);
        }
    }

    /// <summary>Turns pairs of numbers of each head: (a, b) → (a cos − b sin, b cos + a sin), in place; a pair is a head's numbers i and i + r/2.</summary>
    /// <param name="x">[B, T, H, S] that <see cref="Fit"/>, with any strides of the first three.</param>
    /// <param name="cosines">[B or 1, T, 1, r] float32, contiguous: of each number's pair; r/2 is a multiple of eight.</param>
    /// <param name="sines">Likewise, of which the second half is read.</param>
    public static void Rotate(Tensor x, Tensor cosines, Tensor sines)
    {
        var (rows, columns, heads, half) = ((int)x.size(0), (int)x.size(1), (int)x.size(2), (int)cosines.size(3) / 2);
        byte* numbers = Address(x);
        float* cosine = (float*)Address(cosines), sine = (float*)Address(sines);
        var (rowStride, columnStride, headStride) = (x.stride(0), x.stride(1), x.stride(2));
        var isBfloat16 = x.dtype == ScalarType.BFloat16;
        var tableRow = cosines.size(0) == 1 ? 0 : 2L * half * columns;
        for (var row = 0; row < rows; row++)
        {
            for (var column = 0; column < columns; column++)
            {
                var table = row * tableRow + 2L * half * column;
                var offset = row * rowStride + column * columnStride;
                if (isBfloat16) RotateHeads<Bfloat16Numbers>(numbers + offset * Bfloat16Numbers.Size, heads, headStride, cosine + table, sine + table + half, half);
                else RotateHeads<Float32Numbers>(numbers + offset * Float32Numbers.Size, heads, headStride, cosine + table, sine + table + half, half);
            }
        }

        GC.KeepAlive(x);
        GC.KeepAlive(cosines);
        GC.KeepAlive(sines);
    }

    /// <summary>Copies one token's heads of each row into a cache.</summary>
    /// <param name="x">[B, K, 1, S] that <see cref="Fit"/>.</param>
    /// <param name="cache">[B, K, C, S] float32, contiguous.</param>
    /// <param name="column">Which of the C.</param>
    public static void WriteToken(Tensor x, Tensor cache, int column)
    {
        var (rows, heads, size) = ((int)x.size(0), (int)x.size(1), (int)x.size(3));
        var from = Address(x);
        var to = (float*)Address(cache);
        var (rowStride, headStride) = (x.stride(0), x.stride(1));
        var (cacheRow, cacheHead) = (cache.stride(0), cache.stride(1));
        var isBfloat16 = x.dtype == ScalarType.BFloat16;
        for (var row = 0; row < rows; row++)
        {
            for (var head = 0; head < heads; head++)
            {
                var offset = row * rowStride + head * headStride;
                var place = to + row * cacheRow + head * cacheHead + (long)column * size;
                if (isBfloat16) Copy<Bfloat16Numbers, Float32Numbers>(from + offset * Bfloat16Numbers.Size, (byte*)place, size);
                else Copy<Float32Numbers, Float32Numbers>(from + offset * Float32Numbers.Size, (byte*)place, size);
            }
        }

        GC.KeepAlive(x);
        GC.KeepAlive(cache);
    }

    private static void RmsNorm<T, TWeight>(byte* x, byte* weight, byte* y, int rows, int width, float epsilon, bool fromOne)
        where T : struct, IVectorNumbers
        where TWeight : struct, IVectorNumbers
    {
        var shift = Vector256.Create(fromOne ? 1f : 0f);
        for (var row = 0; row < rows; row++, x += (long)width * T.Size, y += (long)width * TWeight.Size)
        {
            var squares = Vector256<float>.Zero;
            for (var i = 0; i < width; i += Lanes)
            {
                var value = T.Load(x + (long)i * T.Size);
                squares = Vector256.FusedMultiplyAdd(value, value, squares);
            }

            var scale = Vector256.Create(1 / MathF.Sqrt(Vector256.Sum(squares) / width + epsilon));
            for (var i = 0; i < width; i += Lanes) TWeight.Store(T.Load(x + (long)i * T.Size) * scale * (TWeight.Load(weight + (long)i * TWeight.Size) + shift), y + (long)i * TWeight.Size);
        }
    }

    private static void AddTo<T>(byte* x, byte* y, long numbers)
        where T : struct, IVectorNumbers
    {
        for (long i = 0; i < numbers * T.Size; i += Lanes * T.Size) T.Store(T.Load(x + i) + T.Load(y + i), y + i);
    }

    private static void Gated<T, TFunction>(byte* gate, byte* up, byte* y, int rows, int width, long gateStride, long upStride)
        where T : struct, IVectorNumbers
        where TFunction : struct, IFunction
    {
        for (var row = 0; row < rows; row++, gate += gateStride * T.Size, up += upStride * T.Size, y += (long)width * T.Size)
        {
            for (var i = 0; i < width; i += Lanes)
            {
                var offset = (long)i * T.Size;
                var value = TFunction.Of(T.Load(gate + offset));
                T.Store(value * T.Load(up + offset), y + offset);
            }
        }
    }

    private static void RotateHeads<T>(byte* head, int heads, long stride, float* cosines, float* sines, int half)
        where T : struct, IVectorNumbers
    {
        for (var h = 0; h < heads; h++, head += stride * T.Size)
        {
            for (var i = 0; i < half; i += Lanes)
            {
                byte* first = head + (long)i * T.Size, second = head + (long)(i + half) * T.Size;
                Vector256<float> a = T.Load(first), b = T.Load(second), cosine = Vector256.Load(cosines + i), sine = Vector256.Load(sines + i);
                T.Store(a * cosine - b * sine, first);
                T.Store(b * cosine + a * sine, second);
            }
        }
    }

    /// <summary>A function of one number.</summary>
    private interface IFunction
    {
        static abstract Vector256<float> Of(Vector256<float> x);
    }

    private readonly struct Silu : IFunction
    {
        public static Vector256<float> Of(Vector256<float> x) => x / (Vector256<float>.One + Exp(-x));
    }

    private readonly struct TanhGelu : IFunction
    {
        // ½ (1 + tanh u) = 1 − 1 / (1 + e^(2u)).
        public static Vector256<float> Of(Vector256<float> x)
        {
            var u = GeluScale * Vector256.FusedMultiplyAdd(x * x * x, Vector256.Create(GeluCubic), x);
            return x - x / (Vector256<float>.One + Exp(u * 2f));
        }
    }
}
