using System.Reflection;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Distributed;
using Rlgf.Recipes;
using Rlgf.Runs;

namespace Rlgf.Composition;

/// <summary>Whether all ranks of a run are about to do the same: the same version, recipe, data and models, each from the files of its own machine.</summary>
internal static class SameOnAllRanks
{
    private sealed record Part(string What, string Digest);

    /// <summary>Compares them with the first rank's.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="recipe">The recipe, resolved.</param>
    /// <exception cref="InputException">One has another; names it and its machine, and what differs. All ranks throw it.</exception>
    public static void Require(ICommunicator ranks, TrainRecipe recipe)
    {
        if (ranks.Size == 1) return;
        Part[] own =
        [
            new("version of rlgf", typeof(SameOnAllRanks).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? ""),
            new("recipe", Checksum.Of(RecipeOfRun.Write(recipe, Path.GetFullPath(recipe.Output!)))),
            // Of the largest files only parts were read, and when they were written differs from machine to machine.
            .. RunInputs.Of(recipe).Files.Select(file => new Part($"{file.Key}: {file.Name}", FormattableString.Invariant($"{file.Bytes} bytes, {file.Checksum}"))),
        ];
        var all = Array.ConvertAll(ranks.Gather(JsonSerializer.SerializeToUtf8Bytes(own)), bytes => JsonSerializer.Deserialize<Part[]>(bytes)!);
        for (var rank = 1; rank < ranks.Size; rank++)
        {
            var (first, other) = (all[0].ToDictionary(part => part.What, part => part.Digest), all[rank].ToDictionary(part => part.What, part => part.Digest));
            if (first.Keys.Union(other.Keys).FirstOrDefault(what => first.GetValueOrDefault(what) != other.GetValueOrDefault(what)) is not { } different) continue;
            var how = !other.ContainsKey(different) ? "has not the file of" : !first.ContainsKey(different) ? "has a file more, of" : "has another";
            throw new InputException($"rank {rank} on {ranks.Hosts[rank]} {how} {different}{(how == "has another" ? $" ({Short(other[different])})" : "")} than rank 0 on {ranks.Hosts[0]}{(how == "has another" ? $" ({Short(first[different])})" : "")}: "
                + "all ranks need the same version, recipe, data and models at the same places");
        }

        var groups = recipe.RowsPerIteration / recipe.Algorithm.ToSettings().GroupSize;
        if (groups < ranks.Size)
            throw recipe.Refusal("rows_per_iteration", FormattableString.Invariant($"{ranks.Size} processes were started, and an iteration has {groups} prompts to deal among them: raise it, or start at most {groups}"));
    }

    private static string Short(string digest) => digest.Length <= 60 ? digest : digest[..60] + "…";
}
