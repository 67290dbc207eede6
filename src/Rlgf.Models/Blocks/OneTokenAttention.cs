using System.Runtime.Intrinsics;
using TorchSharp;
using static Rlgf.Models.Blocks.VectorNumbers;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>
/// softmax(q kᵀ / √(D/H) + mask) v of one token of each row, by the processor's own vectors: libtorch's ways cut this into a product for each head, which takes longer to begin than to compute
/// (MKL multiplies by its slowest code on processors that aren't Intel's, and oneDNN looks each kernel up).
/// </summary>
internal static unsafe class OneTokenAttention
{
    private const int WidestStrip = 8 * Lanes;

    /// <summary>Below as many multiplications a second thread takes longer to wake than to help.</summary>
    private const long WorkOfAThread = 200_000;

    [ThreadStatic]
    private static float[]? _scores;

    /// <summary>Whether it can be done here: one token on the CPU without a gradient, its queries float32 or bfloat16, keys and values float32 with whole heads one after the other.</summary>
    public static bool Fits(Tensor query, Tensor keys, Tensor values, Tensor? mask) => Vector256.IsHardwareAccelerated && !is_grad_enabled() && keys.device_type == DeviceType.CPU && query.size(2) == 1
        && query.dtype is ScalarType.Float32 or ScalarType.BFloat16 && query.stride(3) == 1 && keys.size(3) % Lanes == 0 && AreWholeHeads(keys) && AreWholeHeads(values) && mask is null or { dtype: ScalarType.Float32 };

    /// <summary>Attends.</summary>
    /// <param name="query">[B, H, 1, S] float32 or bfloat16, each head's numbers one after the other.</param>
    /// <param name="keys">[B, K, C, S] float32, each head for H/K neighbouring queries.</param>
    /// <param name="values">[B, K, C, S] float32.</param>
    /// <param name="mask">float32, broadcast to [B, H, 1, C]; null for none.</param>
    /// <param name="scale">What q · k is multiplied by.</param>
    /// <returns>[B, H, 1, S] of the query's type. Belongs to the caller's scope.</returns>
    public static Tensor Attend(Tensor query, Tensor keys, Tensor values, Tensor? mask, float scale)
    {
        var (rows, heads, keyHeads, columns, size) = ((int)query.size(0), (int)query.size(1), (int)keys.size(1), (int)keys.size(2), (int)query.size(3));
        var attended = empty([rows, heads, 1, size], dtype: query.dtype, device: query.device);
        using var seen = mask?.contiguous();
        var isBfloat16 = query.dtype == ScalarType.BFloat16;
        var bytes = isBfloat16 ? Bfloat16Numbers.Size : Float32Numbers.Size;
        var (q, k, v, m, to) = ((nint)Address(query), (nint)Address(keys), (nint)Address(values), seen is null ? 0 : (nint)Address(seen), (nint)Address(attended));
        var (queryRow, queryHead) = (query.stride(0), query.stride(1));
        var (keyRow, keyHead, valueRow, valueHead) = (keys.stride(0), keys.stride(1), values.stride(0), values.stride(1));
        var maskRow = seen is null || seen.size(0) == 1 ? 0 : seen.stride(0);
        var maskHead = seen is null || seen.size(1) == 1 ? 0 : seen.stride(1);

        var threads = (int)Math.Clamp((long)rows * heads * columns * size / WorkOfAThread, 1, Math.Min(rows, get_num_threads()));
        if (threads == 1) Part(0, rows);
        else Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, thread => Part(rows * thread / threads, rows * (thread + 1) / threads));
        foreach (var tensor in new[] { query, keys, values, seen }) GC.KeepAlive(tensor);
        return attended;

