using System.Text.Json;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class RougeTests
{
    [Theory, InlineData("no_stemmer", false), InlineData("stemmer", true)]
    public void Scores_are_rouge_scores(string name, bool stem)
    {
        foreach (var item in MetricCases.Items("rouge.json"))
        {
            var (text, references) = (item.Text("hypothesis"), item.Strings("references"));
            Assert.Equal(item.Strings(stem ? "tokens_stemmed" : "tokens"), Rouge.Tokens(text, stem));
            AssertAll(item.GetProperty(name).GetProperty("multi"), text, references);
            var each = item.GetProperty(name).Array("per_reference");
            for (var i = 0; i < each.Length; i++) AssertAll(each[i], text, [references[i]]);
        }

        void AssertAll(JsonElement expected, string text, string[] references)
        {
            for (var n = 1; n <= 3; n++) Near(expected.GetProperty($"rouge{n}"), Rouge.Ngrams(text, references, n, stem), text);
            Near(expected.GetProperty("rougeL"), Rouge.Longest(text, references, stem), text);
            Near(expected.GetProperty("rougeLsum"), Rouge.LongestByLine(text, references, stem), text);
        }
    }

    [Fact]
    public void Stems_are_nltks()
    {
        var pairs = MetricCases.Read("porter_stems.json").Array("pairs");
        Assert.Equal(330, pairs.Length);
        var wrong = pairs.Where(pair => PorterStemmer.Stem(pair.Text("word")) != pair.Text("nltk"));
        Assert.Equal([], wrong.Select(pair => $"{pair.Text("word")}: {pair.Text("nltk")}, not {PorterStemmer.Stem(pair.Text("word"))}"));
    }

    private static void Near(JsonElement expected, Overlap actual, string what)
    {
        MetricCases.Near(expected.Number("precision"), actual.Precision, what);
        MetricCases.Near(expected.Number("recall"), actual.Recall, what);
        MetricCases.Near(expected.Number("fmeasure"), actual.FMeasure, what);
    }
}
