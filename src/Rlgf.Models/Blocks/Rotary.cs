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
    /// <summary>Whether a pair is turned the other way round.</summary>
    public bool Reversed { get; init; }

    /// <summary>What the rotated numbers are multiplied by, those of queries and those of keys.</summary>
    public double Magnitude { get; init; } = 1;

    /// <summary>Frequencies of rows that are long together: of the longest row's tokens; null for <see cref="Frequencies"/>.</summary>
    public Func<int, float[]?>? OfLength { get; init; }

    /// <summary>The most tokens of a longest row whose <see cref="Frequencies"/> these are, where all keys of a longer one are rotated by others; null where a key that was rotated stays as it is.</summary>
    public int? SameUpTo { get; init; }

    /// <summary>What a query at a position is multiplied by; null for 1.</summary>
    public Func<int, float>? QueryScale { get; init; }

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
        return Make(configuration, headSize, RotarySetting.Read(configuration, keys), keys);
    }

    /// <summary>As <see cref="Read"/>, where the setting was found elsewhere.</summary>
    public static RotarySettings Make(ModelConfiguration configuration, int headSize, RotarySetting setting, RotaryKeys keys)
    {
        var (frequencyBase, share, scaling) = setting;
        var rotated = (int)(headSize * share);
        if (share > 1 || rotated < 2 || rotated % 2 != 0) throw configuration.Fault(keys.ShareKey, $"is {share}, which rotates {rotated} of the {headSize} numbers of a head: it must be an even number of them");
        var plain = Plain(frequencyBase, rotated);
        if (scaling is null) return new RotarySettings(plain);
        // "type" is the older name of the key.
        var key = scaling.Text("rope_type") is null ? "type" : "rope_type";
        var type = scaling.Text(key) ?? "default";
        if (keys.LongropeTypes.Contains(type, StringComparer.Ordinal)) return LongRope(plain, configuration, scaling);
        switch (type)
        {
            case "default":
                return new RotarySettings(plain);
            case "linear":
                var factor = scaling.Positive("factor");
                return new RotarySettings(Array.ConvertAll(plain, frequency => (float)(frequency / factor)));
            case "llama3":
                return new RotarySettings(ScaleAsLlama3(plain, scaling.Positive("factor"), scaling.Positive("low_freq_factor"), scaling.Positive("high_freq_factor"), scaling.Size("original_max_position_embeddings")));
            case "dynamic":
                return Dynamic(plain, frequencyBase, configuration.Size(ContextKey), scaling.Positive("factor"));
            case "yarn":
                return Yarn(plain, frequencyBase, configuration, scaling);
            default:
                throw scaling.Fault(key, $"is '{type}': supported are default, linear, dynamic, llama3, yarn and longrope");
        }
    }

    private const string ContextKey = "max_position_embeddings";
    private const string OriginalKey = "original_max_position_embeddings";

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

    /// <summary>A base that grows with the longest row once that is longer than the context (dynamic NTK): base · (factor · n / L − (factor − 1))^(r / (r − 2)).</summary>
    private static RotarySettings Dynamic(float[] plain, double frequencyBase, int context, double factor)
    {
        var rotated = 2.0 * plain.Length;
        return new RotarySettings(plain)
        {
            OfLength = longest => longest <= context ? null : Plain(frequencyBase * Math.Pow(factor * longest / context - (factor - 1), rotated / (rotated - 2)), 2 * plain.Length),
        };
    }

    /// <summary>
    /// YaRN (Peng et al. 2023, section 3.2): pairs that turn more than "beta_fast" times within the original context are left alone, those that turn less than "beta_slow" times are slowed down by the factor, and between them
    /// the two are mixed, linearly in the pair's number.
    /// </summary>
    private static RotarySettings Yarn(float[] plain, double frequencyBase, ModelConfiguration configuration, ModelConfiguration scaling)
    {
        var context = configuration.Size(ContextKey);
        var original = scaling.OptionalSize(OriginalKey) ?? context;
        var factor = scaling.OptionalPositive("factor") ?? (double)context / original;
        var rotated = 2 * plain.Length;
        double fast = PairThatTurns(scaling.Positive("beta_fast", 32)), slow = PairThatTurns(scaling.Positive("beta_slow", 1));
        if (scaling.Flag("truncate", formatDefault: true)) (fast, slow) = (Math.Floor(fast), Math.Ceiling(slow));
        (fast, slow) = (Math.Max(fast, 0), Math.Min(slow, rotated - 1));
        if (fast == slow) slow += 0.001;
        var frequencies = new float[plain.Length];
        for (var i = 0; i < frequencies.Length; i++)
        {
            var slowed = Math.Clamp((i - fast) / (slow - fast), 0, 1);
            frequencies[i] = (float)(plain[i] * (1 - slowed) + plain[i] / factor * slowed);
        }

        var magnitude = scaling.OptionalPositive("attention_factor")
            ?? (scaling.Number("mscale") is { } over && scaling.Number("mscale_all_dim") is { } under && over != 0 && under != 0 ? Magnitude(over) / Magnitude(under) : Magnitude(1));
        return new RotarySettings(frequencies) { Magnitude = magnitude };

        double PairThatTurns(double times) => rotated * Math.Log(original / (2 * Math.PI * times)) / (2 * Math.Log(frequencyBase));

        double Magnitude(double share) => factor <= 1 ? 1 : 0.1 * share * Math.Log(factor) + 1;
    }

    /// <summary>LongRoPE (Ding et al. 2024): each pair is slowed down by a factor of its own, of which there is one list for rows within the original context and one for all rows once one of them is longer.</summary>
    private static RotarySettings LongRope(float[] plain, ModelConfiguration configuration, ModelConfiguration scaling)
    {
        var context = configuration.Size(ContextKey);
        var original = configuration.OptionalSize(OriginalKey) ?? scaling.OptionalSize(OriginalKey) ?? context;
        var magnitude = scaling.OptionalPositive("attention_factor") ?? (context <= original ? 1 : Math.Sqrt(1 + Math.Log((double)context / original) / Math.Log(original)));
        float[] near = Slowed("short_factor"), far = Slowed("long_factor");
        return new RotarySettings(near) { Magnitude = magnitude, SameUpTo = original, OfLength = longest => longest > original ? far : null };

        float[] Slowed(string key)
        {
            var factors = scaling.Numbers(key);
            if (factors.Count != plain.Length) throw scaling.Fault(key, $"has {factors.Count} numbers: it must have one for each of the {plain.Length} pairs of numbers that are rotated");
            if (factors.Any(factor => factor <= 0)) throw scaling.Fault(key, "must hold positive numbers");
            return [.. plain.Zip(factors, (frequency, factor) => (float)(frequency / factor))];
        }
    }
}

