using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Rlgf.Gguf;

/// <summary>
/// Blocks from numbers, the way back of <see cref="GgufBlocks"/>, with the rounding that ggml's reference quantiser has (ggml-quants.c, no importance matrix): the same numbers give the same bytes. Scales are rounded to float16 after the numbers
/// were divided by them.
/// </summary>
internal static class GgufQuantizer
{
    /// <summary>Packs whole blocks.</summary>
    /// <param name="type">How they are stored; Q2_K, Q3_K and Q8_K aren't written.</param>
    /// <param name="numbers">Numbers of whole blocks, all finite.</param>
    /// <param name="blocks">As many bytes as they take.</param>
    public static void Quantize(GgufType type, ReadOnlySpan<float> numbers, Span<byte> blocks)
    {
        if (type == GgufType.F32)
        {
            MemoryMarshal.AsBytes(numbers).CopyTo(blocks);
            return;
        }

        var (count, bytes) = GgufTypes.BlockOf(type);
        for (; !numbers.IsEmpty; numbers = numbers[count..], blocks = blocks[bytes..]) Pack(type, numbers[..count], blocks[..bytes]);
    }

    private static void Pack(GgufType type, ReadOnlySpan<float> numbers, Span<byte> block)
    {
        switch (type)
        {
            case GgufType.F16:
                Put(block, 0, numbers[0]);
                break;
            case GgufType.BF16:
                BinaryPrimitives.WriteUInt16LittleEndian(block, BFloat16(numbers[0]));
                break;
            case GgufType.Q4_0:
                Symmetric(numbers, 8, block, block[2..], []);
                break;
            case GgufType.Q5_0:
                Symmetric(numbers, 16, block, block[6..], block[2..6]);
                break;
            case GgufType.Q4_1:
                WithMinimum(numbers, 15, block, block[4..], []);
                break;
            case GgufType.Q5_1:
                WithMinimum(numbers, 31, block, block[8..], block[4..8]);
                break;
            case GgufType.Q8_0:
                Bytes(numbers, block);
                break;
            case GgufType.Q4_K:
                GgufKQuantizer.Q45K(numbers, block[..16], [], block[16..]);
                break;
            case GgufType.Q5_K:
                GgufKQuantizer.Q45K(numbers, block[..16], block[16..48], block[48..]);
                break;
            case GgufType.Q6_K:
                GgufKQuantizer.Q6K(numbers, block);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type));
        }
    }

    /// <summary>Writes a float16, rounded to the nearest, of two to the even one.</summary>
    internal static void Put(Span<byte> block, int at, float number) => BinaryPrimitives.WriteHalfLittleEndian(block[at..], (Half)number);

    private static ushort BFloat16(float number)
    {
        var bits = BitConverter.SingleToUInt32Bits(number);
        return (ushort)(bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }

    /// <summary>d · (q − half): the number that is furthest from 0 becomes −half · d exactly, so that d may be negative.</summary>
    private static void Symmetric(ReadOnlySpan<float> numbers, int half, Span<byte> head, Span<byte> low, Span<byte> high)
    {
        float furthest = 0;
        foreach (var number in numbers)
        {
            if (MathF.Abs(number) > MathF.Abs(furthest)) furthest = number;
        }

        var step = furthest / -half;
        var perStep = step == 0 ? 0 : 1 / step;
        Put(head, 0, step);
        Nibbles(numbers, perStep, 0, half + 0.5f, 2 * half - 1, low, high);
    }

    /// <summary>d · q + m, from the least number to the greatest.</summary>
    private static void WithMinimum(ReadOnlySpan<float> numbers, int most, Span<byte> head, Span<byte> low, Span<byte> high)
    {
        float least = float.MaxValue, greatest = -float.MaxValue;
        foreach (var number in numbers)
        {
            if (number < least) least = number;
            if (number > greatest) greatest = number;
        }

        var step = (greatest - least) / most;
        var perStep = step == 0 ? 0 : 1 / step;
        Put(head, 0, step);
        Put(head, 2, least);
        Nibbles(numbers, perStep, least, 0.5f, most, low, high);
    }

    /// <summary>Whole numbers of 4 or 5 bits: what is left of (x − origin) / step + shift without its fraction, at most <paramref name="most"/>. Where they go says <see cref="GgufBlocks"/>.</summary>
    private static void Nibbles(ReadOnlySpan<float> numbers, float perStep, float origin, float shift, int most, Span<byte> low, Span<byte> high)
    {
        uint fifth = 0;
        for (var j = 0; j < 16; j++)
        {
            var (first, second) = (Whole(numbers[j]), Whole(numbers[j + 16]));
            low[j] = (byte)(first & 15 | (second & 15) << 4);
            fifth |= (uint)(first >> 4) << j | (uint)(second >> 4) << (j + 16);
        }

        if (!high.IsEmpty) BinaryPrimitives.WriteUInt32LittleEndian(high, fifth);

        int Whole(float number) => Math.Clamp((int)((number - origin) * perStep + shift), 0, most);
    }

    private static void Bytes(ReadOnlySpan<float> numbers, Span<byte> block)
    {
        float furthest = 0;
        foreach (var number in numbers) furthest = MathF.Max(furthest, MathF.Abs(number));
        var step = furthest / 127;
        var perStep = step == 0 ? 0 : 1 / step;
        Put(block, 0, step);
        for (var j = 0; j < numbers.Length; j++) block[2 + j] = (byte)(sbyte)MathF.Round(numbers[j] * perStep, MidpointRounding.AwayFromZero);
    }
}
