namespace Rlgf.Tokenizers.Patterns;

/// <summary>A set of Unicode code points, as sorted ranges.</summary>
internal sealed class CodePointSet : IEquatable<CodePointSet>
{
    /// <summary>One after the last code point.</summary>
    public const int End = 0x110000;

    public static readonly CodePointSet Empty = new([]);
    public static readonly CodePointSet All = new([0, End]);
    public static readonly CodePointSet Ascii = new([0, 0x80]);

    // Where membership changes: in from the first, out from the second, in from the third, …
    private readonly int[] _bounds;

    private CodePointSet(int[] bounds) => _bounds = bounds;

    /// <summary>Where membership changes, ascending; code points before the first are out.</summary>
    public ReadOnlySpan<int> Bounds => _bounds;

    public bool IsEmpty => _bounds.Length == 0;

    /// <summary>From <paramref name="first"/> to <paramref name="last"/>, both in it; what lies beyond Unicode is left out.</summary>
    public static CodePointSet Range(int first, int last) => first > last || first >= End ? Empty : new([first, Math.Min(last + 1, End)]);

    /// <summary>These code points.</summary>
    public static CodePointSet Of(params IEnumerable<int> codes)
    {
        var bounds = new List<int>();
        foreach (var code in codes.Where(code => code < End).Distinct().Order())
        {
            if (bounds.Count > 0 && bounds[^1] == code)
                bounds[^1] = code + 1;
            else
                bounds.AddRange([code, code + 1]);
        }
        return new([.. bounds]);
    }

    /// <summary>Ranges that are sorted and do not touch, each by its first code point and one after its last.</summary>
    public static CodePointSet OfBounds(IReadOnlyList<int> bounds) => new([.. bounds]);

    public bool Contains(int code)
    {
        var at = Array.BinarySearch(_bounds, code);
        return ((at >= 0 ? at : ~at - 1) & 1) == 0;
    }

    public CodePointSet Union(CodePointSet other) => Combine(other, (a, b) => a || b);

    public CodePointSet Intersect(CodePointSet other) => Combine(other, (a, b) => a && b);

    public CodePointSet Except(CodePointSet other) => Combine(other, (a, b) => a && !b);

    public CodePointSet Complement() => All.Except(this);

    public bool Equals(CodePointSet? other) => other is not null && _bounds.AsSpan().SequenceEqual(other._bounds);

    public override bool Equals(object? obj) => Equals(obj as CodePointSet);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var bound in _bounds)
            hash.Add(bound);
        return hash.ToHashCode();
    }

    private CodePointSet Combine(CodePointSet other, Func<bool, bool, bool> together)
    {
        var bounds = new List<int>(_bounds.Length + other._bounds.Length);
        var (i, j, isIn) = (0, 0, false);
        while (i < _bounds.Length || j < other._bounds.Length)
        {
            var at = Math.Min(i < _bounds.Length ? _bounds[i] : End, j < other._bounds.Length ? other._bounds[j] : End);
            while (i < _bounds.Length && _bounds[i] == at)
                i++;
            while (j < other._bounds.Length && other._bounds[j] == at)
                j++;
            if (together((i & 1) == 1, (j & 1) == 1) == isIn)
                continue;
            bounds.Add(at);
            isIn = !isIn;
        }
        return new([.. bounds]);
    }
}
