namespace Rlgf.Text.Metrics;

/// <summary>What BLEU makes of an order of n-grams without a match.</summary>
public enum BleuSmoothing
{
    /// <summary>Half of one match for the first such order, a quarter for the next, and so on.</summary>
    Exponential,

    /// <summary>A constant in place of 0 matches.</summary>
    Floor,

    /// <summary>A constant added to matches and totals of orders above 1.</summary>
    AddK,

    /// <summary>Nothing: the score is 0.</summary>
    None,
}

/// <summary>How BLEU is computed; the defaults are sacreBLEU's.</summary>
public sealed record BleuSettings
{
    /// <summary>The longest n-grams.</summary>
    public int MaxOrder { get; init; } = 4;

    /// <summary>How texts are split.</summary>
    public BleuTokenizer Tokenizer { get; init; }

    /// <summary>Whether texts are lower-cased first.</summary>
    public bool Lowercase { get; init; }

    /// <summary>What is made of an order without a match.</summary>
    public BleuSmoothing Smoothing { get; init; }

    /// <summary>The constant of <see cref="BleuSmoothing.Floor"/> and <see cref="BleuSmoothing.AddK"/>; null for 0.1 and 1.</summary>
    public double? SmoothingValue { get; init; }

    /// <summary>Whether the mean is over the orders that a text is long enough for: so for single texts, not for corpora.</summary>
    public bool EffectiveOrder { get; init; }
}

/// <summary>BLEU, 0 to 100.</summary>
/// <remarks>Papineni et al. 2002 (ACL P02-1040), as Post 2018 (arXiv 1804.08771) computes it.</remarks>
/// <param name="Score">The score.</param>
/// <param name="Precisions">Of each order, in per cent, smoothed.</param>
/// <param name="BrevityPenalty">1 for a text as long as its reference.</param>
public sealed record Bleu(double Score, IReadOnlyList<double> Precisions, double BrevityPenalty)
{
    /// <summary>What a text contributes to the score: its length, its reference's, then the matches of each order, then all n-grams of each order. Those of a corpus are the sums.</summary>
    /// <param name="text">The text.</param>
    /// <param name="references">Its references, at least one. Of several lengths the closest counts, the shorter one of two.</param>
    /// <param name="settings">How it is computed.</param>
    /// <returns>2 + 2 · <see cref="BleuSettings.MaxOrder"/> whole numbers.</returns>
    public static double[] Statistics(string text, IReadOnlyList<string> references, BleuSettings settings)
    {
        if (references.Count == 0) throw new ArgumentException("BLEU needs a reference", nameof(references));
        return Statistics(Tokens(text, settings), [.. references.Select(reference => Tokens(reference, settings))], settings.MaxOrder);
    }

    /// <summary>The same of tokens.</summary>
    internal static double[] Statistics(IReadOnlyList<string> tokens, IReadOnlyList<IReadOnlyList<string>> references, int maxOrder)
    {
        var statistics = new double[2 + 2 * maxOrder];
        statistics[0] = tokens.Count;
        statistics[1] = ClosestLength(tokens.Count, references.Select(reference => reference.Count));
        for (var n = 1; n <= maxOrder && n <= tokens.Count; n++)
        {
            var most = NgramCounts.Of(references[0], n);
            foreach (var reference in references.Skip(1))
                foreach (var (ngram, count) in NgramCounts.Of(reference, n)) most[ngram] = Math.Max(count, most.GetValueOrDefault(ngram));
            statistics[1 + n] = NgramCounts.Matches(NgramCounts.Of(tokens, n), most);
            statistics[1 + maxOrder + n] = tokens.Count - n + 1;
        }

        return statistics;
    }

    /// <summary>The score of statistics or of their sum.</summary>
    /// <param name="statistics">As <see cref="Statistics(string, IReadOnlyList{string}, BleuSettings)"/> gives them.</param>
    /// <param name="settings">The same.</param>
    public static Bleu Of(ReadOnlySpan<double> statistics, BleuSettings settings)
    {
        var (length, reference, order) = (statistics[0], statistics[1], settings.MaxOrder);
        var matches = statistics.Slice(2, order);
        var totals = statistics.Slice(2 + order, order);
        var precisions = new double[order];
        var brevity = length >= reference ? 1 : length > 0 ? Math.Exp(1 - reference / length) : 0;
        if (matches.IndexOfAnyExcept(0) < 0) return new(0, precisions, brevity);
        var (added, floor) = (settings.Smoothing == BleuSmoothing.AddK ? settings.SmoothingValue ?? 1 : 0, settings.SmoothingValue ?? 0.1);
        var (used, share) = (order, 1.0);
        for (var n = 0; n < order; n++)
        {
            var (matched, total) = n == 0 ? (matches[n], totals[n]) : (matches[n] + added, totals[n] + added);
            if (total == 0) break;
            if (settings.EffectiveOrder) used = n + 1;
            precisions[n] = 100 * settings.Smoothing switch
            {
                _ when matched > 0 => matched,
                BleuSmoothing.Exponential => share /= 2,
                BleuSmoothing.Floor => floor,
                _ => 0,
            } / total;
        }

        // An order without anything makes the product 0.
        var logarithms = precisions.Take(used).Sum(precision => precision == 0 ? double.NegativeInfinity : Math.Log(precision));
        return new(brevity * Math.Exp(logarithms / used), precisions, brevity);
    }

    /// <summary>The score of one text.</summary>
    public static double OfText(string text, IReadOnlyList<string> references, BleuSettings settings) => Of(Statistics(text, references, settings), settings).Score;

    /// <summary>The length that is closest to a text's, the shorter one of two.</summary>
    internal static int ClosestLength(int length, IEnumerable<int> lengths) => lengths.MinBy(other => (Math.Abs(other - length), other));

    private static IReadOnlyList<string> Tokens(string text, BleuSettings settings) =>
        BleuTokenizers.Tokens(settings.Tokenizer, PythonText.TrimEnd(settings.Lowercase ? PythonText.Lower(text) : text));
}
