using Rlgf.Base;

namespace Rlgf.Tokenizers.Parts;

/// <summary>Which of two texts is shortened where both together are too long.</summary>
internal enum TruncatedText
{
    /// <summary>The longer one, and both once they are equally long.</summary>
    Longest,

    /// <summary>The first.</summary>
    First,

    /// <summary>The second.</summary>
    Second,
}

/// <summary>How texts are shortened, as the <c>truncation</c> section of <c>tokenizer.json</c> says; done only where a limit is asked for.</summary>
/// <param name="Which">Which of two texts.</param>
/// <param name="FromLeft">Whether a text loses its first tokens rather than its last.</param>
internal sealed record Truncation(TruncatedText Which = TruncatedText.Longest, bool FromLeft = false)
{
    /// <summary>Shortens tokens to a number that they have together.</summary>
    /// <exception cref="InputException">The text that is to be shortened isn't long enough for that.</exception>
    public void Apply(ref ReadOnlySpan<int> first, ref ReadOnlySpan<int> second, int most)
    {
        var surplus = first.Length + second.Length - most;
        if (surplus <= 0)
            return;
        var (left, right) = Which switch
        {
            TruncatedText.First => (first.Length - surplus, second.Length),
            TruncatedText.Second => (first.Length, second.Length - surplus),
            _ => Longest(first.Length, second.Length, most),
        };
        if (left < 0 || right < 0)
            throw new InputException($"the tokenizer shortens only the {(Which == TruncatedText.First ? "first" : "second")} of two texts, and the other has more than {most} tokens by itself; raise the limit or shorten the text.");
        first = Cut(first, left);
        second = Cut(second, right);
    }

    private static (int First, int Second) Longest(int first, int second, int most)
    {
        var (shorter, longer) = (Math.Min(first, second), Math.Max(first, second));
        longer = shorter > most ? shorter : Math.Max(shorter, most - shorter);
        if (shorter + longer > most)
            (shorter, longer) = (most / 2, most / 2 + most % 2);
        return first > second ? (longer, shorter) : (shorter, longer);
    }

    private ReadOnlySpan<int> Cut(ReadOnlySpan<int> ids, int length) => FromLeft ? ids[^length..] : ids[..length];
}