        void Part(int first, int end)
        {
            var needed = columns + Lanes + (2 * size);
            var scores = _scores is { } kept && kept.Length >= needed ? kept : _scores = new float[2 * needed];
            fixed (float* asked = scores)
            {
                float* summed = asked + size, buffer = summed + size;
                for (var row = first; row < end; row++)
                {
                    for (var head = 0; head < heads; head++)
                    {
                        var keyed = (long)(head / (heads / keyHeads));
                        var from = (byte*)q + (((row * queryRow) + (head * queryHead)) * bytes);
                        var place = (byte*)to + (((long)row * heads + head) * size * bytes);
                        if (isBfloat16) Copy<Bfloat16Numbers, Float32Numbers>(from, (byte*)asked, size);
                        else Copy<Float32Numbers, Float32Numbers>(from, (byte*)asked, size);
                        Scores(asked, (float*)k + (row * keyRow) + (keyed * keyHead), m == 0 ? null : (float*)m + (row * maskRow) + (head * maskHead), buffer, columns, size, scale);
                        var total = Exponentials(buffer, columns, isExact: !isBfloat16);
                        Sum((float*)v + (row * valueRow) + (keyed * valueHead), buffer, summed, columns, size, 1 / total);
                        if (isBfloat16) Copy<Float32Numbers, Bfloat16Numbers>((byte*)summed, place, size);
                        else Copy<Float32Numbers, Float32Numbers>((byte*)summed, place, size);
                    }
                }
            }
        }
    }

    /// <summary>scores[j] = q · k[j] · scale + mask[j].</summary>
    private static void Scores(float* query, float* keys, float* mask, float* scores, int columns, int size, float scale)
    {
        for (var j = 0; j < columns; j++, keys += size)
        {
            Vector256<float> even = default, odd = default;
            var i = 0;
            for (; i + (2 * Lanes) <= size; i += 2 * Lanes)
            {
                even = Vector256.FusedMultiplyAdd(Vector256.Load(query + i), Vector256.Load(keys + i), even);
                odd = Vector256.FusedMultiplyAdd(Vector256.Load(query + i + Lanes), Vector256.Load(keys + i + Lanes), odd);
            }

            if (i < size) even = Vector256.FusedMultiplyAdd(Vector256.Load(query + i), Vector256.Load(keys + i), even);
            scores[j] = (Vector256.Sum(even + odd) * scale) + (mask == null ? 0 : mask[j]);
        }
    }

    /// <summary>Replaces each score by exp(score − the largest), and gives their sum. Writes up to a multiple of eight.</summary>
    private static float Exponentials(float* scores, int columns, bool isExact)
    {
        for (var j = columns; j % Lanes != 0; j++) scores[j] = float.NegativeInfinity;
        var largest = Vector256.Load(scores);
        for (var j = Lanes; j < columns; j += Lanes) largest = Vector256.Max(largest, Vector256.Load(scores + j));
        var most = float.NegativeInfinity;
        for (var lane = 0; lane < Lanes; lane++) most = Math.Max(most, largest.GetElement(lane));
        var subtracted = Vector256.Create(most);
        var total = Vector256<float>.Zero;
        for (var j = 0; j < columns; j += Lanes)
        {
            var score = Vector256.Load(scores + j) - subtracted;
            // The exact one computes in float64, which states of bfloat16 don't need.
            var exponential = isExact ? Vector256.Exp(score) : Exp(score);
            exponential.Store(scores + j);
            total += exponential;
        }

        return Vector256.Sum(total);
    }

    /// <summary>to = Σ_j weights[j] · values[j] · factor, by strips of numbers that stay in registers.</summary>
    private static void Sum(float* values, float* weights, float* to, int columns, int size, float factor)
    {
        var i = 0;
        for (; i + WidestStrip <= size; i += WidestStrip)
        {
            Vector256<float> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
            var value = values + i;
            for (var j = 0; j < columns; j++, value += size)
            {
                var weight = Vector256.Create(weights[j]);
                a = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value), a);
                b = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + Lanes), b);
                c = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + (2 * Lanes)), c);
                d = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + (3 * Lanes)), d);
                e = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + (4 * Lanes)), e);
                f = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + (5 * Lanes)), f);
                g = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + (6 * Lanes)), g);
                h = Vector256.FusedMultiplyAdd(weight, Vector256.Load(value + (7 * Lanes)), h);
            }

            (a * factor).Store(to + i);
            (b * factor).Store(to + i + Lanes);
            (c * factor).Store(to + i + (2 * Lanes));
            (d * factor).Store(to + i + (3 * Lanes));
            (e * factor).Store(to + i + (4 * Lanes));
            (f * factor).Store(to + i + (5 * Lanes));
            (g * factor).Store(to + i + (6 * Lanes));
            (h * factor).Store(to + i + (7 * Lanes));
        }

        for (; i < size; i += Lanes)
        {
            Vector256<float> sum = default;
            var value = values + i;
            for (var j = 0; j < columns; j++, value += size) sum = Vector256.FusedMultiplyAdd(Vector256.Create(weights[j]), Vector256.Load(value), sum);
            (sum * factor).Store(to + i);
        }
    }

    private static bool AreWholeHeads(Tensor tensor) => tensor.dtype == ScalarType.Float32 && tensor.stride(3) == 1 && tensor.stride(2) == tensor.size(3);
}
