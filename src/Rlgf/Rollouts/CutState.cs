using System.Collections.Immutable;
using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Rollouts;

/// <summary>Between which shares of the guide's text a prompt is cut.</summary>
/// <param name="Low">The least share.</param>
/// <param name="High">The largest.</param>
public readonly record struct CutInterval(double Low, double High)
{
    /// <summary>Anywhere.</summary>
    public static CutInterval Whole { get; } = new(0, 1);
}

/// <summary>What the rules <see cref="CutRule.Interval"/> and <see cref="CutRule.Bisect"/> know of each prompt, by its identity; a checkpoint keeps it. Immutable.</summary>
/// <param name="Prompts">The prompts that were cut before.</param>
/// <param name="Average">Where a new prompt begins: the moving mean of the intervals.</param>
public sealed record CutState(ImmutableSortedDictionary<string, CutInterval> Prompts, CutInterval Average)
{
    private const string Format = "rlgf cuts 1";

    /// <summary>Nothing known.</summary>
    public static CutState New { get; } = new(ImmutableSortedDictionary.Create<string, CutInterval>(StringComparer.Ordinal), CutInterval.Whole);

    /// <summary>The interval of a prompt.</summary>
    /// <param name="promptId">Its identity.</param>
    public CutInterval Of(string promptId) => Prompts.TryGetValue(promptId, out var interval) ? interval : Average;

    /// <summary>The state after rows were scored: rows of one group that began with the same share of the guide's text are one trial of it.</summary>
    /// <param name="cut">The rule.</param>
    /// <param name="rows">What was written.</param>
    /// <param name="successReward">From which reward on a row succeeded.</param>
    public CutState After(CutSettings cut, IReadOnlyList<ScoredRow> rows, double successReward)
    {
        var trials = rows.Where(row => row.Rollout is { Plan.CutsByShare: true, WholeGuideResponse: not null }).GroupBy(row => (row.Rollout.Group, row.Rollout.Plan.Share)).ToArray();
        if (trials.Length == 0) return this;
        var prompts = Prompts;
        foreach (var trial in trials)
        {
            var id = trial.First().Rollout.Prompt.Id;
            var before = prompts.TryGetValue(id, out var interval) ? interval : Average;
            prompts = prompts.SetItem(id, cut.After(before, trial.Key.Share, ScoredRow.SuccessRate(trial, successReward)));
        }
        if (cut.Memory is not { } memory) return this with { Prompts = prompts };
        var now = trials.Select(trial => prompts[trial.First().Rollout.Prompt.Id]).ToArray();
        return new(prompts, new(memory * Average.Low + (1 - memory) * now.Average(interval => interval.Low), memory * Average.High + (1 - memory) * now.Average(interval => interval.High)));
    }

    /// <summary>Writes it; every number whole.</summary>
    /// <param name="stream">Where to.</param>
    public void Write(Stream stream) => JsonSerializer.Serialize(stream, new Saved(
        Format, [Average.Low, Average.High], Prompts.ToDictionary(prompt => prompt.Key, prompt => (double[])[prompt.Value.Low, prompt.Value.High], StringComparer.Ordinal)));

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InputException">It is of another format or damaged; names it.</exception>
    public static CutState Read(string path)
    {
        var saved = StateJson.Read<Saved>(path, "the prompts' cuts are", Format, saved =>
            saved is { Format: Format, Average.Length: 2, Prompts: { } prompts } && prompts.Values.All(interval => interval is { Length: 2 }));
        return new(
            saved.Prompts!.ToImmutableSortedDictionary(prompt => prompt.Key, prompt => new CutInterval(prompt.Value[0], prompt.Value[1]), StringComparer.Ordinal), new(saved.Average![0], saved.Average[1]));
    }

    private sealed record Saved(string? Format, double[]? Average, Dictionary<string, double[]>? Prompts);
}
