using System.Diagnostics.CodeAnalysis;

namespace Rlgf.Gguf;

/// <summary>What most of a file's numbers are stored as; the values are those of <c>general.file_type</c>. The types with M mix: what matters more has more bits.</summary>
[SuppressMessage("Naming", "CA1707", Justification = "The names are the format's.")]
public enum GgufFileType
{
    /// <summary>float32.</summary>
    F32 = 0,

    /// <summary>float16.</summary>
    F16 = 1,

    /// <summary>4.5 bits a number.</summary>
    Q4_0 = 2,

    /// <summary>5 bits a number.</summary>
    Q4_1 = 3,

    /// <summary>8.5 bits a number.</summary>
    Q8_0 = 7,

    /// <summary>5.5 bits a number.</summary>
    Q5_0 = 8,

    /// <summary>6 bits a number.</summary>
    Q5_1 = 9,

    /// <summary>Q4_K, with half of the values' maps and of the networks' last ones as Q6_K.</summary>
    Q4_K_M = 15,

    /// <summary>Q5_K, likewise.</summary>
    Q5_K_M = 17,

    /// <summary>Q6_K.</summary>
    Q6_K = 18,

    /// <summary>bfloat16.</summary>
    BF16 = 32,
}

/// <summary>Which type each tensor of a file gets, as llama.cpp's converter and quantiser choose.</summary>
public static class GgufMix
{
    /// <summary>Tensors that are always float32: few numbers, each of which counts.</summary>
    private static readonly string[] Exact = ["position_embd.weight", "rope_freqs.weight"];

    /// <summary>The types of all tensors.</summary>
    /// <param name="type">The file's.</param>
    /// <param name="tensors">All tensors with their shapes, layers in their order.</param>
    /// <param name="fallbacks">Gets those whose rows the type's blocks don't fit into, with what they are stored as instead.</param>
    public static IReadOnlyDictionary<string, GgufType> Choose(GgufFileType type, IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors, out IReadOnlyList<(string Name, GgufType Type)> fallbacks)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var chosen = new Dictionary<string, GgufType>(StringComparer.Ordinal);
        var others = new List<(string, GgufType)>();
        var hasOutput = tensors.Any(tensor => tensor.Name == "output.weight");
        var values = Count("attn_v.weight");
        var last = Count("ffn_down.weight");
        int value = 0, down = 0;
        foreach (var (name, shape) in tensors)
        {
            if (!IsCompressed(name, shape))
            {
                chosen.Add(name, GgufType.F32);
                continue;
            }

            var asked = Preferred(name);
            var fitting = Fitting(asked, shape[^1]);
            if (fitting != asked) others.Add((name, fitting));
            chosen.Add(name, fitting);
        }

        fallbacks = others;
        return chosen;

        int Count(string ending) => tensors.Count(tensor => tensor.Name.EndsWith(ending, StringComparison.Ordinal));

        GgufType Preferred(string name)
        {
            var plain = TypeOf(type);
            var moreBits = name.EndsWith("attn_v.weight", StringComparison.Ordinal) ? GetsMoreBits(value++, values) : name.EndsWith("ffn_down.weight", StringComparison.Ordinal) && GetsMoreBits(down++, last);
            // The head, or the embedding where it is the head too.
            if (name == (hasOutput ? "output.weight" : "token_embd.weight")) return IsFloat(plain) || plain == GgufType.Q8_0 ? plain : GgufType.Q6_K;
            if (type is not (GgufFileType.Q4_K_M or GgufFileType.Q5_K_M)) return plain;
            return moreBits ? GgufType.Q6_K : !name.EndsWith("attn_qkv.weight", StringComparison.Ordinal) ? plain : plain == GgufType.Q4_K ? GgufType.Q5_K : GgufType.Q6_K;
        }
    }

    /// <summary>The type that most tensors have.</summary>
    public static GgufType TypeOf(GgufFileType type) => type switch
    {
        GgufFileType.F32 => GgufType.F32,
        GgufFileType.F16 => GgufType.F16,
        GgufFileType.BF16 => GgufType.BF16,
        GgufFileType.Q8_0 => GgufType.Q8_0,
        GgufFileType.Q4_0 => GgufType.Q4_0,
        GgufFileType.Q4_1 => GgufType.Q4_1,
        GgufFileType.Q5_0 => GgufType.Q5_0,
        GgufFileType.Q5_1 => GgufType.Q5_1,
        GgufFileType.Q4_K_M => GgufType.Q4_K,
        GgufFileType.Q5_K_M => GgufType.Q5_K,
        GgufFileType.Q6_K => GgufType.Q6_K,
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    private static bool IsFloat(GgufType type) => type is GgufType.F32 or GgufType.F16 or GgufType.BF16;

    /// <summary>Whether a tensor may be stored in fewer bits: matrices but for those of norms.</summary>
    private static bool IsCompressed(string name, IReadOnlyList<long> shape) => shape.Count > 1 && name.EndsWith(".weight", StringComparison.Ordinal) && !name.EndsWith("_norm.weight", StringComparison.Ordinal) && !Exact.Contains(name);

    /// <summary>The first and the last eighth of the layers, and every third between them.</summary>
    private static bool GetsMoreBits(int layer, int layers) => layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;

    /// <summary>A type whose blocks fit into rows of a width: that which is asked for, else one with blocks of 32 and about as many bits, else float16.</summary>
    private static GgufType Fitting(GgufType type, long width)
    {
        if (width % GgufTypes.BlockOf(type).Numbers == 0) return type;
        var smaller = type switch { GgufType.Q4_K => GgufType.Q5_0, GgufType.Q5_K => GgufType.Q5_1, GgufType.Q6_K => GgufType.Q8_0, _ => GgufType.F16 };
        return width % GgufTypes.BlockOf(smaller).Numbers == 0 ? smaller : GgufType.F16;
    }
}
