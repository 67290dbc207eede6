using System.Runtime.Intrinsics;

namespace Rlgf.Gguf;

/// <summary>
/// The K types, blocks of 256 in runs of 16 or 32. For each run several widths of a step are tried; the whole numbers that one gives are fitted to the run by weighted least squares, and the fit with the least weighted error is kept. Then the
/// runs' scales are rounded to whole multiples of the block's, and the numbers once more to what these give (the reference quantiser of ggml-quants.c).
/// </summary>
/// <remarks>Eight runs are fitted side by side, one in each lane of a vector, so that sums are taken in the order in which the reference takes them.</remarks>
internal static class GgufKQuantizer
{
    private const int Lanes = 8;

    /// <summary>Below it a run counts as zeros.</summary>
    private const float Nothing = 1e-15f;

    /// <summary>Q4_K and Q5_K, in the parts of a block that <see cref="GgufBlocks"/> reads: d · scale · q − dmin · minimum.</summary>
    /// <param name="numbers">256.</param>
    /// <param name="head">d, dmin and the packed scales and minimums: 16 bytes.</param>
    /// <param name="fifth">The fifth bits: 32 bytes; empty for Q4_K.</param>
    /// <param name="low">The low four bits: 128 bytes.</param>
    public static void Q45K(ReadOnlySpan<float> numbers, Span<byte> head, Span<byte> fifth, Span<byte> low)
    {
        const int Length = 32, MostScale = 63;
        var (most, firstTried, steps) = fifth.IsEmpty ? (15, -1f, 20) : (31, -0.5f, 15);
        Span<Vector256<float>> x = stackalloc Vector256<float>[Length];
        Span<Vector256<float>> quants = stackalloc Vector256<float>[Length];
        ToLanes(numbers, x);
        var (scales, minimums) = FitLine(x, quants, most, firstTried, steps);

        var (largestScale, largestMinimum) = (0f, 0f);
        for (var lane = 0; lane < Lanes; lane++) (largestScale, largestMinimum) = (MathF.Max(largestScale, scales[lane]), MathF.Max(largestMinimum, minimums[lane]));
        GgufQuantizer.Put(head, 0, largestScale / MostScale);
        GgufQuantizer.Put(head, 2, largestMinimum / MostScale);
        var (d, dmin) = (Stored(largestScale / MostScale), Stored(largestMinimum / MostScale));
        var perScale = Vector256.Create(largestScale > 0 ? MostScale / largestScale : 0);
        var perMinimum = Vector256.Create(largestMinimum > 0 ? MostScale / largestMinimum : 0);
        var wholeScales = Within(Vector256.Round(perScale * scales), 0, MostScale);
        var wholeMinimums = Within(Vector256.Round(perMinimum * minimums), 0, MostScale);
        PackSixBits(wholeScales, wholeMinimums, head[4..]);

        var step = Vector256.Create(d) * wholeScales;
        var least = Vector256.Create(dmin) * wholeMinimums;
        var isNothing = Vector256.Equals(step, Vector256<float>.Zero);
        fifth.Clear();
        for (var i = 0; i < Length; i++)
        {
            var rounded = Within(Vector256.Round((x[i] + least) / step), 0, most);
            var whole = Vector256.ConvertToInt32(Vector256.ConditionalSelect(isNothing, quants[i], rounded));
            for (var lane = 0; lane < Lanes; lane++)
            {
                ref var target = ref low[lane / 2 * Length + i];
                target = (byte)(lane % 2 == 0 ? whole[lane] & 15 : target | (whole[lane] & 15) << 4);
                if (!fifth.IsEmpty) fifth[i] |= (byte)(whole[lane] >> 4 << lane);
            }
        }
    }

    /// <summary>Q6_K: d · scale · (q − 32).</summary>
    /// <param name="numbers">256.</param>
    /// <param name="block">210 bytes.</param>
    public static void Q6K(ReadOnlySpan<float> numbers, Span<byte> block)
    {
        const int Length = 16, Runs = 16, Half = 32;
        Span<Vector256<float>> x = stackalloc Vector256<float>[Runs / Lanes * Length];
        Span<Vector256<float>> quants = stackalloc Vector256<float>[Runs / Lanes * Length];
        Span<Vector256<float>> scales = stackalloc Vector256<float>[Runs / Lanes];
        var furthest = 0f;
        for (var group = 0; group < scales.Length; group++)
        {
            ToLanes(numbers.Slice(group * Lanes * Length, Lanes * Length), x.Slice(group * Length, Length));
            scales[group] = FitThroughZero(x.Slice(group * Length, Length), quants.Slice(group * Length, Length), Half);
            for (var lane = 0; lane < Lanes; lane++)
            {
                if (MathF.Abs(scales[group][lane]) > MathF.Abs(furthest)) furthest = scales[group][lane];
            }
        }

        block.Clear();
        if (MathF.Abs(furthest) < Nothing) return;
        var perScale = -128 / furthest;
        GgufQuantizer.Put(block, 208, 1 / perScale);
        var d = Vector256.Create(Stored(1 / perScale));
        for (var group = 0; group < scales.Length; group++)
        {
            var whole = Vector256.Min(Vector256.Round(Vector256.Create(perScale) * scales[group]), Vector256.Create(127f));
            var step = d * whole;
            var isNothing = Vector256.Equals(step, Vector256<float>.Zero);
            for (var lane = 0; lane < Lanes; lane++) block[192 + group * Lanes + lane] = (byte)(sbyte)whole[lane];
            for (var i = 0; i < Length; i++)
            {
                var rounded = Within(Vector256.Round(x[group * Length + i] / step), -Half, Half - 1) + Vector256.Create((float)Half);
                var packed = Vector256.ConvertToInt32(Vector256.ConditionalSelect(isNothing, quants[group * Length + i], rounded));
                for (var lane = 0; lane < Lanes; lane++) PutSixBits(block, (group * Lanes + lane) * Length + i, packed[lane]);
            }
        }
    }

