using System.Globalization;
using System.Text;
using Rlgf.Rollouts;
using Rlgf.Runs;

namespace Rlgf.App.Report;

/// <summary>Training rows token by token: the ground says who wrote a token, the line under it how good it turned out, a pointer on it shows the numbers.</summary>
internal static class TokenView
{
    private const int MostIterations = 6;
    private const int MostRows = 4;

    /// <summary>A run's samples: iterations spread over the run, first and last included, within a number of tokens.</summary>
    public static string Of(ReportRun run, int mostTokens)
    {
        var html = new StringBuilder();
        foreach (var samples in Chosen(run.Samples, mostTokens))
        {
            html.Append(CultureInfo.InvariantCulture, $"<h3>After {samples.Iteration} iteration{(samples.Iteration == 1 ? "" : "s")}</h3>");
            foreach (var row in samples.Rows) AppendRow(html, row);
        }
        return html.ToString();
    }

    /// <summary>Fewer rows and then fewer iterations until they fit.</summary>
    private static ReportSamples[] Chosen(IReadOnlyList<ReportSamples> samples, int mostTokens)
    {
        for (var iterations = Math.Min(MostIterations, samples.Count); iterations > 0; iterations--)
        {
            for (var rows = MostRows; rows > 0; rows--)
            {
                var chosen = Enumerable.Range(0, iterations).Select(i => samples[iterations == 1 ? ^1 : i * (samples.Count - 1) / (iterations - 1)])
                    .Select(s => s with { Rows = [.. s.Rows.Take(rows)] }).ToArray();
                if (chosen.Sum(s => s.Rows.Sum(row => row.Tokens.Count)) <= mostTokens) return chosen;
            }
        }
        return [];
    }

    private static void AppendRow(StringBuilder html, SampleRecord row)
    {
        html.Append("<div class=\"card tokens\"><div class=\"at\">");
        html.Append(CultureInfo.InvariantCulture, $"reward {Number.Fixed(row.Reward, 3)}");
        if (row.RewardParts.Count > 1) html.Append(" (").AppendJoin(", ", row.RewardParts.Select(part => $"{HtmlText.Escape(part.Key)} {Number.Fixed(part.Value, 3)}")).Append(')');
        html.Append(CultureInfo.InvariantCulture, $" · roll-in {row.RollInLength} of {row.Tokens.Count} tokens</div>");
        html.Append("<div class=\"text\"><span class=\"prompt\">").Append(PromptView.Html(row.Prompt, row.Messages, 1500)).Append("</span>");
        var scale = row.Tokens.Select(t => Math.Abs(t.Advantage)).Where(double.IsFinite).DefaultIfEmpty(0).Max();
        foreach (var token in row.Tokens)
        {
            var shade = Shade(token.Advantage, scale);
            var classes = string.Join(' ', new[] { token.Author == Actor.Guide ? "g" : "", shade }.Where(c => c.Length > 0));
            html.Append("<i").Append(classes.Length > 0 ? $" class=\"{classes}\"" : "").Append(" data-t=\"").Append(Numbers(token)).Append("\">")
                .Append(HtmlText.Escape(token.Text.Replace("\n", "↵\n", StringComparison.Ordinal))).Append("</i>");
        }
        html.Append("</div></div>\n");
    }

    private static string Shade(double advantage, double scale)
    {
        if (!double.IsFinite(advantage) || scale <= 0) return "";
        var step = (int)Math.Round(3 * Math.Abs(advantage) / scale);
        return step == 0 ? "" : (advantage > 0 ? "p" : "n") + step.ToString(CultureInfo.InvariantCulture);
    }

    private static string Numbers(SampleToken token)
    {
        var text = new StringBuilder(token.Author == Actor.Guide ? "guide" : "policy");
        Add("advantage", token.Advantage, signed: true);
        Add("value", token.Value);
        Add("KL", token.Kl);
        Add("log-prob", token.LogProb);
        return text.ToString();

        void Add(string name, double value, bool signed = false)
        {
            if (double.IsFinite(value)) text.Append(" · ").Append(name).Append(' ').Append(signed ? Number.Signed(value, 3) : Number.Fixed(value, 3));
        }
    }
}
