using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Prompts;
using Rlgf.Recipes;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;

namespace Rlgf.Composition;

/// <summary>Pairs as a recipe names them: those to learn from, and those that are held out.</summary>
/// <param name="Learned">To learn from.</param>
/// <param name="Measured">Held out.</param>
/// <param name="Notes">What was left out, one line each.</param>
internal sealed record PairData(IReadOnlyList<PreferencePair> Learned, IReadOnlyList<PreferencePair> Measured, IReadOnlyList<string> Notes)
{
    /// <summary>Reads them.</summary>
    /// <param name="data">Where they are.</param>
    /// <param name="kinds">The kinds of readers.</param>
    /// <param name="problem">Why a pair can't be used, in words that count it with others; null where it can.</param>
    /// <param name="cancellationToken">Stops between rows.</param>
    /// <exception cref="InputException">A row is malformed, or none is left.</exception>
    public static PairData Read(PairsSection data, PartKinds kinds, Func<PreferencePair, string?> problem, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var notes = new List<string>();
        var options = new TextDatasetOptions { Filter = data.Filter };
        var training = Pairs(data.Path, options with { Reader = kinds.Reader(data.Reader, heldOut: false), Limit = data.Limit, Sample = data.Sample, SampleSeed = data.SampleSeed });
        if (data.EvaluationPath is { } path) return new(training, TextDataset.Spread(Pairs(path, options with { Reader = kinds.Reader(data.Reader, heldOut: true) }), data.HeldOutRows), notes);
        var (others, measured) = HeldOut.Divide(training, data.HeldOutRows, data.Path, "pairs");
        var known = measured.Select(Key).ToHashSet();
        PreferencePair[] learned = [.. others.Where(pair => !known.Contains(Key(pair)))];
        if (learned.Length == 0) throw new InputException($"{data.Path}: every prompt is that of a held-out pair, so that none is left to learn from; lower held_out_rows, or set evaluation_path");
        if (learned.Length < others.Length) notes.Add($"{data.Path}: {others.Length - learned.Length} pairs have the prompt of a held-out one and are not learned from");
        return new(learned, measured, notes);

        IReadOnlyList<PreferencePair> Pairs(string file, TextDatasetOptions how)
        {
            var rows = TextDataset.Open(file, how).Rows;
            var dropped = new DroppedRows();
            var columns = new PairColumns { Prompt = data.PromptColumn, Chosen = data.ChosenColumn, Rejected = data.RejectedColumn, Margin = data.MarginColumn };
            var pairs = new List<PreferencePair>();
            foreach (var pair in PreferencePairs.Read(rows, columns, dropped))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (problem(pair) is { } reason) dropped.Add(reason, pair.Row);
                else pairs.Add(pair);
            }

            if (dropped.Line(rows.Count) is not { } line) return pairs;
            if (pairs.Count == 0) throw new InputException($"{file}: no pair is left: {line}");
            notes.Add($"{file}: {line}");
            return pairs;
        }
    }

    /// <summary>A pair's prompt as rewards and policies get it in a run.</summary>
    public static Prompt PromptOf(PreferencePair pair) => new(pair.Prompt[^1].Content, []) { Messages = pair.IsConversation ? pair.Prompt : null, Row = pair.Row };

    /// <summary>A prompt as a text that can be compared.</summary>
    private static string Key(PreferencePair pair) => string.Concat(pair.Prompt.Select((ChatMessage message) => $"{message.Role.Length} {message.Role} {message.Content.Length} {message.Content}"));
}
