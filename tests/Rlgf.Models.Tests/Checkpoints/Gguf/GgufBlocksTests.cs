using Rlgf.Gguf;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>
/// Quantised blocks against their definition: a number is d · q + m in the small types, d · scale · (q − zero) − dmin · minimum in the K types. Blocks are packed here from chosen whole numbers, so that the
/// expected values are products of those; and single bits are set by hand to see where they land.
/// </summary>
public sealed class GgufBlocksTests
{
    private static readonly Random Draw = new(1);

    [Fact]
    public void Q4_0_counts_from_minus_eight()
    {
        // d = 0.5; byte 0 is 0x3F: number 0 is (15 − 8) · 0.5, number 16 is (3 − 8) · 0.5; all others are (0 − 8) · 0.5.
        byte[] block = [.. Half(0.5), 0x3F, .. new byte[15]];
        Equal(32, i => i switch { 0 => 3.5f, 16 => -2.5f, _ => -4f }, GgufType.Q4_0, block);
    }

    [Fact]
    public void Q4_1_has_a_minimum()
    {
        byte[] block = [.. Half(0.5), .. Half(-3), .. new byte[15], 0xA1];
        Equal(32, i => i switch { 15 => -2.5f, 31 => 2f, _ => -3f }, GgufType.Q4_1, block);
    }

    [Fact]
    public void Q5_0_has_the_fifth_bits_in_a_word_of_their_own()
    {
        // Fifth bits of numbers 1, 16 and 31; low bits of 1 and 17 are 2 and 4.
        byte[] block = [.. Half(1), .. BitConverter.GetBytes(1u << 1 | 1u << 16 | 1u << 31), 0, 0x42, .. new byte[14]];
        Equal(32, i => i switch { 1 => 2f, 16 or 31 => 0f, 17 => -12f, _ => -16f }, GgufType.Q5_0, block);
    }

    [Fact]
    public void Q5_1_has_both()
    {
        byte[] block = [.. Half(0.25), .. Half(1), .. BitConverter.GetBytes(1u << 2), 0, 0, 0x10, .. new byte[13]];
        Equal(32, i => i switch { 2 => 5f, 18 => 1.25f, _ => 1f }, GgufType.Q5_1, block);
    }

    [Fact]
    public void Q8_0_and_Q8_K_are_signed_bytes()
    {
        Equal(32, i => 0.5f * (i - 16), GgufType.Q8_0, [.. Half(0.5), .. Enumerable.Range(-16, 32).Select(q => (byte)(sbyte)q)]);
        // The sums of 16 at the end are only for products; they change nothing.
        Equal(256, i => 0.125f * (i - 128), GgufType.Q8_K, [.. BitConverter.GetBytes(0.125f), .. Enumerable.Range(-128, 256).Select(q => (byte)(sbyte)q), .. Bytes(32)]);
    }

    [Fact]
    public void Q2_K_by_hand()
    {
        // All scales 3, all minimums 2, d = 1, dmin = 0.5: a number is 3 q − 1. Byte 40 of the quants has 1, 2, 3, 0 in its four pairs of bits: numbers 128 + 8, + 40, + 72, + 104.
        var quants = new byte[64];
        quants[40] = 0b00_11_10_01;
        byte[] block = [.. Enumerable.Repeat((byte)0x23, 16), .. quants, .. Half(1), .. Half(0.5)];
        Equal(256, i => i switch { 136 => 2f, 168 => 5f, 200 => 8f, _ => -1f }, GgufType.Q2_K, block);
    }

