using System.Xml.Linq;
using Rlgf.App.Report;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests.Report;

public sealed class CompareCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Runs_anywhere_below_a_folder_are_compared_and_written_for_documents()
    {
        foreach (var run in SyntheticRuns.All(2))
            HtmlReportTests.Write(new RunFolder(Path.Combine(_folder, "runs", run.Description.Algorithm, $"seed-{run.Description.Seed}")), run);
        // Left there to look at.
        var output = Path.Combine(AppContext.BaseDirectory, "reports", "compare");
        if (Directory.Exists(output)) Directory.Delete(output, recursive: true);

        var result = Cli.Run("compare", Path.Combine(_folder, "runs"), "--output", output, "--title", "Three & more");

        Assert.Equal(ExitCode.Ok, result.Code);
        File.WriteAllText(Path.Combine(output, "terminal.txt"), result.Output);
        Assert.Contains("D²LOLS", result.Output, StringComparison.Ordinal);
        Assert.Contains("Adaptive ends with the highest held-out reward", result.Output, StringComparison.Ordinal);
        Assert.Contains("<h1>Three &amp; more</h1>", File.ReadAllText(Path.Combine(output, ResultsFolder.ReportName)), StringComparison.Ordinal);

        var markdown = File.ReadAllText(Path.Combine(output, ResultsFolder.TableName));
        Assert.StartsWith("# Three & more\n", markdown, StringComparison.Ordinal);
        var links = markdown.Split('\n').Where(line => line.StartsWith("![", StringComparison.Ordinal)).Select(line => line[(line.LastIndexOf('(') + 1)..^1]).ToArray();
        Assert.Contains("pictures/held-out-reward-against-kl.svg", links);
        Assert.Equal(links.Length, links.Distinct().Count());
        Assert.Equal(links.Length, Directory.GetFiles(Path.Combine(output, ResultsFolder.PicturesName)).Length);
        // Well formed, and nothing that is not a number in a path.
        foreach (var link in links) Assert.DoesNotContain("NaN", XElement.Load(Path.Combine(output, link)).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_both_streams_go_into_one_file_nothing_stands_in_the_middle_of_the_table()
    {
        foreach (var run in SyntheticRuns.All(1)) HtmlReportTests.Write(new RunFolder(Path.Combine(_folder, "runs", run.Description.Algorithm)), run);
        using var file = new MemoryStream();
        // As in a process: standard output is collected, standard error is written at once.
        using var output = new StreamWriter(file) { NewLine = "\n" };
        using var error = new StreamWriter(file) { NewLine = "\n", AutoFlush = true };
        using var nothing = new StringReader("");
        Assert.Equal(ExitCode.Ok, CommandLine.Run(["compare", Path.Combine(_folder, "runs"), "--output", Path.Combine(_folder, "results")], new Terminal(nothing, output, error)));
        output.Flush();
        var lines = System.Text.Encoding.UTF8.GetString(file.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.StartsWith("wrote ", lines[^1], StringComparison.Ordinal);
        Assert.DoesNotContain(lines[..^1], line => line.Contains("wrote ", StringComparison.Ordinal));
        Assert.All(lines[..^1], line => Assert.True(line.Length <= 80, line));
    }

    [Fact]
    public void A_folder_without_a_run_is_one_line()
    {
        Assert.Contains("holds no run", Cli.Run("compare", _folder).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("no such folder", Cli.Run("compare", Path.Combine(_folder, "none")).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_row_is_one_line_with_file_and_number()
    {
        var folder = new RunFolder(Path.Combine(_folder, "run"));
        HtmlReportTests.Write(folder, SyntheticRuns.Run("ppo", 1, 0.7));
        File.WriteAllText(folder.MetricsPath, "{}\n" + File.ReadAllText(folder.MetricsPath));
        Assert.Contains("metrics.jsonl:1: 'iteration' is missing", Cli.Run("compare", folder.Path).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Runs_without_an_evaluation_are_one_line()
    {
        HtmlReportTests.Write(new RunFolder(Path.Combine(_folder, "run")), SyntheticRuns.Run("ppo", 1, 0.7) with { Evaluations = [], Guide = null });
        Assert.Contains("none of these runs has been evaluated", Cli.Run("compare", _folder).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }
}
