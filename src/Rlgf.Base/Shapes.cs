namespace Rlgf.Base;

/// <summary>Shapes as messages show them, and what they come to.</summary>
public static class Shapes
{
    /// <summary>The most sides that are shown: a damaged file may list any number.</summary>
    private const int MostShown = 16;

    /// <summary>A shape for a message.</summary>
    public static string Format(IReadOnlyList<long> shape) =>
        shape.Count <= MostShown ? $"[{string.Join(", ", shape)}]" : $"[{string.Join(", ", shape.Take(MostShown))}, … {shape.Count} in all]";

    /// <summary>How many numbers a tensor of a shape has, or null where a length is negative or no 64-bit number holds the product in bytes.</summary>
    public static long? Elements(IEnumerable<long> shape)
    {
        long product = 1;
        foreach (var length in shape)
        {
            if (length < 0 || (length > 0 && product > long.MaxValue / sizeof(double) / length)) return null;
            product *= length;
        }

        return product;
    }
}