    /// <summary>Fits scale · q + minimum, q from 0 to <paramref name="most"/> and the minimum not above 0, weights |x| plus the run's root mean square.</summary>
    /// <param name="x">The runs' numbers.</param>
    /// <param name="quants">Gets the whole numbers.</param>
    /// <param name="most">The greatest whole number.</param>
    /// <param name="firstTried">By how much more than <paramref name="most"/> steps the first width tried divides a run's span.</param>
    /// <param name="steps">How many more widths are tried, each a tenth of a step further.</param>
    /// <returns>The scales, and the minimums without their sign.</returns>
    private static (Vector256<float> Scales, Vector256<float> Minimums) FitLine(ReadOnlySpan<Vector256<float>> x, Span<Vector256<float>> quants, int most, float firstTried, int steps)
    {
        Span<Vector256<float>> weights = stackalloc Vector256<float>[x.Length];
        Span<Vector256<float>> tried = stackalloc Vector256<float>[x.Length];
        var squares = Vector256<float>.Zero;
        foreach (var number in x) squares += number * number;
        var root = Vector256.Sqrt(squares / x.Length);
        var (least, greatest) = (x[0], x[0]);
        var (sumOfWeights, sumOfNumbers) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var i = 0; i < x.Length; i++)
        {
            weights[i] = root + Vector256.Abs(x[i]);
            (least, greatest) = (Vector256.Min(least, x[i]), Vector256.Max(greatest, x[i]));
            sumOfWeights += weights[i];
            sumOfNumbers += weights[i] * x[i];
        }

        least = Vector256.Min(least, Vector256<float>.Zero);
        var span = greatest - least;
        var isFlat = Vector256.Equals(span, Vector256<float>.Zero);
        var origin = least;
        var perStep = Vector256.Create((float)most) / span;
        var scale = Vector256<float>.One / perStep;
        Round(x, perStep, origin, most, quants);
        var error = Error(x, weights, quants, scale, least);
        for (var step = 0; step <= steps; step++)
        {
            // From the best minimum so far, as the reference does.
            Round(x, Vector256.Create(firstTried + 0.1f * step + most) / (greatest - least), least, most, tried);
            var (sum, sumOfSquares, products) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            for (var i = 0; i < x.Length; i++)
            {
                var weighted = weights[i] * tried[i];
                sum += weighted;
                sumOfSquares += weighted * tried[i];
                products += weighted * x[i];
            }

            var determinant = sumOfWeights * sumOfSquares - sum * sum;
            var slope = (sumOfWeights * products - sumOfNumbers * sum) / determinant;
            var intercept = (sumOfSquares * sumOfNumbers - sum * products) / determinant;
            var isAbove = Vector256.GreaterThan(intercept, Vector256<float>.Zero);
            slope = Vector256.ConditionalSelect(isAbove, products / sumOfSquares, slope);
            intercept = Vector256.ConditionalSelect(isAbove, Vector256<float>.Zero, intercept);
            var errorOfThis = Error(x, weights, tried, slope, intercept);
            var isBetter = Vector256.GreaterThan(determinant, Vector256<float>.Zero) & Vector256.LessThan(errorOfThis, error);
            error = Vector256.ConditionalSelect(isBetter, errorOfThis, error);
            scale = Vector256.ConditionalSelect(isBetter, slope, scale);
            least = Vector256.ConditionalSelect(isBetter, intercept, least);
            for (var i = 0; i < x.Length; i++) quants[i] = Vector256.ConditionalSelect(isBetter, tried[i], quants[i]);
        }

