using Rlgf.Tokenizers.Normalization;

namespace Rlgf.Tokenizers.Words;

/// <summary>What becomes of the delimiters that text is cut at.</summary>
internal enum SplitBehavior
{
    /// <summary>They are left out.</summary>
    Removed,

    /// <summary>Each is a word of its own.</summary>
    Isolated,

    /// <summary>Each belongs to the word before it.</summary>
    MergedWithPrevious,

    /// <summary>Each belongs to the word after it.</summary>
    MergedWithNext,

    /// <summary>Those in a row are one word.</summary>
    Contiguous,
}

/// <summary>Cuts a stretch of text at delimiters.</summary>
internal static class Delimiters
{
    /// <summary>Appends the words of a stretch.</summary>
    /// <param name="text">The stretch.</param>
    /// <param name="delimiters">The delimiters in order; an empty one cuts where it is, but is no word.</param>
    /// <param name="behavior">What becomes of them.</param>
    /// <param name="invert">Whether what lies between the delimiters is what <paramref name="behavior"/> is about.</param>
    /// <param name="into">Takes the words.</param>
    public static void Split(Word text, IReadOnlyList<(int Start, int End)> delimiters, SplitBehavior behavior, bool invert, List<Word> into)
    {
        var pieces = new List<(int Start, int End, bool IsDelimiter)>(2 * delimiters.Count + 1);
        var done = 0;
        foreach (var (start, end) in delimiters)
        {
            if (start > done)
                pieces.Add((done, start, invert));
            pieces.Add((start, end, !invert));
            done = end;
        }
        if (done < text.End - text.Start)
            pieces.Add((done, text.End - text.Start, invert));

        switch (behavior)
        {
            case SplitBehavior.Removed:
                pieces.RemoveAll(piece => piece.IsDelimiter);
                break;
            case SplitBehavior.Contiguous:
                Merge(pieces, (before, after) => before == after);
                break;
            case SplitBehavior.MergedWithPrevious:
                Merge(pieces, (before, after) => !before && after);
                break;
            case SplitBehavior.MergedWithNext:
                Merge(pieces, (before, after) => before && !after);
                break;
        }
        foreach (var (start, end, _) in pieces)
        {
            if (end > start)
                into.Add(text.Part(start, end));
        }
    }

    /// <summary>Puts neighbours together; what came in last decides about the next.</summary>
    private static void Merge(List<(int Start, int End, bool IsDelimiter)> pieces, Func<bool, bool, bool> together)
    {
        var kept = 0;
        for (var i = 0; i < pieces.Count; i++)
        {
            if (kept > 0 && together(pieces[kept - 1].IsDelimiter, pieces[i].IsDelimiter))
                pieces[kept - 1] = (pieces[kept - 1].Start, pieces[i].End, pieces[i].IsDelimiter);
            else
                pieces[kept++] = pieces[i];
        }
        pieces.RemoveRange(kept, pieces.Count - kept);
    }
}
