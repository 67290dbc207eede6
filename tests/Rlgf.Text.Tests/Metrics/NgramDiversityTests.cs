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
    public void Distinct_bigrams_by_hand()
    {
        // "a b a b" has ab, ba, ab; "b a" has ba: 2 different of 4, and none spans the two texts.
        var actual = NgramDiversity.Of([NgramDiversity.Words("a b\n A b"), NgramDiversity.Words(" b  a ")], 2);
        Assert.Equal(new NgramDiversity(0.5, 2, 0, 1), actual);
    }

    private static JsonElement.ArrayEnumerator Corpora()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "fixtures", "metrics", "diversity.json")));
        return document.RootElement.Clone().GetProperty("corpora").EnumerateArray();
    }

    // Already lower-cased, with tokens between single spaces; an empty text has none.
    private static string[][] Texts(JsonElement corpus) =>
        [.. corpus.GetProperty("texts").EnumerateArray().Select(text => text.GetString()!.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
}
