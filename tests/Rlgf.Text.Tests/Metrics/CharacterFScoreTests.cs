using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class CharacterFScoreTests
{
    public static TheoryData<string> Variants => ["chrF", "chrF++", "chrF_lowercase", "chrF_whitespace", "chrF_beta1_order4", "chrF++_eps"];

    [Theory, MemberData(nameof(Variants))]
    public void Scores_are_sacrebleus(string variant)
    {
        var settings = new CharacterFSettings
        {
            WordOrder = variant.StartsWith("chrF++", StringComparison.Ordinal) ? 2 : 0,
            Lowercase = variant == "chrF_lowercase",
            WhiteSpace = variant == "chrF_whitespace",
            EpsilonSmoothing = variant == "chrF++_eps",
            Beta = variant == "chrF_beta1_order4" ? 1 : 2,
            CharacterOrder = variant == "chrF_beta1_order4" ? 4 : 6,
        };
        var golden = MetricCases.Read("chrf.json");
        var items = golden.Array("items");
        foreach (var item in items)
        {
            var statistics = CharacterFScore.Statistics(item.Text("hypothesis"), item.Strings("references"), settings);
            MetricCases.Near(item.GetProperty("sentence").Number(variant), CharacterFScore.Of(statistics, settings), item.Text("hypothesis"));
        }

        var expected = golden.GetProperty("corpus").GetProperty(variant);
        var all = MetricCases.Sum(items.Select(item => CharacterFScore.Statistics(item.Text("hypothesis"), item.Strings("references"), settings)));
        MetricCases.Near(expected.Number("all_references"), CharacterFScore.Of(all, settings), variant);
        var first = MetricCases.Sum(items.Select(item => CharacterFScore.Statistics(item.Text("hypothesis"), item.Strings("references")[..1], settings)));
        MetricCases.Near(expected.Number("first_reference"), CharacterFScore.Of(first, settings), variant);
    }
}
