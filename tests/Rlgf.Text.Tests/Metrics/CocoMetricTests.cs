using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

/// <summary>From the fixtures' tokens, so that the formulas are compared apart from the tokenizer.</summary>
public class CocoMetricTests
{
    [Fact]
    public void Tokens_are_those_of_the_reference_lexer()
    {
        var pairs = MetricCases.Read("ptb_tokens.json").Array("pairs");
        Assert.Equal(208, pairs.Length);
        foreach (var pair in pairs) Assert.Equal(pair.Text("tokens"), string.Join(' ', CaptionTokens.Of(pair.Text("text"))));
    }

    [Fact]
    public void Bleu_is_pycocoevalcaps()
    {
        var golden = MetricCases.Read("coco_bleu.json");
        var items = golden.Array("items");
        var statistics = items.Select(item => CocoMetrics.BleuStatistics(MetricCases.Tokens(item.Text("hypothesis")), [.. item.Strings("references").Select(MetricCases.Tokens)])).ToArray();
        for (var i = 0; i < items.Length; i++) AssertAll(items[i].Numbers("bleu"), CocoMetrics.Bleus(statistics[i]), items[i].Text("hypothesis"));
        AssertAll(golden.Numbers("corpus"), CocoMetrics.Bleus(MetricCases.Sum(statistics)), "corpus");

        static void AssertAll(double[] expected, double[] actual, string what)
        {
            for (var n = 0; n < 4; n++) MetricCases.Near(expected[n], actual[n], what);
        }
    }

    [Fact]
    public void Rouge_l_is_pycocoevalcaps()
    {
        foreach (var item in MetricCases.Items("coco_rouge_l.json"))
        {
            var actual = CocoMetrics.RougeL(MetricCases.Tokens(item.Text("hypothesis")), [.. item.Strings("references").Select(MetricCases.Tokens)]);
            MetricCases.Near(item.Number("rouge_l"), actual, item.Text("hypothesis"));
        }
    }

    [Theory, InlineData("own_frequencies"), InlineData("corpus_frequencies")]
    public void Cider_is_pycocoevalcaps(string which)
    {
        var golden = MetricCases.Read("cider.json");
        var items = golden.Array("items").Select(item => (
            Expected: item.GetProperty(which), Text: MetricCases.Tokens(item.Text("hypothesis")), References: (string[][])[.. item.Strings("references").Select(MetricCases.Tokens)])).ToArray();
        var frequencies = new DocumentFrequencies(which == "own_frequencies"
            ? items.Select(item => item.References)
            : golden.Array("frequency_corpus").Select(texts => texts.EnumerateArray().Select(text => MetricCases.Tokens(text.GetString()!)).ToArray()));
        foreach (var isD in new[] { false, true })
        {
            var name = isD ? "cider_d" : "cider";
            var scores = items.Select(item => Cider.Of(item.Text, item.References, frequencies, isD)).ToArray();
            for (var i = 0; i < items.Length; i++) MetricCases.Near(items[i].Expected.Number(name), scores[i], string.Join(' ', items[i].Text));
            MetricCases.Near(golden.GetProperty("mean").GetProperty(which).Number(name), scores.Average(), name);
        }
    }

    [Fact]
    public void Of_one_item_alone_nothing_is_rare()
    {
        string[][] references = [["a", "cat", "sat"]];
        Assert.Equal(0, Cider.Of(references[0], references, new DocumentFrequencies([references]), isD: true));
    }
}
