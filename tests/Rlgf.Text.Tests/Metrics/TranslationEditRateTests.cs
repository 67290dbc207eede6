using System.Text.Json;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class TranslationEditRateTests
{
    [Theory, InlineData("ter"), InlineData("ter_normalized"), InlineData("ter_case_sensitive"), InlineData("ter_no_punct")]
    public void Edits_and_scores_are_sacrebleus(string variant)
    {
        var settings = new TranslationEditRateSettings { Normalized = variant == "ter_normalized", CaseSensitive = variant == "ter_case_sensitive", NoPunctuation = variant == "ter_no_punct" };
        var golden = MetricCases.Read("ter.json");
        var all = new List<double[]>();
        foreach (var item in golden.Array("items"))
        {
            all.Add(TranslationEditRate.Statistics(item.Text("hypothesis"), item.Strings("references"), settings));
            AssertParts(item.GetProperty("sentence").GetProperty(variant), all[^1], item.Text("hypothesis"));
        }

        AssertParts(golden.GetProperty("corpus").GetProperty(variant).GetProperty("all_references"), MetricCases.Sum(all), variant);

        static void AssertParts(JsonElement expected, double[] statistics, string what)
        {
            Assert.True(expected.Number("edits") == statistics[0], $"{what}: expected {expected.Number("edits")} edits, found {statistics[0]}");
            MetricCases.Near(expected.Number("ref_length"), statistics[1], what);
            MetricCases.Near(expected.Number("score"), TranslationEditRate.Of(statistics), what);
        }
    }
}
