using System.Globalization;
using System.Text.Json;
using Rlgf.App.Report;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Recipes;

namespace Rlgf.App.Sweeps;

/// <summary>What a command line asks for.</summary>
/// <param name="Recipes">Files of recipes, at least one; several are one more thing that varies.</param>
/// <param name="Changes">Changes to all of them.</param>
/// <param name="Keys">What varies.</param>
/// <param name="Seeds">Seeds of each setting; null for the recipe's own.</param>
/// <param name="Output">The sweep's folder; null for <c>runs/sweep-NAME</c> by the first recipe's name.</param>
internal sealed record SweepRequest(IReadOnlyList<string> Recipes, IReadOnlyList<RecipeChange> Changes, IReadOnlyList<SweptKey> Keys, IReadOnlyList<ulong>? Seeds, string? Output);

/// <summary>All runs of a sweep, each checked before any begins.</summary>
/// <param name="Folder">The sweep's folder.</param>
/// <param name="Title">What it is of.</param>
/// <param name="Keys">What varies, by path; <see cref="RecipeKey"/> first where the recipe does.</param>
/// <param name="Runs">Setting by setting, and in each seed by seed.</param>
internal sealed record SweepPlan(string Folder, string Title, IReadOnlyList<string> Keys, IReadOnlyList<PlannedRun> Runs)
{
    /// <summary>What varies where several recipes are named.</summary>
    public const string RecipeKey = "recipe";

    private const int MostRuns = 10_000, MostOfName = 60;

    /// <summary>Binds every combination of values and seeds.</summary>
    /// <param name="request">What was asked for.</param>
    /// <param name="read">Reads a recipe's file with changes.</param>
    /// <exception cref="UsageException">The request contradicts itself.</exception>
    /// <exception cref="InputException">A combination is no recipe that can be trained; names the change or the line.</exception>
    public static SweepPlan Of(SweepRequest request, Func<string, RecipeChange[], TrainRecipe> read)
    {
        RequireConsistent(request);
        SweptKey[] keys = [.. request.Recipes.Count > 1 ? [new SweptKey(RecipeKey, request.Recipes)] : (SweptKey[])[], .. request.Keys];
        var settings = keys.Aggregate(1L, (count, key) => Math.Min(count * key.Values.Count, int.MaxValue));
        if (settings * (request.Seeds?.Count ?? 1) > MostRuns)
            throw new UsageException($"these are {settings} settings with {request.Seeds?.Count ?? 1} seeds each; a sweep has at most {MostRuns} runs: leave some values out");
        var first = read(request.Recipes[0], [.. Together(request, [.. keys.Select(key => key.Key)], [.. keys.Select(key => key.Values[0])])]);
        var folder = request.Output ?? $"runs/sweep-{first.Name}";
        var names = keys.Select(NamesOf).ToArray();
        List<PlannedRun> runs = [];
        Dictionary<string, string> seen = [];
        foreach (var choice in Combinations([.. keys.Select(key => key.Values.Count)]))
        {
            string[] values = [.. choice.Select((value, i) => keys[i].Values[value])];
            var below = string.Join('/', choice.Select((value, i) => names[i][value]));
            foreach (var seed in request.Seeds ?? [SeedOf(request, keys, values, read)])
            {
                var name = $"{below}{(below.Length > 0 ? "/" : "")}seed-{seed.ToString(CultureInfo.InvariantCulture)}";
                runs.Add(Bind(request, [.. keys.Select(key => key.Key)], values, seed, folder, name, read));
            }

            var settled = string.Join('\n', RunSettings.Of(RecipeFile.Write(runs[^1].Recipe), ".").Select(setting => $"{setting.Key}={setting.Value}"));
            if (!seen.TryAdd(settled, below)) throw new UsageException($"{below} is the same setting as {seen[settled]}: no result could tell them apart; leave one out");
        }

        return new SweepPlan(folder, $"Sweep: {(keys.Length == 0 ? first.Name : $"{first.Name} over {string.Join(" and ", keys.Select(key => key.Key))}")}", [.. keys.Select(key => key.Key)], runs);
    }

