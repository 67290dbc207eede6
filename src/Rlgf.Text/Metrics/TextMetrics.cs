using Rlgf.Base;

namespace Rlgf.Text.Metrics;

/// <summary>What some metrics are computed with besides texts and references.</summary>
public sealed record MetricSources
{
    /// <summary>Whether ROUGE compares words by their stems.</summary>
    public bool Stem { get; init; }

    /// <summary>How rare n-grams are, for CIDEr; null where there is nothing to count them in.</summary>
    public Func<DocumentFrequencies>? Frequencies { get; init; }

    /// <summary>Synonyms for METEOR, see <see cref="SynonymFile"/>; null for none.</summary>
    public IReadOnlyDictionary<string, IReadOnlySet<string>>? Synonyms { get; init; }

    /// <summary>What is not new to novelty, such as the training texts; null where nothing is given.</summary>
    public Func<IReadOnlyList<string>>? KnownTexts { get; init; }
}

/// <summary>The metrics that need no model, by the names that commands and recipes have for them.</summary>
public static class TextMetrics
{
    private const string CaptionBleu = "bleu_coco_";

    /// <summary>A metric's name and what makes it.</summary>
    private sealed record Known(string Name, string Meaning, Func<string, MetricSources, TextMetric> Make);

    private static readonly Known[] Table =
    [
        new("bleu", "BLEU as sacreBLEU has it, 0 to 100", (name, _) => SacreBleu(name)),
        .. Numbered(CaptionBleu, 4, n => $"BLEU-{n} as in captioning papers, 0 to 1", CocoBleu),
        new("chrf", "chrF, 0 to 100", (name, _) => CharacterF(name, 0)),
        new("chrf++", "chrF++, 0 to 100", (name, _) => CharacterF(name, 2)),
        new("ter", "TER, 0 and above, lower is better", (name, _) => Ter(name)),
        .. Numbered("rouge", 2, n => $"ROUGE-{n}, F, 0 to 1", (name, n, sources) => OfReferences(name, row => Rouge.Ngrams(row.Text, row.References, n, sources.Stem).FMeasure)),
        new("rougeL", "ROUGE-L, F, 0 to 1", (name, sources) => OfReferences(name, row => Rouge.Longest(row.Text, row.References, sources.Stem).FMeasure)),
        new("rougeLsum", "ROUGE-Lsum, F, 0 to 1: each line is a sentence", (name, sources) => OfReferences(name, row => Rouge.LongestByLine(row.Text, row.References, sources.Stem).FMeasure)),
        new("rouge_l_coco", "ROUGE-L as in captioning papers, 0 to 1", (name, _) => OfReferences(name, row => CocoMetrics.RougeL(row.Captioned, row.CaptionedReferences))),
        new("meteor", "METEOR of 2007 as nltk has it, 0 to 1", (name, sources) => OfReferences(name, row =>
            Meteor.Of(TreebankWords.Of(row.Text), [.. row.References.Select(TreebankWords.Of)], synonyms: sources.Synonyms))),
        new("cider", "CIDEr, 0 to 10", (name, sources) => CiderOf(name, sources, isD: false)),
        new("cider_d", "CIDEr-D, 0 to 10: what captioning tools report as CIDEr", (name, sources) => CiderOf(name, sources, isD: true)),
        new("coverage", "share of the row's concepts that the text has in any form, 0 to 1", (name, _) => TextMetric.Mean(name, MetricNeed.Concepts, row => ConceptCoverage.Share(row.Text, row.Concepts))),
        .. Numbered("distinct_", 3, n => $"different n-grams of {n} words by all, 0 to 1", Distinct),
        .. Numbered("repetition_", 4, n => $"share of a text's n-grams of {n} words that are repeated, 0 to 1",
            (name, n, _) => TextMetric.Mean(name, MetricNeed.Nothing, row => NgramDiversity.Repetition(NgramDiversity.Words(row.Text), n))),
        .. Numbered("novelty_", 4, n => $"share of a text's n-grams of {n} words that known texts don't have, 0 to 1", Novelty),
        new("self_bleu", "self-BLEU: BLEU-4 of each text with all others as references, by nltk's formula, 0 to 1", (name, _) => SelfBleuOf(name)),
    ];

