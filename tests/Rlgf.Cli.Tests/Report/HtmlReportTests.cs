using System.Text;
using System.Xml.Linq;
using Rlgf.App.Report;
using Rlgf.Base;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests.Report;

public sealed class HtmlReportTests
{
    private const string Hostile = "</script></style></pre></i>\"><img src=x onerror=alert(1)>' &amp; \u0000\u001B\u202E<!-- ]]> \uD83C";

    [Fact]
    public void Reports_of_one_run_of_many_algorithms_and_of_many_seeds_are_well_formed_and_left_to_look_at()
    {
        Check("one-run", new ReportData("Quick look", [SyntheticRuns.Run("ppo_plus_plus", 1, 0.7)]));
        Check("quickstart", new ReportData("Quickstart: six ways to be positive", SyntheticRuns.All(1), "This run is too short to learn much."));
        Check("compare", new ReportData("IMDB, three seeds", SyntheticRuns.All(3)));
    }

    [Fact]
    public void Hostile_text_stays_text()
    {
        var runs = new[] { SyntheticRuns.Run("ppo", 1, 0.7, text: Hostile, guide: Hostile), SyntheticRuns.Run("my " + Hostile, 1, 0.6, text: Hostile, guide: Hostile) };
        runs[0] = runs[0] with { Recipe = Hostile, Environment = SyntheticRuns.Machine with { Processor = Hostile } };
        var page = Check("hostile", new ReportData(Hostile, runs, Hostile));
        Assert.DoesNotContain("<img", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", page, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<!--", page, StringComparison.Ordinal);
        Assert.DoesNotContain('\u202E', page);
        Assert.Contains("&lt;img src=x onerror=alert(1)&gt;", page, StringComparison.Ordinal);
        // Only the elements that reports are made of, and no attribute that runs anything.
        var elements = Parse(page).Descendants().ToArray();
        Assert.DoesNotContain(elements, e => e.Name.LocalName is "img" or "script" or "iframe" or "object" or "link");
        Assert.DoesNotContain(elements.SelectMany(e => e.Attributes()), a => a.Name.LocalName.StartsWith("on", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void A_page_loads_nothing()
    {
        var page = HtmlReport.Render(new ReportData("t", SyntheticRuns.All(1)));
        Assert.DoesNotContain("http:", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https:", page, StringComparison.Ordinal);
        Assert.DoesNotContain("url(", page, StringComparison.Ordinal);
        Assert.DoesNotContain("@import", page, StringComparison.Ordinal);
        Assert.Contains("default-src 'none'", page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_long_run_of_many_algorithms_and_seeds_stays_under_three_megabytes()
    {
        string[] algorithms = ["ppo", "ppo_plus_plus", "aggrevated", "lols", "d2lols", "adaptive", "grpo", "rloo"];
        var runs = algorithms.SelectMany(a => new ulong[] { 1, 2, 3 }.Select(seed => SyntheticRuns.Run(a, seed, 0.7, iterations: 3000, text: new string('ü', 40)))).ToArray();
        var page = HtmlReport.Render(new ReportData("t", runs));
        Assert.InRange(Encoding.UTF8.GetByteCount(page), 100_000, 3_000_000);
    }

    [Fact]
    public void A_run_without_evaluation_guide_samples_or_environment_still_makes_a_page()
    {
        var run = SyntheticRuns.Run("ppo", 1, 0.7) with { Evaluations = [], Guide = null, Samples = [], Environment = null, Recipe = "" };
        var page = Check("bare", new ReportData("bare", [run]));
        Assert.Contains("Nothing has been evaluated yet.", page, StringComparison.Ordinal);
        Check("empty", new ReportData("empty", [run with { Iterations = [] }]));
    }

    [Fact]
    public void Numbers_that_are_not_finite_break_no_chart()
    {
        var run = SyntheticRuns.Run("ppo", 1, 0.7);
        var odd = run.Iterations.Select((record, i) => record with
        {
            Metrics = new Dictionary<string, double> { ["reward/mean"] = i % 3 == 0 ? double.NaN : double.PositiveInfinity, ["loss/policy"] = i % 2 == 0 ? double.NaN : 1, ["loss/value"] = 5 },
        });
        var page = Check("odd", new ReportData("odd", [run with { Iterations = [.. odd] }]));
        Assert.DoesNotContain("NaN", page, StringComparison.Ordinal);
        Assert.DoesNotContain("∞", page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_read_from_its_folder_gives_the_page_of_the_run_that_wrote_it()
    {
        var folder = Directory.CreateTempSubdirectory("rlgf-test-").FullName;
        try
        {
            var run = SyntheticRuns.Run("adaptive", 3, 0.7);
            var runFolder = new RunFolder(Path.Combine(folder, "run"));
            Write(runFolder, run);
            Assert.Equal(HtmlReport.Render(new ReportData("t", [run])), HtmlReport.Render(new ReportData("t", [ReportRun.Read(runFolder)])));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Writes a run as training would have.</summary>
    internal static void Write(RunFolder folder, ReportRun run)
    {
        using var log = FolderRunLog.Begin(folder, run.Description, run.Environment!);
        foreach (var record in run.Iterations) log.Iteration(record);
        foreach (var record in run.Evaluations) log.Evaluation(record);
        if (run.Guide is not null) log.GuideEvaluation(run.Guide);
        foreach (var samples in run.Samples) log.Samples(samples.Iteration, samples.Rows);
        AtomicFile.WriteText(folder.RecipePath, run.Recipe);
    }

    internal static string Check(string name, ReportData data)
    {
        var page = HtmlReport.Render(data);
        var folder = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, "reports"));
        File.WriteAllText(Path.Combine(folder.FullName, name + ".html"), page);
        Assert.NotEmpty(Parse(page).Descendants());
        return page;
    }

    /// <summary>The pages close every tag but the few that HTML never closes, so that an XML reader finds a tag that a text opened or closed.</summary>
    private static XElement Parse(string page)
    {
        var xml = page.Replace("<!doctype html>", "", StringComparison.Ordinal);
        foreach (var empty in new[] { "meta", "input" }) xml = System.Text.RegularExpressions.Regex.Replace(xml, $"<{empty}([^>]*)>", $"<{empty}$1/>");
        // Style sheets may hold what XML wants escaped; attributes without a value are HTML's own.
        xml = System.Text.RegularExpressions.Regex.Replace(xml, "<style>.*?</style>", "", System.Text.RegularExpressions.RegexOptions.Singleline);
        return XElement.Parse(xml.Replace(" checked/>", " checked=\"\"/>", StringComparison.Ordinal));
    }
}
