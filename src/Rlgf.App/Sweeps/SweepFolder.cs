using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.App.Sweeps;

/// <summary>
/// A sweep's folder: <c>sweep.json</c> says what varies and which runs have been planned in it, so that no other sweep mixes with it. The same sweep may go on with more values or seeds.
/// </summary>
internal static class SweepFolder
{
    /// <summary>The file that says whose folder it is.</summary>
    public const string FileName = "sweep.json";

    /// <summary>The table's file.</summary>
    public const string TableName = "sweep.md";

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>Makes sure that a folder holds no other sweep, and no run that these settings did not make.</summary>
    /// <exception cref="InputException">It does; names what differs.</exception>
    public static void RequireSame(SweepPlan plan, SweepRequest request, Func<string, RecipeChange[], TrainRecipe> read)
    {
        var known = Read(plan.Folder);
        if (known is not null && !known.Keys.SequenceEqual(plan.Keys))
            throw new InputException($"{plan.Folder}: holds another sweep, over {Listed(known.Keys)} and not {Listed(plan.Keys)}; choose another --output");
        var planned = plan.Runs.Select(run => run.Name).ToHashSet();
        try
        {
            foreach (var run in plan.Runs) RequireSame(run);
            // A run of values that are not asked for now must still be what these recipes and changes make of them, if its recipe is asked for at all.
            foreach (var other in (known?.Runs ?? []).Where(run => !planned.Contains(run.Name) && File.Exists(new RunFolder(Path.Combine(plan.Folder, run.Name)).RecipePath)))
                if (plan.Keys is not [SweepPlan.RecipeKey, ..] || request.Recipes.Contains(other.Values[0]))
                    RequireSame(SweepPlan.Bind(request, plan.Keys, other.Values, other.Seed, plan.Folder, other.Name, read));
        }
        catch (InputException failure)
        {
            throw new InputException($"{plan.Folder}: holds another sweep: {failure.Message}", failure);
        }
    }

    /// <summary>Writes down what is planned, besides what was before.</summary>
    public static void Write(SweepPlan plan)
    {
        var before = Read(plan.Folder)?.Runs ?? [];
        var now = plan.Runs.Select(run => new KnownRun(run.Name, run.Values, run.Seed)).ToArray();
        KnownSweep known = new(plan.Keys, [.. before.Where(run => now.All(other => other.Name != run.Name)), .. now]);
        AtomicFile.WriteText(Path.Combine(plan.Folder, FileName), JsonSerializer.Serialize(known, Json) + "\n");
    }

    private static void RequireSame(PlannedRun run)
    {
        if (File.Exists(run.Folder.RecipePath)) RecipeOfRun.RequireSame(run.Folder.RecipePath, run.Recipe, "rlgf train");
    }

    private static string Listed(IReadOnlyList<string> keys) => keys.Count == 0 ? "seeds alone" : string.Join(" and ", keys);

    private static KnownSweep? Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<KnownSweep>(RegularFile.ReadText(path), Json) ?? throw new JsonException("null where a value is needed");
        }
        catch (JsonException failure)
        {
            throw JsonFault.Of(path, failure);
        }
    }

    private sealed record KnownSweep(IReadOnlyList<string> Keys, IReadOnlyList<KnownRun> Runs);

    private sealed record KnownRun(string Name, IReadOnlyList<string> Values, ulong Seed);
}
