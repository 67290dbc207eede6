using System.Text.Json;

namespace Rlgf.Text.Tests.Metrics;

/// <summary>What the reference libraries computed, see the README of fixtures/metrics. RLGF_METRICS_CASES names another folder of the same layout.</summary>
internal static class MetricCases
{
    public static JsonElement Read(string file)
    {
        var folder = Environment.GetEnvironmentVariable("RLGF_METRICS_CASES") is { Length: > 0 } given ? given : Path.Combine(AppContext.BaseDirectory, "fixtures", "metrics");
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, file)));
        return document.RootElement.Clone();
    }

    public static JsonElement[] Items(string file) => Read(file).Array("items");

    public static JsonElement[] Array(this JsonElement element, string name) => [.. element.GetProperty(name).EnumerateArray()];

    public static string[] Strings(this JsonElement element, string name) => [.. element.GetProperty(name).EnumerateArray().Select(value => value.GetString()!)];

    public static double[] Numbers(this JsonElement element, string name) => [.. element.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];

    public static string Text(this JsonElement element, string name) => element.GetProperty(name).GetString()!;

    public static double Number(this JsonElement element, string name) => element.GetProperty(name).GetDouble();

    /// <summary>Tokens joined by single spaces; an empty text has none.</summary>
    public static string[] Tokens(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    public static double[] Sum(IEnumerable<double[]> statistics) => statistics.Aggregate((sum, next) => [.. sum.Zip(next, (a, b) => a + b)]);

    /// <summary>Equal to a relative difference, for which a number near 0 counts as 1.</summary>
    public static void Near(double expected, double actual, string what, double tolerance = 1e-9) =>
        Assert.True(Math.Abs(expected - actual) <= tolerance * Math.Max(1, Math.Abs(expected)), FormattableString.Invariant($"{what}: expected {expected:R}, found {actual:R}"));
}
