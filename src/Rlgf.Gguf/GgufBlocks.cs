using System.Buffers.Binary;

namespace Rlgf.Gguf;

/// <summary>
/// Numbers from quantised blocks. In a block of 32 a number is d · q or d · q + m, with one float16 d (and m) for all. In a block of 256 (the K types) every 16 or 32 numbers have a small whole
/// scale of their own, and where there is one a small whole minimum: d · scale · q − dmin · minimum.
/// </summary>
/// <remarks>The layouts are those of the block structures of ggml (ggml-common.h); which bits belong together is said at each of them.</remarks>
internal static class GgufBlocks
{
    /// <summary>Computes the numbers of whole blocks.</summary>
    /// <param name="type">Any type but float32.</param>
    /// <param name="blocks">The blocks' bytes.</param>
    /// <param name="numbers">As many as the blocks hold.</param>
    public static void Dequantize(GgufType type, ReadOnlySpan<byte> blocks, Span<float> numbers)
    {
        var (count, bytes) = GgufTypes.BlockOf(type);
        for (; !blocks.IsEmpty; blocks = blocks[bytes..], numbers = numbers[count..])
        {
            var block = blocks[..bytes];
            var target = numbers[..count];
            switch (type)
            {
                case GgufType.F16:
                    target[0] = Half(block, 0);
                    break;
                case GgufType.BF16:
                    target[0] = BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(block) << 16);
                    break;
                case GgufType.Q4_0:
                    Nibbles(block[2..], [], Half(block, 0), -8 * Half(block, 0), target);
                    break;
                case GgufType.Q4_1:
                    Nibbles(block[4..], [], Half(block, 0), Half(block, 2), target);
                    break;
                case GgufType.Q5_0:
                    Nibbles(block[6..], block[2..6], Half(block, 0), -16 * Half(block, 0), target);
                    break;
                case GgufType.Q5_1:
                    Nibbles(block[8..], block[4..8], Half(block, 0), Half(block, 2), target);
                    break;
                case GgufType.Q8_0:
                    Bytes(block[2..], Half(block, 0), target);
                    break;
                case GgufType.Q8_K:
                    Bytes(block[4..260], BinaryPrimitives.ReadSingleLittleEndian(block), target);
                    break;
                case GgufType.Q2_K:
                    Q2K(block, target);
                    break;
                case GgufType.Q3_K:
                    Q3K(block, target);
                    break;
                case GgufType.Q4_K:
                    Q45K(block[..16], [], block[16..], target);
                    break;
                case GgufType.Q5_K:
                    Q45K(block[..16], block[16..48], block[48..], target);
                    break;
                case GgufType.Q6_K:
                    Q6K(block, target);
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(type));
            }
        }
    }

    private static float Half(ReadOnlySpan<byte> block, int at) => (float)BinaryPrimitives.ReadHalfLittleEndian(block[at..]);

    /// <summary>
    /// 32 numbers of 4 or 5 bits: byte j has the low bits of number j in its lower half and those of number j + 16 in its upper half; bit j of <paramref name="highBits"/> is the fifth bit of number j.
    /// </summary>
    private static void Nibbles(ReadOnlySpan<byte> low, ReadOnlySpan<byte> highBits, float scale, float offset, Span<float> numbers)
    {
        var high = highBits.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(highBits);
        for (var j = 0; j < 16; j++)
        {
            numbers[j] = scale * (low[j] & 15 | (int)(high >> j & 1) << 4) + offset;
            numbers[j + 16] = scale * (low[j] >> 4 | (int)(high >> j + 16 & 1) << 4) + offset;
        }
    }

    private static void Bytes(ReadOnlySpan<byte> quants, float scale, Span<float> numbers)
    {
        for (var j = 0; j < numbers.Length; j++) numbers[j] = scale * (sbyte)quants[j];
    }

    /// <summary>
    /// 16 bytes, one for every 16 numbers: scale in the lower half, minimum in the upper; 64 bytes of two-bit numbers; d; dmin. The first 32 of those bytes hold numbers 0 to 127: bits 0 and 1 of byte l are
    /// number l, bits 2 and 3 number l + 32, and so on; the other 32 bytes hold the rest.
    /// </summary>
    private static void Q2K(ReadOnlySpan<byte> block, Span<float> numbers)
    {
        var scales = block[..16];
        var quants = block[16..80];
        var (d, dmin) = (Half(block, 80), Half(block, 82));
        for (var i = 0; i < 256; i++)
        {
            var scale = scales[i / 16];
            numbers[i] = d * (scale & 15) * (quants[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - dmin * (scale >> 4);
        }
    }

    /// <summary>
    /// 32 bytes of third bits (bit i / 32 of byte i % 32 belongs to number i; where it is 0, 4 is taken off), 64 bytes of two-bit numbers as in <see cref="Q2K"/>, 12 bytes with 16 scales of six bits from
    /// which 32 is taken off, d. Low four bits of scale k: byte k % 8, lower half for k below 8; its high two bits: byte 8 + k % 4, from bit k / 4 · 2.
    /// </summary>
    private static void Q3K(ReadOnlySpan<byte> block, Span<float> numbers)
    {
        var third = block[..32];
        var quants = block[32..96];
        var packed = block[96..108];
        var d = Half(block, 108);
        for (var i = 0; i < 256; i++)
        {
            var k = i / 16;
            var scale = (packed[k % 8] >> k / 8 * 4 & 15 | (packed[8 + k % 4] >> k / 4 * 2 & 3) << 4) - 32;
            var quant = (quants[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - ((third[i % 32] >> i / 32 & 1) == 0 ? 4 : 0);
            numbers[i] = d * scale * quant;
        }
    }

    /// <summary>
    /// d, dmin, 12 bytes with eight scales and eight minimums of six bits, the fifth bits (Q5_K only: bit i / 32 of byte i % 32 belongs to number i), 128 bytes of four-bit numbers: 32 of them hold 64 numbers,
    /// the first 32 in the lower halves.
    /// </summary>
    private static void Q45K(ReadOnlySpan<byte> head, ReadOnlySpan<byte> fifth, ReadOnlySpan<byte> quants, Span<float> numbers)
    {
        var (d, dmin) = (Half(head, 0), Half(head, 2));
        var packed = head[4..];
        for (var k = 0; k < 8; k++)
        {
            // Of the first four both lie in the low six bits of a byte; the others have four bits in a byte of their own, and the two high ones are what those first bytes have left.
            var scale = k < 4 ? packed[k] & 63 : packed[k + 4] & 15 | packed[k - 4] >> 6 << 4;
            var minimum = k < 4 ? packed[k + 4] & 63 : packed[k + 4] >> 4 | packed[k] >> 6 << 4;
            var (step, least) = (d * scale, dmin * minimum);
            for (var l = 0; l < 32; l++)
            {
                var quant = quants[k / 2 * 32 + l] >> k % 2 * 4 & 15;
                if (!fifth.IsEmpty) quant |= (fifth[l] >> k & 1) << 4;
                numbers[32 * k + l] = step * quant - least;
            }
        }
    }

    /// <summary>
    /// 128 bytes of low four bits, 64 bytes of high two bits, 16 signed scales, d; 32 is taken off each number. In each half of 128 numbers, l + 32 c (c from 0 to 3): the low bits are in byte l + 32 (c % 2)
    /// of the half's 64, upper half of the byte for c of 2 and 3; the high bits in byte l of its 32, from bit 2 c.
    /// </summary>
    private static void Q6K(ReadOnlySpan<byte> block, Span<float> numbers)
    {
        var low = block[..128];
        var high = block[128..192];
        var scales = block[192..208];
        var d = Half(block, 208);
        for (var i = 0; i < 256; i++)
        {
            var (half, c, l) = (i / 128, i % 128 / 32, i % 32);
            var quant = low[64 * half + 32 * (c % 2) + l] >> c / 2 * 4 & 15 | (high[32 * half + l] >> 2 * c & 3) << 4;
            numbers[i] = d * (sbyte)scales[i / 16] * (quant - 32);
        }
    }
}