    /// <summary>All names, with what they mean.</summary>
    public static IReadOnlyList<(string Name, string Meaning)> All { get; } = [.. Table.Select(known => (known.Name, known.Meaning))];

    /// <summary>Makes a metric.</summary>
    /// <param name="name">One of <see cref="All"/>.</param>
    /// <param name="sources">What it may need.</param>
    /// <returns>Null where there is none of that name.</returns>
    /// <exception cref="InputException">It needs something that is not given.</exception>
    public static TextMetric? Make(string name, MetricSources sources) => Array.Find(Table, known => known.Name == name)?.Make(name, sources);

    private static IEnumerable<Known> Numbered(string prefix, int most, Func<int, string> meaning, Func<string, int, MetricSources, TextMetric> make) =>
        Enumerable.Range(1, most).Select(n => new Known(FormattableString.Invariant($"{prefix}{n}"), meaning(n), (name, sources) => make(name, n, sources)));

    private static TextMetric OfReferences(string name, Func<MeasuredText, double> value) => TextMetric.Mean(name, MetricNeed.References, row => value(row));

    private static TextMetric SacreBleu(string name)
    {
        var settings = new BleuSettings();
        var ofText = settings with { EffectiveOrder = true };
        return TextMetric.Summed(name, MetricNeed.References, row => Bleu.Statistics(row.Text, row.References, settings), statistics => Bleu.Of(statistics, ofText).Score, sum => Bleu.Of(sum, settings).Score);
    }

    private static TextMetric CocoBleu(string name, int n, MetricSources sources) =>
        TextMetric.Summed(name, MetricNeed.References, row => CocoMetrics.BleuStatistics(row.Captioned, row.CaptionedReferences), statistics => CocoMetrics.Bleus(statistics)[n - 1]);

    private static TextMetric CharacterF(string name, int wordOrder)
    {
        var settings = new CharacterFSettings { WordOrder = wordOrder };
        return TextMetric.Summed(name, MetricNeed.References, row => CharacterFScore.Statistics(row.Text, row.References, settings), statistics => CharacterFScore.Of(statistics, settings));
    }

    private static TextMetric Ter(string name) =>
        TextMetric.Summed(name, MetricNeed.References, row => TranslationEditRate.Statistics(row.Text, row.References, new()), statistics => TranslationEditRate.Of(statistics));

    private static TextMetric CiderOf(string name, MetricSources sources, bool isD)
    {
        var frequencies = new Lazy<DocumentFrequencies>(sources.Frequencies
            ?? throw new InputException($"{name} weighs n-grams by how rare they are, and there are no references to count them in"));
        return OfReferences(name, row => Cider.Of(row.Captioned, row.CaptionedReferences, frequencies.Value, isD));
    }

    private static TextMetric Distinct(string name, int n, MetricSources sources) => TextMetric.Whole(
        name,
        texts => [.. texts.Select(text => NgramDiversity.Words(text.Text) is var words && words.Count >= n ? NgramDiversity.Of([words], n).Distinct : (double?)null)],
        texts => NgramDiversity.Of(texts.Select(text => NgramDiversity.Words(text.Text)), n).Distinct,
        isOfSingleTexts: true);

    private static TextMetric Novelty(string name, int n, MetricSources sources)
    {
        var texts = sources.KnownTexts ?? throw new InputException($"{name} is about what known texts don't have, and none are given");
        var known = new Lazy<IReadOnlySet<string>>(() => NgramDiversity.AllNgrams(texts().Select(NgramDiversity.Words), n));
        return TextMetric.Mean(name, MetricNeed.Nothing, row => NgramDiversity.Novelty(NgramDiversity.Words(row.Text), known.Value, n));
    }

    private static TextMetric SelfBleuOf(string name)
    {
        const int Order = 4;
        double?[] Each(IReadOnlyList<MeasuredText> texts) =>
            texts.Count < 2 ? new double?[texts.Count] : [.. SelfBleu.Nltk([.. texts.Select(text => NgramDiversity.Words(text.Text))], Order).Select(value => (double?)value)];
        return TextMetric.Whole(name, Each, texts => Each(texts).Average(), isOfSingleTexts: false);
    }
}
