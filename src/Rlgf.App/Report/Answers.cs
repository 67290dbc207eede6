using Rlgf.Base;
using Rlgf.Evaluation;
using Rlgf.Prompts;

namespace Rlgf.App.Report;

/// <summary>What one model wrote to a prompt.</summary>
/// <param name="Writer">The model's name.</param>
/// <param name="Group">Number of its group; −1 for the starting model and guides.</param>
/// <param name="Row">What it wrote and how it was scored.</param>
internal sealed record Answer(string Writer, int Group, EvaluationRow Row);

/// <summary>Held-out prompts with what each model wrote; of several seeds the first.</summary>
/// <param name="Prompt">The prompt.</param>
/// <param name="Of">The starting model's, each guide's and each group's answer.</param>
internal sealed record Answers(string Prompt, IReadOnlyList<Answer> Of)
{
    /// <summary>The prompt's conversation; null where it is a text.</summary>
    public IReadOnlyList<MessageRecord>? Messages { get; init; }

    /// <summary>Prompts drawn at random, the same for the same number of prompts: good and bad ones as they come.</summary>
    public static IReadOnlyList<Answers> Drawn(IReadOnlyList<RunGroup> groups, int prompts)
    {
        var writers = Writers(groups);
        if (writers.Count == 0) return [];
        var order = Enumerable.Range(0, writers[0].Rows.Count).ToArray();
        new RandomStream(seed: 6).Shuffle(order.AsSpan());
        return [.. order.Take(prompts).Select(prompt => new Answers(
            writers[0].Rows[prompt].Prompt, [.. writers.Select(writer => new Answer(writer.Name, writer.Group, writer.Rows[prompt]))]) { Messages = writers[0].Rows[prompt].Messages })];
    }

    private static List<(string Name, int Group, IReadOnlyList<EvaluationRow> Rows)> Writers(IReadOnlyList<RunGroup> groups)
    {
        var writers = new List<(string, int, IReadOnlyList<EvaluationRow>)>();
        var runs = groups.SelectMany(group => group.Runs).ToArray();
        if (runs.FirstOrDefault(run => run.Start is not null) is { } started) writers.Add((ResultsTable.StartName, -1, started.Start!.Rows));
        var guided = runs.Where(run => run.Guide is not null).DistinctBy(run => run.Description.Guide).ToArray();
        writers.AddRange(guided.Select(run => (ResultsTable.GuideName(run.Description.Guide, guided.Length), -1, run.Guide!.Rows)));
        // A run that was only evaluated at its start has nothing of its own yet.
        for (var i = 0; i < groups.Count; i++)
        {
            if (groups[i].Runs.FirstOrDefault(run => run.Last is { Iteration: > 0 }) is { } run) writers.Add((groups[i].Label, i, run.Last!.Rows));
        }
        return writers;
    }
}
