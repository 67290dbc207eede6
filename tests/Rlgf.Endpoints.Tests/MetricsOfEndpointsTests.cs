using System.Text.RegularExpressions;

namespace Rlgf.Endpoints.Tests;

public sealed partial class MetricsOfEndpointsTests
{
    [Fact]
    public void What_an_endpoint_costs_is_in_the_document_and_the_document_names_nothing_else()
    {
        using var server = new OpenAiServer();
        using var scratch = new Scratch();
        var run = TestRun.Train(scratch, server, "guide.budget={requests: 1000, prices: {input: 1, output: 1}}");
        Assert.True(run.Code == 0, run.Error);
        // A guide that may decline, since a budget may be spent, has one more, as every such guide.
        var written = TestRun.Metrics(scratch)[^1].AsObject().Select(metric => metric.Key).Where(key => key.StartsWith("guide/", StringComparison.Ordinal) && key != "guide/unanswered").ToHashSet();

        var section = File.ReadAllText(Path.Combine(Repository.Root, "docs", "metrics.md")).Split("\n## ").Single(section => section.StartsWith("What an endpoint costs", StringComparison.Ordinal));
        var documented = section.Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal)).SelectMany(line => Name().Matches(line.Split('|')[1]).Select(match => match.Groups[1].Value)).ToHashSet();
        Assert.Equal(written.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Name();
}
