using System.Diagnostics.CodeAnalysis;

namespace Rlgf.Base;

/// <summary>
/// Random numbers as a pure function of (seed, stream, counter), so that what one row, one epoch or one draw gets depends neither on what else was drawn
/// nor on the version of the runtime; a position is one number, so a resume needs no more than that.
/// </summary>
/// <remarks>
/// The mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014, with the constants of
/// Stafford's variant 13, as in Java's and Vigna's SplitMix64). Not for cryptography. The static functions may be used from several threads, an instance may not.
/// </remarks>
[SuppressMessage("Naming", "CA1711", Justification = "A stream of random numbers is the field's term.")]
public sealed class RandomStream
{
    /// <summary>The step of SplitMix64, 2⁶⁴ divided by the golden ratio, made odd.</summary>
    public const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    private readonly ulong _seed;
    private readonly ulong _stream;

    /// <summary>Creates the stream of a seed at a position.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="stream">What the numbers are for; combine several facts with <see cref="Combine"/>.</param>
    /// <param name="position">How many draws to pass over; a <see cref="Position"/> that was stored goes on there.</param>
    public RandomStream(ulong seed, ulong stream = 0, ulong position = 0)
    {
        _seed = seed;
        _stream = stream;
        Position = position;
    }

    /// <summary>How many draws were made: all that a resume needs besides the seed and the stream.</summary>
    public ulong Position { get; private set; }

    /// <summary>The finaliser of SplitMix64: a bijection of 64 bits in which every input bit changes about half of the output bits. Mix(0) is 0.</summary>
    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }

    /// <summary>One number that stands for several, of which order and count matter.</summary>
    public static ulong Combine(params ReadOnlySpan<ulong> parts)
    {
        var hash = (ulong)parts.Length;
        foreach (var part in parts)
        {
            // Mixing the part before it meets the hash keeps neighbouring (stream, counter) pairs from falling onto one another.
            hash = Mix((hash + GoldenGamma) ^ Mix(part + GoldenGamma));
        }

        return hash;
    }

    /// <summary>The 64 random bits of a draw.</summary>
    public static ulong Bits(ulong seed, ulong stream, ulong counter) => Combine(seed, stream, counter);

    /// <summary>The uniform number in [0, 1) of a draw: a multiple of 2⁻⁵³.</summary>
    /// <param name="seed">The run's seed.</param>
    /// <param name="stream">What the number is for, such as the number of a row.</param>
    /// <param name="counter">Which draw of that stream, such as the position of a token.</param>
    public static double Uniform(ulong seed, ulong stream, ulong counter) => (Bits(seed, stream, counter) >> 11) * (1.0 / (1UL << 53));

    /// <summary>The next 64 random bits.</summary>
    public ulong NextBits() => Bits(_seed, _stream, Position++);

    /// <summary>The next uniform number in [0, 1).</summary>
    public double NextDouble() => Uniform(_seed, _stream, Position++);

    /// <summary>The next whole number in [0, bound), each equally likely. Seldom takes more than one draw.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="bound"/> is not positive.</exception>
    public int NextInt32(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);

        // Lemire, "Fast random integer generation in an interval" (2019): the high half of bits × bound, without the few low halves that would favour some.
        var limit = (ulong)bound;
        var unfair = unchecked(0 - limit) % limit;
        ulong high, low;
        do
        {
            high = Math.BigMul(NextBits(), limit, out low);
        }
        while (low < unfair);

        return (int)high;
    }

    /// <summary>Puts items into a random order, each order equally likely (Fisher–Yates from the end).</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (var last = items.Length - 1; last > 0; last--)
        {
            var chosen = NextInt32(last + 1);
            (items[last], items[chosen]) = (items[chosen], items[last]);
        }
    }
}
