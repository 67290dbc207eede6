using System.Globalization;
using System.Numerics;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>The <c>attribute</c> of filters: names and positions with dots between.</summary>
internal static class AttributePath
{
    /// <summary>What filters compare or take of an element.</summary>
    /// <param name="path">The attribute; the element itself where it is None.</param>
    /// <param name="isFolded">Whether texts are compared without regard to case.</param>
    /// <param name="rendering">The use of the template.</param>
    /// <param name="otherwise">What stands for attributes that there aren't; None for nothing.</param>
    public static Func<object?, object?> Key(object? path, bool isFolded, Rendering rendering, object? otherwise = null)
    {
        object?[] parts = path is null ? [] : PythonText.AsText(path) is { } text ? [.. text.Split('.').Select(Part)] : [path];
        return item =>
        {
            foreach (var part in parts)
            {
                item = Attributes.Item(item, part, rendering);
                if (otherwise is not null && item is Undefined)
                    item = otherwise;
            }
            return isFolded && PythonText.AsText(item) is { } folded ? Casing.Lower(folded) : item;
        };
    }

    private static object Part(string text) => text.Length > 0 && text.All(char.IsAsciiDigit) ? BigInteger.Parse(text, CultureInfo.InvariantCulture) : text;
}
