using System.Text.Json;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Models.Metrics;

namespace Rlgf.Models.Tests.Metrics;

/// <summary>RLGF_METRICS_CASES names another folder with bertscore.json and bertscore_model.</summary>
public class BertScoreTests
{
    // Expected from states that torch computed in float32 in another order.
    private const double Tolerance = 2e-6;

    private static readonly string Cases =
        Environment.GetEnvironmentVariable("RLGF_METRICS_CASES") is { Length: > 0 } given ? given : Path.Combine(AppContext.BaseDirectory, "fixtures", "metrics");

    [Theory, InlineData("no_idf"), InlineData("idf")]
    public void Scores_are_the_librarys(string which)
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Cases, "bertscore.json")));
        using var encoder = TextEncoder.Load(Path.Combine(Cases, "bertscore_model"));
        JsonElement[] items = [.. golden.RootElement.GetProperty("items").EnumerateArray()];
        (string Text, IReadOnlyList<string> References)[] texts =
            [.. items.Select(item => (item.GetProperty("hypothesis").GetString()!, (IReadOnlyList<string>)[.. item.GetProperty("references").EnumerateArray().Select(text => text.GetString()!)]))];
        var metric = new BertScore(encoder, weighted: which == "idf" ? [.. texts.SelectMany(text => text.References)] : null);
        foreach (var item in items) Assert.Equal(item.GetProperty("hypothesis_ids").EnumerateArray().Select(id => id.GetInt32()), encoder.Encode(item.GetProperty("hypothesis").GetString()!));
        foreach (var (item, actual) in items.Zip(metric.Of(texts))) AssertNear(item.GetProperty(which).GetProperty("max"), actual);
        // Each reference alone, and a text by itself rather than in a batch.
        foreach (var (item, text) in items.Zip(texts))
        {
            var each = item.GetProperty(which).GetProperty("per_reference");
            for (var i = 0; i < text.References.Count; i++) AssertNear(each[i], metric.Of([(text.Text, [text.References[i]])])[0]);
        }

        Assert.Equal(29, items.Length);
    }

    [Fact]
    public void A_layer_that_is_not_there_is_refused()
    {
        using var encoder = TextEncoder.Load(Path.Combine(Cases, "bertscore_model"));
        Assert.Equal("the encoder has 2 layers, and its layer 3 is asked for", Assert.Throws<InputException>(() => new BertScore(encoder, layer: 3)).Message);
        // States of another layer are other states.
        (string, IReadOnlyList<string>)[] texts = [("a dog runs", ["the dog is running"])];
        Assert.NotEqual(new BertScore(encoder).Of(texts)[0].F1, new BertScore(encoder, layer: 1).Of(texts)[0].F1, 4);
    }

    private static void AssertNear(JsonElement expected, BertOverlap actual)
    {
        Assert.Equal(expected.GetProperty("precision").GetDouble(), actual.Precision, Tolerance);
        Assert.Equal(expected.GetProperty("recall").GetDouble(), actual.Recall, Tolerance);
        Assert.Equal(expected.GetProperty("f1").GetDouble(), actual.F1, Tolerance);
    }
}