    /// <summary>One run of a sweep, planned now or before.</summary>
    /// <param name="request">What was asked for.</param>
    /// <param name="keys">What varies, by path.</param>
    /// <param name="values">The run's value of each.</param>
    /// <param name="seed">Its seed.</param>
    /// <param name="folder">The sweep's folder.</param>
    /// <param name="name">The run's folder below that.</param>
    /// <param name="read">Reads a recipe's file with changes.</param>
    /// <exception cref="InputException">It is no recipe that can be trained and compared.</exception>
    public static PlannedRun Bind(
        SweepRequest request, IReadOnlyList<string> keys, IReadOnlyList<string> values, ulong seed, string folder, string name, Func<string, RecipeChange[], TrainRecipe> read)
    {
        var file = keys is [RecipeKey, ..] ? values[0] : request.Recipes[0];
        var path = Path.Combine(folder, Path.Combine(name.Split('/')));
        RecipeChange[] changes =
        [
            .. Together(request, keys, values), new(string.Create(CultureInfo.InvariantCulture, $"seed={seed}"), string.Create(CultureInfo.InvariantCulture, $"--seeds {seed}")),
            // In quotes of YAML, which takes those of JSON: a path may hold what YAML takes for something else.
            new($"output={JsonSerializer.Serialize(path)}", $"--output {path}"),
        ];
        var recipe = read(file, changes);
        if (recipe.Data.EvaluationPath is null) throw recipe.Refusal("data.evaluation_path", "a sweep compares its runs on held-out prompts, and the recipe has none: set it");
        recipe.RequireOutput();
        return new PlannedRun(name, values, seed, file, changes, (TrainRecipe)recipe.Resolved());
    }

    private static ulong SeedOf(SweepRequest request, SweptKey[] keys, string[] values, Func<string, RecipeChange[], TrainRecipe> read) =>
        read(request.Recipes.Count > 1 ? values[0] : request.Recipes[0], [.. Together(request, [.. keys.Select(key => key.Key)], values)]).Seed;

    /// <summary>What <c>--set</c> and <c>--over</c> change together. Where one gives a section and the other a key in it, the section comes first.</summary>
    private static IEnumerable<RecipeChange> Together(SweepRequest request, IReadOnlyList<string> keys, IReadOnlyList<string> values)
    {
        RecipeChange[] varied = [.. Varied(keys, values)];
        var sections = varied.Where(one => request.Changes.Any(change => change.Key.StartsWith($"{one.Key}.", StringComparison.Ordinal))).ToArray();
        return [.. sections, .. request.Changes, .. varied.Except(sections)];
    }

    private static IEnumerable<RecipeChange> Varied(IReadOnlyList<string> keys, IReadOnlyList<string> values) => keys.Zip(values).Where(one => one.First != RecipeKey).Select(one => RecipeChange.By("--over", $"{one.First}={one.Second}"));

    private static void RequireConsistent(SweepRequest request)
    {
        foreach (var change in request.Changes)
        {
            var (key, place) = (change.Key, change.Place);
            if (key == "output") throw new UsageException($"{place}: each run has a folder of its own in the sweep's, which --output names");
            if (key == "seed" && request.Seeds is not null) throw new UsageException($"{place}: the seeds are given by --seeds");
            if (request.Keys.Any(swept => swept.Key == key)) throw new UsageException($"{place}: --over gives this key its values; leave one of the two out");
        }

        if (request.Keys.GroupBy(key => key.Key).FirstOrDefault(same => same.Count() > 1) is { } twice) throw new UsageException($"--over {twice.Key} is there twice; give all its values in one");
        if (request.Recipes.GroupBy(RealPath.Of).FirstOrDefault(same => same.Count() > 1) is { } again) throw new UsageException($"{again.First()}: the recipe is there twice");
    }

    /// <summary>All choices of one of each, the last changing fastest.</summary>
    private static IEnumerable<int[]> Combinations(int[] counts) => counts.Aggregate((IEnumerable<int[]>)[[]], (before, count) => before.SelectMany(chosen => Enumerable.Range(0, count).Select(next => (int[])[.. chosen, next])));

    /// <summary>A folder's name for each value of a key: the last part of the key and the value, made of characters that all systems take, and all different.</summary>
    private static string[] NamesOf(SweptKey key)
    {
        List<string> names = [];
        foreach (var value in key.Values)
        {
            var text = key.Key == RecipeKey ? Path.GetFileNameWithoutExtension(value.TrimEnd('/', '\\')) : value;
            var readable = string.Join('-', new string([.. text.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '+' or '-' ? c : ' ')]).Split(' ', StringSplitOptions.RemoveEmptyEntries));
            var name = $"{key.Key.Split('.')[^1]}-{(readable.Length > MostOfName ? readable[..MostOfName] : readable)}".TrimEnd('.');
            var (free, number) = (name, 1);
            while (names.Contains(free, StringComparer.OrdinalIgnoreCase)) free = string.Create(CultureInfo.InvariantCulture, $"{name}-{++number}");
            names.Add(free);
        }

        return [.. names];
    }
}
