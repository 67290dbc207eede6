using System.Globalization;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Evaluation;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Commands;

/// <summary>The terminal's log of a training, of every kind: how it starts, how far it is, and what was measured.</summary>
/// <param name="terminal">Where.</param>
/// <param name="recipe">The recipe, resolved.</param>
/// <param name="unit">What is counted: <c>iteration</c> or <c>step</c>.</param>
internal sealed class RunProgress(Terminal terminal, RunRecipe recipe, string unit) : IRunLog, IDisposable
{
    private ProgressLine? _line;
    private int _done;
    private int _total;

    /// <inheritdoc/>
    public void Started(RunStart start)
    {
        foreach (var note in start.Notes) terminal.Error.WriteLine($"warning: {note}");
        terminal.Error.WriteLine(start.IsResumed ? $"{recipe.Name}: resumed at {unit} {start.Done} of {start.Total} in {recipe.Output}" : $"{recipe.Name}: begins anew in {recipe.Output}");
        (_done, _total) = (start.Done, start.Total);
        _line = new ProgressLine(terminal, recipe.Name, unit + "s", start.Total, start.Done);
    }

    /// <inheritdoc/>
    public void Iteration(IterationRecord record) => Report(record.Iteration + 1, Figures(record.Metrics));

    /// <inheritdoc/>
    public void Step(StepRecord record) =>
        Report(record.Step, string.Create(CultureInfo.InvariantCulture, $"loss {record.Metrics["loss"]:0.000} · {record.Metrics["tokens_per_second"]:#,0} tokens/s"));

    /// <inheritdoc/>
    public void Evaluation(EvaluationRecord record) => Note(record.Iteration, Figures(record.Metrics));

    /// <inheritdoc/>
    public void HeldOut(StepRecord record) => Note(record.Step, $"held-out {HeldOutFigures(record.Metrics)}");

    /// <inheritdoc/>
    public void Samples(int iteration, IReadOnlyList<SampleRecord> samples) { }

    /// <inheritdoc/>
    public void Warning(int iteration, string message) => _line?.Note(string.Create(CultureInfo.InvariantCulture, $"warning: after {iteration} {unit}s: {message}"));

    /// <inheritdoc/>
    public void Tripwire(TripwireRecord record) => _line?.Note($"tripwire {record.Wire}: after {record.Iteration} {unit}s {record.Seen}: {record.Action}");

    /// <inheritdoc/>
    public void WentBack(int iteration) => _done = iteration;

    /// <summary>Ends with a line that says how many in what time.</summary>
    public void Ended() => _line?.Done();

    /// <summary>What is said of a training that was stopped on request, to throw.</summary>
    /// <param name="isPart">Whether the training is a part of what the command does, so that the command goes on with all of it.</param>
    public StoppedException Stopped(bool isPart = false)
    {
        if (_line is null) return new($"{(isPart ? $"{recipe.Name}: " : "")}stopped before the first {unit}; the same command goes on");
        var command = isPart ? null : $"{terminal.Program} {RecipeKinds.CommandOf(recipe)} {recipe.Output} --resume";
        var (of, what) = (isPart ? $"{recipe.Name}: " : "", command is null ? "the same command goes on" : null);
        return new(_done == 0 ? $"{of}stopped before the first {unit}; {what ?? $"begin again with: {command}"}" : $"{of}stopped after {_done} of {_total} {unit}s, which are saved; {what ?? $"go on with: {command}"}");
    }

    /// <summary>Whether anything is done, by this process or before.</summary>
    public bool HasBegun => _done > 0;

    /// <inheritdoc/>
    public void Dispose() => _line?.Dispose();

    /// <summary>Figures of held-out examples, on one line.</summary>
    public static string HeldOutFigures(IReadOnlyDictionary<string, double> metrics) =>
        string.Join(" · ", metrics.Select(metric => string.Create(CultureInfo.InvariantCulture, $"{metric.Key.Replace('_', ' ')} {metric.Value:0.000}")));

    private void Report(int done, string figures)
    {
        _done = done;
        _line?.Report(done, figures);
    }

    private void Note(int done, string figures) => _line?.Note($"{recipe.Name}: after {done} {unit}s {figures}");

    /// <summary>The figures that tell most of answers, on one line.</summary>
    private static string Figures(IReadOnlyDictionary<string, double> metrics)
    {
        // Of several guides each has its own cost, maybe in a currency of its own.
        var ofEach = metrics.Keys.Where(key => key.StartsWith("guide/", StringComparison.Ordinal) && key.Count(c => c == '/') > 1).Order(StringComparer.Ordinal)
            .Select(key => (Metric: key, Name: key.EndsWith("/cost", StringComparison.Ordinal) ? $"{Guide(key)}'s cost" : key.EndsWith("/left", StringComparison.Ordinal) ? $"{Guide(key)}'s budget left" : "")).Where(one => one.Name.Length > 0);
        (string Metric, string Name)[] shown = [("reward/mean", "reward"), ("judge/mean", "judge"), ("kl/start", "KL"), ("response/length", "tokens"), ("guide/cost", "guide's cost"), ("guide/left", "guide's budget left"), .. ofEach];
        return string.Join(" · ", shown.Where(one => metrics.TryGetValue(one.Metric, out var value) && double.IsFinite(value))
            .Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Name} {Number.Fixed(metrics[one.Metric], 3)}")));

        static string Guide(string key) => key["guide/".Length..key.LastIndexOf('/')];
    }
}
