using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>
/// How complete rows are read with the least work: those of like length in a pass each, and prompts that several rows have once. It depends on the rows' tokens alone, so that what comes of them is the same each time, in every model.
/// </summary>
/// <param name="Whole">Places of the rows that are read from their first token on, pass by pass; empty where prompts are shared.</param>
/// <param name="Shared">Rows whose prompts are read once; empty where they aren't.</param>
internal sealed record ReadingPlan(IReadOnlyList<int[]> Whole, IReadOnlyList<SharedPrompts> Shared)
{
    /// <summary>The library's calls and the copies of weights of a pass take about as long as so many tokens (SmolLM2-135M, docs/benchmarks.md); on an accelerator more.</summary>
    private const int PassCost = 128, PassCostOfAccelerator = 2048;

    /// <summary>Plans a reading.</summary>
    /// <param name="rows">B rows, B at least 1.</param>
    /// <param name="contextLength">The most tokens of a row.</param>
    /// <param name="device">Where.</param>
    /// <param name="inParts">Whether there may be several passes instead of one.</param>
    /// <param name="sharing">Whether prompts may be read once.</param>
    public static ReadingPlan Of(IReadOnlyList<TokenRow> rows, int contextLength, Device device, bool inParts, bool sharing)
    {
        int[] all = [.. Enumerable.Range(0, rows.Count)];
        if (!inParts || rows.Count == 1 || rows.All(row => row.Response.Length == 0)) return new([all], []);
        var buckets = new LengthBuckets(contextLength, device.type == DeviceType.CPU ? PassCost : PassCostOfAccelerator);
        var whole = buckets.Of(all, row => rows[row].Prompt.Length + Math.Max(0, rows[row].Response.Length - 1));
        return sharing && Sharing(rows, all, buckets) is { } shared && shared.Cost < whole.Cost ? new([], shared.Parts) : new(whole.Passes, []);
    }

    /// <summary>With shared prompts; null where there are none.</summary>
    private static (IReadOnlyList<SharedPrompts> Parts, long Cost)? Sharing(IReadOnlyList<TokenRow> rows, int[] all, LengthBuckets buckets)
    {
        // Rows by prompt; a prompt's place is that of the first row that has it.
        var firsts = new Dictionary<TokenRow, int>(TokenRowEquality.Instance);
        var members = new SortedDictionary<int, List<int>>();
        foreach (var row in all)
        {
            var prompt = rows[row] with { Response = [] };
            if (!firsts.TryGetValue(prompt, out var first)) members[firsts[prompt] = first = row] = [];
            members[first].Add(row);
        }

        if (members.Count == rows.Count) return null;
        var prompts = buckets.Of([.. members.Keys], row => rows[row].Prompt.Length);
        var cost = prompts.Cost;
        List<SharedPrompts> parts = [];
        foreach (var pass in prompts.Passes)
        {
            // What a first token is predicted from is the prompt's own last state.
            int[] goOn = [.. pass.SelectMany(prompt => members[prompt]).Where(row => rows[row].Response.Length > 1).Order()];
            var responses = goOn.Length == 0 ? new([], 0) : buckets.Of(goOn, row => rows[row].Response.Length - 1);
            cost += responses.Cost;
            parts.Add(new(pass, [.. pass.Select(prompt => members[prompt].ToArray())], responses.Passes));
        }

        return (parts, cost);
    }
}

/// <summary>Some rows whose prompts are read once.</summary>
/// <param name="Prompts">For each prompt the place of a row that has it.</param>
/// <param name="Rows">For each prompt the places of all rows that have it.</param>
/// <param name="Responses">Places of the rows whose responses are read after that, pass by pass: those of two tokens and more.</param>
internal sealed record SharedPrompts(int[] Prompts, int[][] Rows, IReadOnlyList<int[]> Responses);
