using System.Text.Json;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class NgramDiversityTests
{
    private const double Tolerance = 1e-9;

    [Fact]
    public void Golden_statistics_are_met()
    {
        var corpora = 0;
        foreach (var golden in Corpora())
        {
            corpora++;
            var texts = Texts(golden);
            var expected = golden.GetProperty("ngrams");
            for (var n = 1; n <= 3; n++)
            {
                var actual = NgramDiversity.Of(texts, n);
                Assert.Equal(expected.GetProperty($"distinct-{n}").GetDouble(), actual.Distinct, Tolerance);
                Assert.Equal(expected.GetProperty($"vocab_size-{n}").GetInt32(), actual.VocabularySize);
                Assert.Equal(expected.GetProperty($"unique-{n}").GetInt32(), actual.Unique);
                Assert.Equal(expected.GetProperty($"entropy-{n}").GetDouble(), actual.Entropy, Tolerance);
                // There is none without tokens.
                if (expected.TryGetProperty($"cond_entropy-{n}", out var conditional)) Assert.Equal(conditional.GetDouble(), NgramDiversity.ConditionalEntropy(texts, n), Tolerance);
            }

            foreach (var window in new[] { 20, 100 })
            {
                var ratio = golden.GetProperty($"msttr-{window}").GetProperty("value");
                var actual = NgramDiversity.MeanSegmentalTypeTokenRatio(texts, window);
                if (ratio.ValueKind == JsonValueKind.Null) Assert.Null(actual);
                else Assert.Equal(ratio.GetDouble(), actual!.Value, Tolerance);
            }
        }
        Assert.Equal(7, corpora);
    }

    [Fact]
    public void Golden_repetition_is_met()
    {
        foreach (var golden in Corpora())
        {
            var texts = Texts(golden);
            for (var n = 1; n <= 4; n++)
            {
                var each = golden.GetProperty("repetition").GetProperty($"rep-{n}").GetProperty("each");
                for (var i = 0; i < texts.Length; i++)
                {
                    var actual = NgramDiversity.Repetition(texts[i], n);
                    if (each[i].ValueKind == JsonValueKind.Null) Assert.Null(actual);
                    else Assert.Equal(each[i].GetDouble(), actual!.Value, Tolerance);
                }
            }
        }
    }

    [Fact]
    public void Golden_self_bleu_is_met()
    {
        var compared = 0;
        foreach (var golden in Corpora())
        {
            if (!golden.TryGetProperty("self_bleu", out var expected)) continue;
            compared++;
            var texts = Texts(golden);
            for (var order = 2; order <= 4; order++) MetricCases.Near(expected.Number($"nltk_bleu-{order}"), SelfBleu.Nltk(texts, order).Average(), "nltk");
            MetricCases.Near(expected.Number("sacrebleu"), SelfBleu.Sacre(texts).Average(), "sacrebleu");
        }

        Assert.Equal(3, compared);
    }

    [Fact]
    public void Novelty_by_hand()
    {
        // Of "a b a b c" the pairs are ab, ba, ab, bc; known are ab and cd: 2 of 4 are new.
        var known = NgramDiversity.AllNgrams([["a", "b"], ["c", "d"]], 2);
        Assert.Equal(0.5, NgramDiversity.Novelty(["a", "b", "a", "b", "c"], known, 2));
        Assert.Null(NgramDiversity.Novelty(["a"], known, 2));
    }

    [Fact]
    public void Distinct_bigrams_by_hand()
    {
        // "a b a b" has ab, ba, ab; "b a" has ba: 2 different of 4, and none spans the two texts.
        var actual = NgramDiversity.Of([NgramDiversity.Words("a b\n A b"), NgramDiversity.Words(" b  a ")], 2);
        Assert.Equal(new NgramDiversity(0.5, 2, 0, 1), actual);
    }

    private static JsonElement[] Corpora() => MetricCases.Read("diversity.json").Array("corpora");

    // Already lower-cased, with tokens between single spaces; an empty text has none.
    private static string[][] Texts(JsonElement corpus) =>
        [.. corpus.GetProperty("texts").EnumerateArray().Select(text => text.GetString()!.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
}
