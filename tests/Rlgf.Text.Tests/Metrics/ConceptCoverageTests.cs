using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class ConceptCoverageTests
{
    [Fact]
    public void All_cases_are_told_right()
    {
        var cases = MetricCases.Read("coverage.json").Array("cases");
        Assert.Equal(280, cases.Length);
        foreach (var one in cases)
        {
            var missed = ConceptCoverage.Missed(one.Text("sentence"), [one.Text("concept")]);
            Assert.True(one.GetProperty("covered").GetBoolean() == (missed.Count == 0), $"{one.Text("concept")}: {one.Text("sentence")}");
        }
    }

    [Fact]
    public void Items_are_covered_as_by_the_rule()
    {
        foreach (var item in MetricCases.Items("coverage.json"))
        {
            MetricCases.Near(item.Number("rule_coverage"), ConceptCoverage.Share(item.Text("hypothesis"), item.Strings("concepts"))!.Value, item.Text("hypothesis"));
            Assert.Equal(item.Strings("rule_missed"), ConceptCoverage.Missed(item.Text("hypothesis"), item.Strings("concepts")).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void Without_a_concept_there_is_no_share() => Assert.Null(ConceptCoverage.Share("a text", []));
}