/// <summary>Cosines and sines of all positions that a model has met, computed once; more are added when a longer row comes.</summary>
/// <param name="settings">The frequencies.</param>
/// <param name="device">Where.</param>
internal sealed class RotaryTables(RotarySettings settings, Device device) : IDisposable
{
    private const int FewestPositions = 256;

    private readonly Table _usual = new(settings, device);
    private readonly Table _longer = new(settings, device);

    /// <summary>The rotation of a pass's tokens, for all layers. Belongs to the caller's scope.</summary>
    /// <param name="positions">Position of each token in its row; null for 0, 1, 2 … in every row.</param>
    /// <param name="rows">B.</param>
    /// <param name="columns">T.</param>
    /// <param name="longest">Tokens of the longest row.</param>
    public Rotation At(TokenPositions? positions, long rows, long columns, int longest)
    {
        var limit = positions?.Limit ?? (int)columns;
        return settings.OfLength?.Invoke(longest) is { } frequencies ? _longer.At(frequencies, limit, positions, rows, columns) : _usual.At(settings.Frequencies, limit, positions, rows, columns);
    }

    public void Dispose()
    {
        _usual.Dispose();
        _longer.Dispose();
    }

    private sealed class Table(RotarySettings settings, Device device) : IDisposable
    {
        private float[] _frequencies = [];
        private int _positions;
        private Tensor? _cosines;
        private Tensor? _sines;
        private Tensor? _queryScales;

        public Rotation At(float[] frequencies, int limit, TokenPositions? positions, long rows, long columns)
        {
            Reach(frequencies, limit);
            return new Rotation(Select(_cosines!), Select(_sines!), settings.Interleaved, _queryScales is null ? null : Select(_queryScales));

            Tensor Select(Tensor table) => positions is { } given
                ? table.index_select(0, given.Values).view(rows, columns, 1, -1)
                : table.narrow(0, 0, columns).view(1, columns, 1, -1);
        }

        public void Dispose()
        {
            _cosines?.Dispose();
            _sines?.Dispose();
            _queryScales?.Dispose();
        }

        private void Reach(float[] frequencies, int limit)
        {
            var isSame = ReferenceEquals(frequencies, _frequencies) || frequencies.AsSpan().SequenceEqual(_frequencies);
            if (isSame && limit <= _positions) return;
            Dispose();
            _frequencies = frequencies;
            _positions = Math.Max(FewestPositions, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)limit));
            var rotated = 2 * frequencies.Length;
            var cosines = new float[_positions * rotated];
            var sines = new float[_positions * rotated];
            for (var position = 0; position < _positions; position++)
            {
                for (var i = 0; i < frequencies.Length; i++)
                {
                    // The product is rounded to float32, as where such models are trained.
                    var (sine, cosine) = Math.SinCos((settings.Reversed ? -position : position) * frequencies[i]);
                    var (first, second) = settings.Interleaved ? (2 * i, 2 * i + 1) : (i, i + frequencies.Length);
                    cosines[position * rotated + first] = cosines[position * rotated + second] = (float)(settings.Magnitude * (float)cosine);
                    sines[position * rotated + first] = -(float)(settings.Magnitude * (float)sine);
                    sines[position * rotated + second] = (float)(settings.Magnitude * (float)sine);
                }
            }

            _cosines = tensor(cosines, [_positions, rotated], device: device).DetachFromDisposeScope();
            _sines = tensor(sines, [_positions, rotated], device: device).DetachFromDisposeScope();
            if (settings.QueryScale is { } scale) _queryScales = tensor([.. Enumerable.Range(0, _positions).Select(scale)], [_positions, 1], device: device).DetachFromDisposeScope();
        }
    }
}

/// <summary>Turns pairs of numbers: (a, b) → (a cos − b sin, b cos + a sin).</summary>
/// <param name="Cosines">[B or 1, T, 1, r] float32: of each number's pair.</param>
/// <param name="Sines">[B or 1, T, 1, r] float32: likewise, negative for the first of a pair.</param>
/// <param name="Interleaved">Whether neighbours make a pair.</param>
/// <param name="QueryScales">[B or 1, T, 1, 1] float32: what queries are multiplied by beside that; null for 1.</param>
internal readonly record struct Rotation(Tensor Cosines, Tensor Sines, bool Interleaved, Tensor? QueryScales)
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