        for (var i = 0; i < x.Length; i++) quants[i] = Vector256.ConditionalSelect(isFlat, Vector256<float>.Zero, quants[i]);
        return (Vector256.ConditionalSelect(isFlat, Vector256<float>.Zero, scale), -Vector256.ConditionalSelect(isFlat, origin, least));
    }

    /// <summary>Fits scale · q, q from −<paramref name="half"/> to <paramref name="half"/> − 1, weights x².</summary>
    /// <param name="x">The runs' numbers.</param>
    /// <param name="quants">Gets the whole numbers, counted from −<paramref name="half"/>; zeros for a run of nothing.</param>
    /// <param name="half">How many whole numbers are below 0.</param>
    private static Vector256<float> FitThroughZero(ReadOnlySpan<Vector256<float>> x, Span<Vector256<float>> quants, int half)
    {
        const int Tried = 9;
        var (furthest, distance) = (Vector256<float>.Zero, Vector256<float>.Zero);
        foreach (var number in x)
        {
            var isFurther = Vector256.GreaterThan(Vector256.Abs(number), distance);
            (furthest, distance) = (Vector256.ConditionalSelect(isFurther, number, furthest), Vector256.ConditionalSelect(isFurther, Vector256.Abs(number), distance));
        }

        var isNothing = Vector256.LessThan(distance, Vector256.Create(Nothing));
        var (scale, best) = (Vector256<float>.Zero, Vector256<float>.Zero);
        for (var step = 0; step <= 2 * Tried; step++)
        {
            // The plain width first, then those around it from the narrowest number of steps on.
            var steps = step == 0 ? half : half + 0.1f * (step <= Tried ? step - Tried - 1 : step - Tried);
            var perStep = Vector256.Create(-steps) / furthest;
            var (products, squares) = (Vector256<float>.Zero, Vector256<float>.Zero);
            foreach (var number in x)
            {
                var quant = Within(Vector256.Round(perStep * number), -half, half - 1);
                var weight = number * number;
                products += weight * number * quant;
                squares += weight * quant * quant;
            }

            var isBetter = step == 0 ? Vector256<float>.AllBitsSet
                : Vector256.GreaterThan(squares, Vector256<float>.Zero) & Vector256.GreaterThan(products * products, best * squares);
            var fitted = Vector256.ConditionalSelect(Vector256.Equals(squares, Vector256<float>.Zero), Vector256<float>.Zero, products / squares);
            scale = Vector256.ConditionalSelect(isBetter, fitted, scale);
            best = Vector256.ConditionalSelect(isBetter, fitted * products, best);
            for (var i = 0; i < x.Length; i++)
                quants[i] = Vector256.ConditionalSelect(isBetter, Within(Vector256.Round(perStep * x[i]), -half, half - 1) + Vector256.Create((float)half), quants[i]);
        }

        for (var i = 0; i < x.Length; i++) quants[i] = Vector256.ConditionalSelect(isNothing, Vector256<float>.Zero, quants[i]);
        return Vector256.ConditionalSelect(isNothing, Vector256<float>.Zero, scale);
    }

    private static void Round(ReadOnlySpan<Vector256<float>> x, Vector256<float> perStep, Vector256<float> origin, int most, Span<Vector256<float>> quants)
    {
        for (var i = 0; i < x.Length; i++) quants[i] = Within(Vector256.Round(perStep * (x[i] - origin)), 0, most);
    }

    private static Vector256<float> Error(ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> weights, ReadOnlySpan<Vector256<float>> quants, Vector256<float> scale, Vector256<float> least)
    {
        var error = Vector256<float>.Zero;
        for (var i = 0; i < x.Length; i++)
        {
            var difference = scale * quants[i] + least - x[i];
            error += weights[i] * (difference * difference);
        }

        return error;
    }

    private static Vector256<float> Within(Vector256<float> x, int least, int most) => Vector256.Max(Vector256.Create((float)least), Vector256.Min(Vector256.Create((float)most), x));

    /// <summary>Number i of each of eight runs that follow each other, for every i.</summary>
    private static void ToLanes(ReadOnlySpan<float> numbers, Span<Vector256<float>> lanes)
    {
        Span<float> one = stackalloc float[Lanes];
        for (var i = 0; i < lanes.Length; i++)
        {
            for (var lane = 0; lane < Lanes; lane++) one[lane] = numbers[lane * lanes.Length + i];
            lanes[i] = Vector256.Create<float>(one);
        }
    }

    /// <summary>What a float16 holds of a number.</summary>
    private static float Stored(float number) => (float)(Half)number;

    /// <summary>Eight scales and eight minimums of six bits: of the first four both have a byte's low six bits; the others four bits each in a byte of their own, and what those first bytes have left.</summary>
    private static void PackSixBits(Vector256<float> scales, Vector256<float> minimums, Span<byte> packed)
    {
        for (var k = 0; k < Lanes; k++)
        {
            var (scale, minimum) = ((int)scales[k], (int)minimums[k]);
            if (k < 4)
            {
                (packed[k], packed[k + 4]) = ((byte)scale, (byte)minimum);
                continue;
            }

            packed[k + 4] = (byte)(scale & 15 | (minimum & 15) << 4);
            packed[k - 4] |= (byte)(scale >> 4 << 6);
            packed[k] |= (byte)(minimum >> 4 << 6);
        }
    }

    /// <summary>Number i of a block of Q6_K: four bits among the first 128 bytes, two among the next 64.</summary>
    private static void PutSixBits(Span<byte> block, int i, int quant)
    {
        var (half, c, l) = (i / 128, i % 128 / 32, i % 32);
        block[64 * half + 32 * (c % 2) + l] |= (byte)((quant & 15) << c / 2 * 4);
        block[128 + 32 * half + l] |= (byte)(quant >> 4 << 2 * c);
    }
}
