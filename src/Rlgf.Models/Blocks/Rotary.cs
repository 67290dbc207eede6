using Rlgf.Models.Checkpoints;
using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Which numbers of a head are rotated by its token's position, and how fast (Su et al. 2021).</summary>
/// <param name="Frequencies">r/2 float32: radians per position of each pair of numbers; the first r numbers of a head are rotated.</param>
/// <param name="Interleaved">Whether neighbours make a pair (GPT-J) rather than the numbers i and i + r/2.</param>
internal sealed record RotarySettings(float[] Frequencies, bool Interleaved = false)
{
    /// <summary>Frequencies without any scaling: base^(−2i/r).</summary>
    public static float[] Plain(double frequencyBase, int rotated) => [.. Enumerable.Range(0, rotated / 2).Select(i => (float)Math.Pow(frequencyBase, -2.0 * i / rotated))];

    /// <summary>Reads how a model rotates.</summary>
    /// <param name="configuration">The model's configuration.</param>
    /// <param name="headSize">D/H.</param>
    /// <param name="keys">The family's older keys; Llama's by default.</param>
    /// <exception cref="Rlgf.Base.InputException">A value is impossible, or the scaling is not one of these.</exception>
    public static RotarySettings Read(ModelConfiguration configuration, int headSize, RotaryKeys? keys = null)
    {
        keys ??= RotaryKeys.Llama;
        var (frequencyBase, share, scaling) = RotarySetting.Read(configuration, keys);
        var rotated = (int)(headSize * share);
        if (share > 1 || rotated < 2 || rotated % 2 != 0) throw configuration.Fault(keys.ShareKey, $"is {share}, which rotates {rotated} of the {headSize} numbers of a head: it must be an even number of them");
        return new RotarySettings(scaling is null ? Plain(frequencyBase, rotated) : Scale(Plain(frequencyBase, rotated), scaling));
    }

    private static float[] Scale(float[] frequencies, ModelConfiguration scaling)
    {
        // "type" is the older name of the key.
        var key = scaling.Text("rope_type") is null ? "type" : "rope_type";
        switch (scaling.Text(key) ?? "default")
        {
            case "default":
                return frequencies;
            case "linear":
                var factor = scaling.Positive("factor");
                return Array.ConvertAll(frequencies, frequency => (float)(frequency / factor));
            case "llama3":
                return ScaleAsLlama3(frequencies, scaling.Positive("factor"), scaling.Positive("low_freq_factor"), scaling.Positive("high_freq_factor"), scaling.Size("original_max_position_embeddings"));
            case var other:
                throw scaling.Fault(key, $"is '{other}': supported are default, linear and llama3");
        }
    }

    /// <summary>
    /// Llama 3.1: a pair that turns fewer than <paramref name="low"/> times within the original context is slowed down by the factor, one that turns more than <paramref name="high"/> times is left alone,
    /// and between them the two are mixed, linearly in the number of turns.
    /// </summary>
    private static float[] ScaleAsLlama3(float[] frequencies, double factor, double low, double high, int originalContext) => Array.ConvertAll(frequencies, frequency =>
    {
        var turns = originalContext * frequency / (2 * Math.PI);
        var kept = Math.Clamp((turns - low) / (high - low), 0, 1);
        return (float)(kept * frequency + (1 - kept) * frequency / factor);
    });
}

/// <summary>Cosines and sines of all positions that a model has met, computed once; more are added when a longer row comes.</summary>
/// <param name="settings">The frequencies.</param>
/// <param name="device">Where.</param>
internal sealed class RotaryTables(RotarySettings settings, Device device) : IDisposable
{
    private const int FewestPositions = 256;

    private int _positions;
    private Tensor? _cosines;
    private Tensor? _sines;

    /// <summary>The rotation of a pass's tokens, for all layers. Belongs to the caller's scope.</summary>
    /// <param name="positions">Position of each token in its row; null for 0, 1, 2 … in every row.</param>
    /// <param name="rows">B.</param>
    /// <param name="columns">T.</param>
    public Rotation At(TokenPositions? positions, long rows, long columns)
    {
        Reach(positions?.Limit ?? (int)columns);
        return new Rotation(Select(_cosines!), Select(_sines!), settings.Interleaved);

        Tensor Select(Tensor table) => positions is { } given
            ? table.index_select(0, given.Values).view(rows, columns, 1, -1)
            : table.narrow(0, 0, columns).view(1, columns, 1, -1);
    }

    public void Dispose()
    {
        _cosines?.Dispose();
        _sines?.Dispose();
    }

    private void Reach(int limit)
    {
        if (limit <= _positions) return;
        Dispose();
        _positions = Math.Max(FewestPositions, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)limit));
        var rotated = 2 * settings.Frequencies.Length;
        var cosines = new float[_positions * rotated];
        var sines = new float[_positions * rotated];
        for (var position = 0; position < _positions; position++)
        {
            for (var i = 0; i < settings.Frequencies.Length; i++)
            {
                // The product is rounded to float32, as where such models are trained.
                var (sine, cosine) = Math.SinCos(position * settings.Frequencies[i]);
                var (first, second) = settings.Interleaved ? (2 * i, 2 * i + 1) : (i, i + settings.Frequencies.Length);
                cosines[position * rotated + first] = cosines[position * rotated + second] = (float)cosine;
                sines[position * rotated + first] = -(float)sine;
                sines[position * rotated + second] = (float)sine;
            }
        }

        _cosines = tensor(cosines, [_positions, rotated], device: device).DetachFromDisposeScope();
        _sines = tensor(sines, [_positions, rotated], device: device).DetachFromDisposeScope();
    }
}

/// <summary>Turns pairs of numbers: (a, b) → (a cos − b sin, b cos + a sin).</summary>
/// <param name="Cosines">[B or 1, T, 1, r] float32: of each number's pair.</param>
/// <param name="Sines">[B or 1, T, 1, r] float32: likewise, negative for the first of a pair.</param>
/// <param name="Interleaved">Whether neighbours make a pair.</param>
internal readonly record struct Rotation(Tensor Cosines, Tensor Sines, bool Interleaved)
{
    /// <summary>Queries or keys [B, T, H, D/H] → the same in float32, the first r numbers of each head rotated. Where no gradient is asked, in place if they are float32: they must be the caller's own.</summary>
    public Tensor Apply(Tensor x)
    {
        if (!Interleaved && Cosines.size(3) % (2 * VectorNumbers.Lanes) == 0 && FusedOperations.Fit(x))
        {
            var rotatedInPlace = x.dtype == ScalarType.Float32 ? x : x.to_type(ScalarType.Float32);
            FusedOperations.Rotate(rotatedInPlace, Cosines, Sines);
            return rotatedInPlace;
        }

        using var scope = NewDisposeScope();
        long rotated = Cosines.size(3), rest = x.size(3) - rotated;
        if (rest == 0) return Turn(x).MoveToOuterDisposeScope();
        var parts = x.split([rotated, rest], -1);
        return cat([Turn(parts[0]), parts[1].to_type(ScalarType.Float32)], -1).MoveToOuterDisposeScope();
    }

    private Tensor Turn(Tensor x)
    {
        var half = x.size(3) / 2;
        var partners = Interleaved ? x.unflatten(3, half, 2).flip(-1).flatten(3) : x.roll(half, 3);
        // The tables are float32, and so is what they are multiplied with.
        return (x * Cosines).AddProductInPlace(partners, Sines);
    }
}
