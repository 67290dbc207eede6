using System.Globalization;
using System.Text;
using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Runs;

namespace Rlgf.App.Report;

/// <summary>
/// report.html: one file that needs no network and runs no script. Every text of a run, a prompt or a model is escaped, and a content security policy forbids what escaping might miss.
/// </summary>
internal sealed class HtmlReport
{
    private const int MostTokens = 8000;
    private const int PromptsShown = 6;
    private const int MostCharacters = 1500;

    private readonly ReportData _data;
    private readonly IReadOnlyList<RunGroup> _groups;
    private readonly ResultsTable _table;
    private readonly IReadOnlyList<ReportTable> _guides;
    private readonly StringBuilder _html = new();

    private HtmlReport(ReportData data)
    {
        _data = data;
        _groups = RunGroup.Of(data.Runs);
        _table = ResultsTable.Of(_groups);
        _guides = GuideTables.Of(_groups);
    }

    /// <summary>Writes the report.</summary>
    /// <exception cref="InputException">The runs can't be put into one table.</exception>
    public static void Write(string path, ReportData data) => AtomicFile.WriteText(path, Render(data));

    /// <summary>The page as text.</summary>
    /// <exception cref="InputException">The runs can't be put into one table.</exception>
    public static string Render(ReportData data) => new HtmlReport(data).Page();

    private string Page()
    {
        Head();
        _html.Append("<main>\n");
        Results();
        AgainstKeys();
        Charts();
        Tripwires();
        Guides();
        WrittenAnswers();
        Tokens();
        Settings();
        _html.Append("</main>\n<footer>Made by rlgf. This page is one file, loads nothing and runs no script.</footer>\n</body>\n</html>\n");
        return _html.ToString();
    }