    [Fact]
    public void Q3_K_by_hand()
    {
        // A block of zeros but for d = 1: every scale is 0 − 32 and every number −4, so 128. Bit 2 of byte 5 of the third bits is number 64 + 5; scale 9 gets low bits 3 and high bits 2: 35 − 32 = 3.
        var block = new byte[110];
        block[5] = 0b100;
        block[96 + 1] = 0x30; // Upper half of byte 1: scale 9.
        block[96 + 8 + 1] = 2 << 4; // Byte 8 + 9 % 4, from bit 9 / 4 · 2 = 4.
        Half(1).CopyTo(block, 108);
        Equal(256, i => i == 69 ? 0f : i / 16 == 9 ? -12f : 128f, GgufType.Q3_K, block);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Four_and_five_bit_K_blocks_from_whole_numbers(bool isFive)
    {
        var (scales, minimums) = (Numbers(8, 64), Numbers(8, 64));
        var quants = Numbers(256, isFive ? 32 : 16);
        byte[] block = [.. Half(0.5), .. Half(0.25), .. SixBits(scales, minimums), .. isFive ? FifthBits(quants) : [], .. LowBits(quants)];
        Equal(256, i => 0.5f * scales[i / 32] * quants[i] - 0.25f * minimums[i / 32], isFive ? GgufType.Q5_K : GgufType.Q4_K, block);
    }

    [Fact]
    public void Q2_K_from_whole_numbers()
    {
        var (scales, minimums, quants) = (Numbers(16, 16), Numbers(16, 16), Numbers(256, 4));
        byte[] block = [.. scales.Zip(minimums, (scale, minimum) => (byte)(minimum << 4 | scale)), .. Pairs(quants), .. Half(0.5), .. Half(2)];
        Equal(256, i => 0.5f * scales[i / 16] * quants[i] - 2f * minimums[i / 16], GgufType.Q2_K, block);
    }

    [Fact]
    public void Q3_K_from_whole_numbers()
    {
        var (scales, quants) = (Numbers(16, 64), Numbers(256, 8));
        var third = new byte[32];
        var at = 0;
        for (var bit = 0; bit < 8; bit++)
        {
            for (var l = 0; l < 32; l++) third[l] |= (byte)(quants[at++] >> 2 << bit);
        }

        var packed = new byte[12];
        for (var k = 0; k < 16; k++)
        {
            packed[k < 8 ? k : k - 8] |= (byte)(k < 8 ? scales[k] & 15 : (scales[k] & 15) << 4);
            packed[8 + (k & 3)] |= (byte)(scales[k] >> 4 << 2 * (k >> 2));
        }

        Equal(256, i => 0.5f * (scales[i / 16] - 32) * (quants[i] - 4), GgufType.Q3_K, [.. third, .. Pairs([.. quants.Select(q => q & 3)]), .. packed, .. Half(0.5)]);
    }

    [Fact]
    public void Q6_K_from_whole_numbers()
    {
        var (scales, quants) = (Numbers(16, 256).Select(scale => scale - 128).ToArray(), Numbers(256, 64));
        var (low, high) = (new byte[128], new byte[64]);
        for (var half = 0; half < 2; half++)
        {
            for (var l = 0; l < 32; l++)
            {
                // Four runs of 32 in each half: the first two are the lower halves of 64 bytes, the last two the upper halves; the four pairs of high bits share one byte.
                int first = quants[128 * half + l], second = quants[128 * half + 32 + l], third = quants[128 * half + 64 + l], fourth = quants[128 * half + 96 + l];
                low[64 * half + l] = (byte)(first & 15 | (third & 15) << 4);
                low[64 * half + 32 + l] = (byte)(second & 15 | (fourth & 15) << 4);
                high[32 * half + l] = (byte)(first >> 4 | second >> 4 << 2 | third >> 4 << 4 | fourth >> 4 << 6);
            }
        }

        Equal(256, i => 0.5f * scales[i / 16] * (quants[i] - 32), GgufType.Q6_K, [.. low, .. high, .. scales.Select(scale => (byte)(sbyte)scale), .. Half(0.5)]);
    }

    [Fact]
    public void A_published_number_of_Q6_K_comes_out()
    {
        // From a dump of llama-2-7b.Q4_K_M: low bits 1101, high bits 01, sub-scale 94, super-scale 0x80BF give 0.003210.
        var block = new byte[210];
        (block[0], block[128], block[192], block[208], block[209]) = (0b1101, 0b01, 94, 0xBF, 0x80);
        var numbers = new float[256];
        GgufBlocks.Dequantize(GgufType.Q6_K, block, numbers);
        Assert.Equal(0.003210, numbers[0], 5e-7);
    }

    [Fact]
    public void Several_blocks_stand_one_after_the_other()
    {
        var numbers = new float[96];
        GgufBlocks.Dequantize(GgufType.Q8_0, [.. Half(1), .. Enumerable.Repeat((byte)1, 32), .. Half(2), .. Enumerable.Repeat((byte)1, 32), .. Half(3), .. Enumerable.Repeat((byte)1, 32)], numbers);
        Assert.Equal(Enumerable.Range(0, 96).Select(i => 1f + i / 32), numbers);
    }

    private static void Equal(int count, Func<int, float> expected, GgufType type, byte[] block)
    {
        Assert.Equal((count, block.Length), GgufTypes.BlockOf(type));
        var numbers = new float[count];
        GgufBlocks.Dequantize(type, block, numbers);
        Assert.Equal(Enumerable.Range(0, count).Select(expected), numbers);
    }

    private static byte[] Half(double value) => BitConverter.GetBytes((Half)value);

    private static int[] Numbers(int count, int below) => [.. Enumerable.Range(0, count).Select(_ => Draw.Next(below))];

    private static byte[] Bytes(int count) => [.. Numbers(count, 256).Select(value => (byte)value)];

    /// <summary>Eight scales and eight minimums of six bits in twelve bytes.</summary>
    private static byte[] SixBits(int[] scales, int[] minimums)
    {
        var packed = new byte[12];
        for (var k = 0; k < 4; k++)
        {
            packed[k] = (byte)(scales[k] | scales[k + 4] >> 4 << 6);
            packed[k + 4] = (byte)(minimums[k] | minimums[k + 4] >> 4 << 6);
            packed[k + 8] = (byte)(scales[k + 4] & 15 | (minimums[k + 4] & 15) << 4);
        }

        return packed;
    }

    /// <summary>Four bits each: runs of 32 numbers, two runs to 32 bytes.</summary>
    private static byte[] LowBits(int[] quants) =>
        [.. quants.Select(quant => quant & 15).Chunk(64).SelectMany(pair => pair[..32].Zip(pair[32..], (first, second) => (byte)(first | second << 4)))];

    /// <summary>The fifth bits: those of each run of 32 in one bit of 32 bytes.</summary>
    private static byte[] FifthBits(int[] quants)
    {
        var bits = new byte[32];
        foreach (var (run, bit) in quants.Chunk(32).Select((run, bit) => (run, bit)))
        {
            for (var l = 0; l < 32; l++) bits[l] |= (byte)(run[l] >> 4 << bit);
        }

        return bits;
    }

    /// <summary>Two bits each: four runs of 32 numbers to 32 bytes.</summary>
    private static byte[] Pairs(int[] quants) =>
        [.. quants.Chunk(128).SelectMany(runs => Enumerable.Range(0, 32).Select(l => (byte)(runs[l] | runs[l + 32] << 2 | runs[l + 64] << 4 | runs[l + 96] << 6)))];
}
