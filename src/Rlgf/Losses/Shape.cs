using static TorchSharp.torch;

namespace Rlgf.Losses;

/// <summary>Guards against silent broadcasting: [B] in place of [B, A] would train on nonsense without an error.</summary>
internal static class Shape
{
    public static void RequireMatrix(Tensor x, string name)
    {
        if (x.dim() != 2) throw new ArgumentException($"{name} must be [B, A], it is {Text(x)}.", name);
    }

    public static void RequireSame(Tensor x, Tensor like, string name)
    {
        if (!x.shape.AsSpan().SequenceEqual(like.shape)) throw new ArgumentException($"{name} must be {Text(like)}, it is {Text(x)}.", name);
    }

    public static void RequireRows(Tensor x, Tensor rows, string name)
    {
        if (x.dim() != 1 || x.size(0) != rows.size(0)) throw new ArgumentException($"{name} must be [{rows.size(0)}], it is {Text(x)}.", name);
    }

    private static string Text(Tensor x) => $"[{string.Join(", ", x.shape)}]";
}
