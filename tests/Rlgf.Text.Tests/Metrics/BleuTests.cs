using System.Text.Json;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class BleuTests
{
    public static TheoryData<string> Variants =>
        ["13a", "13a_lowercase", "none", "intl", "intl_lowercase", "char", "13a_smooth_none", "13a_smooth_floor", "13a_smooth_add_k", "13a_order_2"];

    [Fact]
    public void Tokens_are_sacrebleus()
    {
        var golden = MetricCases.Read("sacrebleu.json");
        foreach (var one in golden.Array("tokenizer_cases")) AssertTokens(one, one.Text("text"), "13a", "intl");
        foreach (var item in golden.Array("items")) AssertTokens(item, item.Text("hypothesis"), "tokenized_13a", "tokenized_intl");
        Assert.Equal(42, golden.Array("tokenizer_cases").Length);

        static void AssertTokens(JsonElement expected, string text, string mteval, string international)
        {
            Assert.Equal(expected.Text(mteval), string.Join(' ', BleuTokenizers.Tokens(BleuTokenizer.Mteval13a, PythonText.TrimEnd(text))));
            Assert.Equal(expected.Text(international), string.Join(' ', BleuTokenizers.Tokens(BleuTokenizer.International, PythonText.TrimEnd(text))));
        }
    }

    [Theory, MemberData(nameof(Variants))]
    public void Corpus_scores_are_sacrebleus(string variant)
    {
        var golden = MetricCases.Read("sacrebleu.json");
        var items = golden.Array("items");
        var settings = Settings(variant);
        var expected = golden.GetProperty("corpus").GetProperty(variant);
        var all = MetricCases.Sum(items.Select(item => Bleu.Statistics(item.Text("hypothesis"), item.Strings("references"), settings)));
        AssertParts(expected.GetProperty("all_references"), all, settings, variant);
        var first = MetricCases.Sum(items.Select(item => Bleu.Statistics(item.Text("hypothesis"), item.Strings("references")[..1], settings)));
        AssertParts(expected.GetProperty("first_reference"), first, settings, variant);
    }

    [Theory, MemberData(nameof(Variants))]
    public void Scores_of_texts_are_sacrebleus(string variant)
    {
        var settings = Settings(variant) with { EffectiveOrder = true };
        foreach (var item in MetricCases.Items("sacrebleu.json"))
        {
            var statistics = Bleu.Statistics(item.Text("hypothesis"), item.Strings("references"), settings);
            AssertParts(item.GetProperty("sentence").GetProperty(variant), statistics, settings, item.Text("hypothesis"));
            MetricCases.Near(
                item.GetProperty("sentence_without_effective_order").Number(variant), Bleu.Of(statistics, settings with { EffectiveOrder = false }).Score, item.Text("hypothesis"));
        }
    }

    [Fact]
    public void Bleu_by_hand()
    {
        // "a b c d e" against "a b c x e f": 4 of 5 words, 2 of 4 pairs, 1 of 3 threes, 0 of 2 fours, which count as a half. Brevity: exp(1 - 6/5).
        var expected = 100 * Math.Exp(1 - 6 / 5.0) * Math.Pow(4 / 5.0 * (2 / 4.0) * (1 / 3.0) * (0.5 / 2), 0.25);
        MetricCases.Near(expected, Bleu.OfText("a b c d e", ["a b c x e f"], new BleuSettings { EffectiveOrder = true }), "by hand", 1e-12);
    }

    private static void AssertParts(JsonElement expected, double[] statistics, BleuSettings settings, string what)
    {
        var actual = Bleu.Of(statistics, settings);
        MetricCases.Near(expected.Number("score"), actual.Score, what);
        MetricCases.Near(expected.Number("bp"), actual.BrevityPenalty, what);
        Assert.Equal(expected.Number("hyp_len"), statistics[0]);
        Assert.Equal(expected.Number("ref_len"), statistics[1]);
        foreach (var (one, other) in expected.Numbers("precisions").Zip(actual.Precisions)) MetricCases.Near(one, other, what);
        // add-k changes the counts that sacreBLEU reports.
        if (settings.Smoothing == BleuSmoothing.AddK) return;
        Assert.Equal(expected.Numbers("matches"), statistics[2..(2 + settings.MaxOrder)]);
        Assert.Equal(expected.Numbers("totals"), statistics[(2 + settings.MaxOrder)..]);
    }

    private static BleuSettings Settings(string variant) => new()
    {
        MaxOrder = variant == "13a_order_2" ? 2 : 4,
        Lowercase = variant.EndsWith("lowercase", StringComparison.Ordinal),
        Tokenizer = variant.Split('_')[0] switch { "none" => BleuTokenizer.None, "intl" => BleuTokenizer.International, "char" => BleuTokenizer.Characters, _ => BleuTokenizer.Mteval13a },
        Smoothing = variant switch
        {
            "13a_smooth_none" => BleuSmoothing.None,
            "13a_smooth_floor" => BleuSmoothing.Floor,
            "13a_smooth_add_k" => BleuSmoothing.AddK,
            _ => BleuSmoothing.Exponential,
        },
    };
}