    private void Head()
    {
        var title = HtmlText.Escape(_data.Title);
        _html.Append("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        _html.Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
        _html.Append("<title>").Append(title).Append("</title>\n<style>\n");
        _html.Append(Styles.Colours).Append(Styles.Chart).Append(Styles.Page);
        _html.Append(Styles.SeriesColours(_groups.Count)).Append(Styles.SeriesSwitches(_groups.Count)).Append("</style>\n</head>\n<body>\n<header>\n<h1>").Append(title).Append("</h1>\n");
        _html.Append("<p class=\"result\">").Append(HtmlText.Escape(ResultSentence.Of(_table))).Append("</p>\n");
        if (_data.Note is { } note) _html.Append("<p class=\"note\">").Append(HtmlText.Escape(note)).Append("</p>\n");
        _html.Append("<p class=\"meta\">").Append(HtmlText.Escape(string.Join(" · ", Facts()))).Append("</p>\n<nav>");
        if (_table.Rows.Count > 0) _html.Append("<a href=\"#results\">Results</a>");
        _html.Append("<a href=\"#curves\">Curves</a>");
        if (_guides.Count > 0) _html.Append("<a href=\"#guide\">What the guide cost</a>");
        if (_table.Rows.Count > 0) _html.Append("<a href=\"#answers\">What each model writes</a>");
        if (_data.Runs.Any(run => run.Samples.Count > 0)) _html.Append("<a href=\"#tokens\">Token by token</a>");
        _html.Append("<a href=\"#settings\">Settings</a></nav>\n</header>\n");
    }

    /// <summary>Every tripwire that a run touched: what it did since is no run of its recipe alone.</summary>
    private void Tripwires()
    {
        if (_data.Runs.All(run => run.Tripwires.Count == 0)) return;
        _html.Append("<section id=\"tripwires\">\n<h2>Tripwires</h2>\n<ul>\n");
        foreach (var run in _data.Runs)
        {
            foreach (var touched in run.Tripwires)
            {
                var who = _data.Runs.Count > 1 ? FormattableString.Invariant($"{run.Description.Algorithm}, seed {run.Description.Seed}, ") : "";
                _html.Append("<li>").Append(HtmlText.Escape(FormattableString.Invariant($"{who}{touched.Wire} after {touched.Iteration} iterations: {touched.Seen}: {touched.Action}"))).Append("</li>\n");
            }
        }

        _html.Append("</ul>\n</section>\n");
    }

    private IEnumerable<string> Facts()
    {
        yield return _data.Runs.Count == 1 ? "1 run" : $"{_data.Runs.Count} runs";
        yield return $"{_data.Runs.Max(run => run.Iterations.Count)} iterations";
        if (_table.Prompts > 0) yield return $"{_table.Prompts} held-out prompts";
        if (_data.Runs[0].Environment is not { } environment) yield break;
        if (environment.Processor.Length > 0) yield return environment.Processor;
        yield return $"{environment.Threads} threads";
        yield return environment.Started.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
    }

    private void Results()
    {
        if (_table.Rows.Count == 0) return;
        _html.Append("<h2 id=\"results\">Results</h2>\n");
        _html.Append("<div class=\"grid-of-charts\">");
        foreach (var chart in Curves.Intervals(_table)) Figure(chart.Title, chart.ToSvg());
        _html.Append("</div>\n");

        var columns = ResultsColumn.For(_table);
        _html.Append("<div class=\"scroll\"><table class=\"results\"><thead><tr><th></th>");
        foreach (var column in columns) _html.Append("<th>").Append(Explained(column.Header, column.Meaning)).Append("</th>");
        _html.Append("</tr></thead><tbody>\n");
        foreach (var row in _table.Rows)
        {
            _html.Append(row.Group < 0 ? "<tr class=\"muted\"><th>" : "<tr><th>").Append(Dot(row.Group)).Append(HtmlText.Escape(row.Name)).Append("</th>");
            foreach (var column in columns)
            {
                var cell = column.Cell(row);
                var shade = !cell.IsClear ? "" : cell.Text.StartsWith('+') ? " class=\"up\"" : " class=\"down\"";
                _html.Append("<td").Append(shade).Append('>').Append(WithSmallInterval(cell.Text)).Append("</td>");
            }
            _html.Append("</tr>\n");
        }
        _html.Append("</tbody></table></div>\n<p class=\"hint\">").Append(HtmlText.Escape(ResultsText.Explanation(_table))).Append("</p>\n");
    }

    private void Charts()
    {
        _html.Append("<h2 id=\"curves\">Curves</h2>\n");
        if (_groups.Count > 1)
        {
            _html.Append("<fieldset class=\"legend\">");
            for (var i = 0; i < _groups.Count; i++)
                _html.Append(CultureInfo.InvariantCulture, $"<label class=\"s{i}\"><input type=\"checkbox\" id=\"on{i}\" checked>{Dot(i)}{HtmlText.Escape(_groups[i].Label)}</label>");
            _html.Append("</fieldset>\n");
        }
        foreach (var set in Curves.Of(_groups))
        {
            _html.Append("<h3>").Append(HtmlText.Escape(set.Title)).Append("</h3>\n<p class=\"hint\">").Append(HtmlText.Escape(set.Explanation));
            _html.Append(HtmlText.Escape(Bands(set)));
            _html.Append("</p>\n<div class=\"grid-of-charts\">\n");
            foreach (var chart in set.Charts) Figure(chart.Title, chart.ToSvg());
            _html.Append("</div>\n");
        }
    }

    /// <summary>What lines and bands of a set are.</summary>
    private string Bands(ChartSet set)
    {
        var lines = _groups.Any(group => group.Runs.Count > 1) ? " Lines are means over the seeds." : "";
        if (set.Key == Curves.HeldOut) lines += " Bands are 95 % intervals of the mean over prompts and seeds, where it is one over prompts";
        return lines + (_groups.All(group => group.Runs.Count == 1) ? lines.Length > 0 ? "." : "" : set.Key == Curves.HeldOut ? ", and else one standard deviation of the seeds." : " Bands are one standard deviation of the seeds.");
    }

    /// <summary>Results against the keys that were varied. Their lines are not those of the curves, so that each chart names its own and none is switched off.</summary>
    private void AgainstKeys()
    {
        var charts = KeyCurves.Of(_groups, _data.VariedKeys);
        if (charts.Count == 0) return;
        _html.Append("<h2 id=\"keys\">Against what was varied</h2>\n<p class=\"hint\">").Append(HtmlText.Escape(KeyCurves.Explanation)).Append("</p>\n<div class=\"grid-of-charts apart\">\n");
        foreach (var chart in charts)
        {
            _html.Append("<figure><figcaption>").Append(HtmlText.Escape(chart.Title));
            if (chart.Series.Count > 1) _html.Append("<br><small>").AppendJoin(" ", chart.Series.Select(line => Dot(line.Colour) + HtmlText.Escape(line.Label))).Append("</small>");
            _html.Append("</figcaption>").Append(chart.ToSvg()).Append("</figure>\n");
        }
        _html.Append("</div>\n");
    }

    private void Guides()
    {
        if (_guides.Count == 0) return;
        _html.Append("<h2 id=\"guide\">What the guide cost, and what that bought</h2>\n");
        foreach (var table in _guides)
        {
            _html.Append(table.IsFolded ? "<details><summary>" : "<h3>").Append(HtmlText.Escape(table.Title)).Append(table.IsFolded ? "</summary>\n" : "</h3>\n");
            if (table.Explanation.Length > 0) _html.Append("<p class=\"hint\">").Append(HtmlText.Escape(table.Explanation)).Append("</p>\n");
            _html.Append("<div class=\"scroll\"><table class=\"results\"><thead><tr><th>").Append(HtmlText.Escape(table.First)).Append("</th>");
            foreach (var (header, meaning) in table.Columns) _html.Append("<th>").Append(Explained(header, meaning)).Append("</th>");
            _html.Append("</tr></thead><tbody>\n");
            foreach (var row in table.Rows)
            {
                _html.Append(row.IsTotal ? "<tr class=\"total\"><th>" : "<tr><th>").Append(row.Colour < 0 ? "" : Dot(row.Colour)).Append(HtmlText.Escape(row.Name)).Append("</th>");
                foreach (var cell in row.Cells) _html.Append("<td>").Append(WithSmallInterval(cell)).Append("</td>");
                _html.Append("</tr>\n");
            }

            _html.Append("</tbody></table></div>\n").Append(table.IsFolded ? "</details>\n" : "");
        }
    }

    private static string Explained(string header, string meaning) => $"<dfn title=\"{HtmlText.Escape(meaning)}\">{HtmlText.Escape(header)}</dfn>";

    private void WrittenAnswers()
    {
        var drawn = Answers.Drawn(_groups, PromptsShown);
        if (drawn.Count == 0) return;
        _html.Append("<h2 id=\"answers\">What each model writes</h2>\n<p class=\"hint\">Held-out prompts drawn at random, not picked. The numbers are the reward and, where there is one, the judge's score");
        _html.Append(_groups.Any(group => group.Runs.Count > 1) ? "; of several seeds the first.</p>\n" : ".</p>\n");
        foreach (var answers in drawn)
        {
            _html.Append("<article class=\"card\"><div class=\"text prompt\">").Append(PromptView.Html(answers.Prompt, answers.Messages, MostCharacters)).Append("</div><dl class=\"answers\">");
            foreach (var (writer, group, row) in answers.Of)
            {
                _html.Append("<dt>").Append(Dot(group)).Append(HtmlText.Escape(writer)).Append("<small>").Append(Number.Fixed(row.Reward, 3));
                if (double.IsFinite(row.Judge)) _html.Append(" / ").Append(Number.Fixed(row.Judge, 3));
                _html.Append("</small></dt><dd class=\"text\">").Append(HtmlText.Escape(row.Response, MostCharacters)).Append("</dd>");
            }
            _html.Append("</dl></article>\n");
        }
    }

    private void Tokens()
    {
        var sampled = _groups.Select((group, colour) => (group, colour)).Where(g => g.group.Runs[0].Samples.Count > 0).ToArray();
        if (sampled.Length == 0) return;
        _html.Append("<h2 id=\"tokens\">Token by token</h2>\n<p class=\"hint key\">Rows of training, with who wrote each token: <i>policy</i><i class=\"g\">guide</i> The line under a token is its advantage, ");
        _html.Append("<i class=\"p3\">better</i><i class=\"n3\">worse</i> than the critic expected, relative to the largest of its row.</p>\n");
        foreach (var (group, colour) in sampled)
        {
            var view = TokenView.Of(group.Runs[0], MostTokens / sampled.Length);
            if (sampled.Length == 1) _html.Append(view);
            else _html.Append("<details><summary>").Append(Dot(colour)).Append(HtmlText.Escape(group.Label)).Append("</summary>").Append(view).Append("</details>\n");
        }
    }

    private void Settings()
    {
        _html.Append("<h2 id=\"settings\">Settings</h2>\n");
        foreach (var group in _groups.Where(group => group.Runs[0].Recipe.Length > 0))
        {
            _html.Append("<details><summary>").Append(HtmlText.Escape($"Recipe of {group.Label}, seed {string.Join(", ", group.Runs.Select(run => run.Description.Seed))}"));
            _html.Append("</summary><pre>").Append(HtmlText.Escape(group.Runs[0].Recipe)).Append("</pre></details>\n");
        }
        var environments = _data.Runs.Select(run => run.Environment).OfType<RunEnvironment>().DistinctBy(e => e with { Started = default }).ToArray();
        foreach (var e in environments)
        {
            _html.Append("<h3>").Append(environments.Length == 1 ? "Environment" : "Environment of some of the runs").Append("</h3>\n<table class=\"facts\">");
            Fact("Rlgf", e.Rlgf);
            Fact("System", $"{e.OperatingSystem}, {e.Architecture}");
            Fact("Processor", $"{(e.Processor.Length > 0 ? e.Processor + ", " : "")}{e.LogicalCores} logical cores");
            Fact("Memory", $"{Number.Fixed(e.MemoryGibibytes, 1)} GiB");
            Fact("Runtime", $"{e.Dotnet}, TorchSharp {e.TorchSharp}, libtorch {e.Libtorch}");
            Fact("Arithmetic", $"{e.Threads} threads, float32 products at {e.MatmulPrecision}{(e.PolicyPrecision == PolicyPrecision.Bfloat16Base ? ", adapter on a base in bfloat16" : "")}{(e.Cuda ? ", CUDA device present" : "")}");
            _html.Append("</table>\n");
        }
    }

    private void Fact(string name, string value) => _html.Append("<tr><th>").Append(name).Append("</th><td>").Append(HtmlText.Escape(value)).Append("</td></tr>\n");

    private void Figure(string title, string svg) => _html.Append("<figure><figcaption>").Append(HtmlText.Escape(title)).Append("</figcaption>").Append(svg).Append("</figure>\n");

    private static string WithSmallInterval(string cell) =>
        cell.Split(" ± ") is [var mean, var half] ? $"{HtmlText.Escape(mean)}<small> ± {HtmlText.Escape(half)}</small>" : HtmlText.Escape(cell);

    private static string Dot(int colour) => colour < 0 ? "<span class=\"dot neutral\"></span>" : string.Create(CultureInfo.InvariantCulture, $"<span class=\"dot s{colour}\"></span>");
}
