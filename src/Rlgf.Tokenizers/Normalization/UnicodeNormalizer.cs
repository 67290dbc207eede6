using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>Unicode's normalization forms (Unicode Standard Annex 15).</summary>
internal enum UnicodeForm
{
    /// <summary>Characters in as few parts as possible.</summary>
    C,

    /// <summary>Characters in all their parts.</summary>
    D,

    /// <summary>As C, and variants of a character (ligatures, full width, superscripts) as the character itself.</summary>
    KC,

    /// <summary>As D, with the same for variants.</summary>
    KD,
}

/// <summary>One of Unicode's normalization forms.</summary>
/// <remarks>
/// Written out because <see cref="string.Normalize()"/> does nothing where .NET runs without ICU, and because offsets need to know which characters were
/// put together. Each character counts as the first one of those that it was made from, as the <c>tokenizers</c> library has it.
/// </remarks>
internal sealed class UnicodeNormalizer(UnicodeForm form) : INormalizer
{
    /// <summary>Below these code points every text is in the form already.</summary>
    private readonly char _firstThatMayChange = form switch
    {
        UnicodeForm.C => '\u0300',
        UnicodeForm.D => '\u00C0',
        _ => '\u00A0',
    };

    public Word Normalize(Word text)
    {
        var span = text.Span;
        if (span.IndexOfAnyInRange(_firstThatMayChange, '\uFFFF') < 0)
            return text;

        var parts = Decompose(span);
        Reorder(parts);
        if (form is UnicodeForm.C or UnicodeForm.KC)
            Compose(parts);
        var rewriting = new Rewriting(text);
        foreach (var part in parts)
            rewriting.Write(part.Rune, part.Surplus);
        return rewriting.Finish();
    }

    /// <summary>A character of the result.</summary>
    /// <param name="Rune">The character.</param>
    /// <param name="Surplus">How many more characters of the result than of the original it makes: 1 if it was added, -n if n others went into it.</param>
    private readonly record struct Part(Rune Rune, int Surplus);

    private List<Part> Decompose(ReadOnlySpan<char> text)
    {
        var parts = new List<Part>(text.Length);
        var decomposed = new List<Rune>(4);
        foreach (var rune in text.EnumerateRunes())
        {
            decomposed.Clear();
            if (form is UnicodeForm.KC or UnicodeForm.KD)
                CompatibilityDecomposition.Decompose(rune, decomposed);
            else
                CanonicalComposition.Decompose(rune, decomposed);
            for (var i = 0; i < decomposed.Count; i++)
                parts.Add(new Part(decomposed[i], i == 0 ? 0 : 1));
        }
        return parts;
    }

    /// <summary>Sorts each run of combining marks by class; marks of one class keep their order.</summary>
    private static void Reorder(List<Part> parts)
    {
        for (var i = 1; i < parts.Count; i++)
        {
            var part = parts[i];
            var rank = CanonicalComposition.ClassOf(part.Rune);
            if (rank == 0)
                continue;
            var to = i;
            for (; to > 0 && CanonicalComposition.ClassOf(parts[to - 1].Rune) > rank; to--)
                parts[to] = parts[to - 1];
            parts[to] = part;
        }
    }

    private static void Compose(List<Part> parts)
    {
        var starter = -1;
        var lastClass = 0;
        var kept = 0;
        foreach (var part in parts.ToArray())
        {
            var rank = CanonicalComposition.ClassOf(part.Rune);
            // A mark is blocked from its starter by one of the same or a higher class that stayed between them.
            var blocked = starter < 0 || (kept > starter + 1 && lastClass >= rank);
            if (!blocked && CanonicalComposition.TryCompose(parts[starter].Rune, part.Rune) is { } composed)
            {
                parts[starter] = new Part(composed, parts[starter].Surplus + part.Surplus - 1);
                continue;
            }
            if (rank == 0)
                starter = kept;
            lastClass = rank;
            parts[kept++] = part;
        }
        parts.RemoveRange(kept, parts.Count - kept);
    }
}
