namespace Rlgf.Text.Metrics;

/// <summary>The numbers of METEOR's formula.</summary>
public sealed record MeteorSettings
{
    /// <summary>α: how much precision counts in the weighted harmonic mean.</summary>
    public double Alpha { get; init; } = 0.9;

    /// <summary>β: power of the share of chunks in the penalty.</summary>
    public double Beta { get; init; } = 3;

    /// <summary>γ: the largest penalty.</summary>
    public double Gamma { get; init; } = 0.5;
}

/// <summary>METEOR of 2007, 0 to 1, as nltk computes it (and by it Hugging Face's <c>evaluate</c> and RL4LMs): words are matched as they are, then by stem, then by synonym.</summary>
/// <remarks>Lavie and Agarwal 2007 (ACL W07-0734). METEOR 1.5 of captioning papers is another formula with other data.</remarks>
public static class Meteor
{
    /// <summary>The score of a text.</summary>
    /// <param name="tokens">Its tokens, see <see cref="TreebankWords"/>; they are compared in lower case.</param>
    /// <param name="references">Those of its references; the highest score counts.</param>
    /// <param name="settings">The formula's numbers; null for nltk's.</param>
    /// <param name="synonyms">Synonyms of a lower-case word, in which the stems of the words are looked for, as nltk does; null for none.</param>
    public static double Of(
        IReadOnlyList<string> tokens, IReadOnlyList<IReadOnlyList<string>> references, MeteorSettings? settings = null, IReadOnlyDictionary<string, IReadOnlySet<string>>? synonyms = null) =>
        references.Max(reference => Of(tokens, reference, settings ?? new MeteorSettings(), synonyms));

    /// <summary>Pairs of matching places in text and reference, in the text's order.</summary>
    internal static IReadOnlyList<(int Own, int Reference)> Align(
        IReadOnlyList<string> tokens, IReadOnlyList<string> reference, IReadOnlyDictionary<string, IReadOnlySet<string>>? synonyms)
    {
        var left = tokens.Select((token, at) => (Word: PythonText.Lower(token), At: at)).ToList();
        var leftOfReference = reference.Select((token, at) => (Word: PythonText.Lower(token), At: at)).ToList();
        var pairs = new List<(int Own, int Reference)>();
        Match((own, other) => own == other);
        var stems = left.Concat(leftOfReference).Select(word => word.Word).Distinct(StringComparer.Ordinal).ToDictionary(word => word, PorterStemmer.Stem, StringComparer.Ordinal);
        Match((own, other) => stems[own] == stems[other]);
        // nltk looks for a stem among the synonyms of a stem, so that sat and sits match by sit; what is no word as a stem (exclud) has none.
        if (synonyms is not null) Match((own, other) => synonyms.TryGetValue(stems[own], out var others) && others.Contains(stems[other]));
        pairs.Sort();
        return pairs;

        // From the last word to the first, each taking the last word of the reference that is free.
        void Match(Func<string, string, bool> isMatch)
        {
            for (var i = left.Count - 1; i >= 0; i--)
            {
                var j = leftOfReference.FindLastIndex(other => isMatch(left[i].Word, other.Word));
                if (j < 0) continue;
                pairs.Add((left[i].At, leftOfReference[j].At));
                left.RemoveAt(i);
                leftOfReference.RemoveAt(j);
            }
        }
    }

    private static double Of(IReadOnlyList<string> tokens, IReadOnlyList<string> reference, MeteorSettings settings, IReadOnlyDictionary<string, IReadOnlySet<string>>? synonyms)
    {
        var pairs = Align(tokens, reference, synonyms);
        if (pairs.Count == 0) return 0;
        var (precision, recall) = ((double)pairs.Count / tokens.Count, (double)pairs.Count / reference.Count);
        var mean = precision * recall / (settings.Alpha * precision + (1 - settings.Alpha) * recall);
        var chunks = 1 + pairs.Zip(pairs.Skip(1)).Count(step => step.Second != (step.First.Own + 1, step.First.Reference + 1));
        return (1 - settings.Gamma * Math.Pow((double)chunks / pairs.Count, settings.Beta)) * mean;
    }
}
