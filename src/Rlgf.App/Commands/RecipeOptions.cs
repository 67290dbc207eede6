using System.CommandLine;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Recipes;
using Rlgf.Runs;
using Rlgf.Training;

namespace Rlgf.App.Commands;

/// <summary>What commands that work by a recipe have in common.</summary>
internal static class RecipeOptions
{
    /// <summary>The recipe's file, or the folder of a run, which keeps its recipe.</summary>
    public static Argument<string> Recipe() => new("recipe") { HelpName = "RECIPE", Description = "The recipe, a YAML file; or the folder of a run, for the recipe that it was made by." };

    /// <summary>Changes to the recipe.</summary>
    public static Option<string[]> Set() => new("--set")
    {
        HelpName = "PATH=VALUE", Description = "Changes a key of the recipe, such as --set seed=2 or --set update.epochs=3; may be given several times.", DefaultValueFactory = _ => [],
    };

    /// <summary>The changes that were given: those of <c>--set</c>, and the device as one more.</summary>
    public static RecipeChange[] Changes(ParseResult parsed, Option<string[]> set, Option<string?> device) =>
        [.. parsed.GetValue(set)!, .. parsed.GetValue(device) is { } name ? (RecipeChange[])[new($"device={name}", $"--device {name}")] : []];

    /// <summary>The run whose recipe a path names: its folder, or the recipe in it; null for a recipe to begin runs with.</summary>
    public static RunFolder? RunOf(string path) => Directory.Exists(path) ? new RunFolder(path)
        : RunFolder.IsRecipeOfRun(path) ? new RunFolder(Path.GetDirectoryName(path) is { Length: > 0 } folder ? folder : ".") : null;

    /// <summary>The folder of the policy in a run's newest checkpoint.</summary>
    /// <param name="run">The run.</param>
    /// <param name="use">What it is wanted for, as a verb.</param>
    /// <exception cref="InputException">The run has no checkpoint yet.</exception>
    public static string NewestPolicy(RunFolder run, string use) => CheckpointFolder.NewestPolicy(run.CheckpointsFolder)?.Path
        ?? throw new InputException($"{run.Path}: the run has no checkpoint yet, so there is no trained policy to {use}");

    /// <summary>A model's folder as it is given, or that of the newest policy of a run.</summary>
    /// <param name="path">The folder of either.</param>
    /// <param name="use">What is to be done with it, for messages.</param>
    public static string PolicyOf(string path, string use) =>
        !Directory.Exists(path) || ModelFiles.HoldsModel(path) || !new RunFolder(path).HoldsRun ? path : NewestPolicy(new RunFolder(path), use);

    /// <summary>The recipe's file.</summary>
    /// <param name="path">A file, or the folder of a run.</param>
    public static string FileOf(string path) => Directory.Exists(path) ? new RunFolder(path).RecipePath : path;

    /// <summary>The kinds of parts that recipes can name in this program, as a sentence or two.</summary>
    public static string Kinds(PartKinds kinds)
    {
        (string What, IReadOnlyList<string> Names)[] all =
        [
            ("guide", kinds.Guides.Names), ("reward and judge", kinds.Rewards.Names), ("algorithm", kinds.Algorithms.Names), ("data.reader", kinds.Readers.Names), ("logs", kinds.Logs.Names),
        ];
        return $"Kinds that a recipe can name: {string.Join("; ", all.Select(one => $"{one.What}: {string.Join(", ", one.Names)}"))}. 'rlgf reference' has the keys of each.";
    }

    /// <summary>Reads a recipe of one kind.</summary>
    /// <param name="path">A file, or the folder of a run.</param>
    /// <param name="changes">Changes to what the recipe says.</param>
    /// <param name="kinds">The kinds of parts that it can name.</param>
    /// <exception cref="InputException">The recipe can't be read or is of another kind; names file, line and key.</exception>
    public static T Read<T>(string path, IReadOnlyList<RecipeChange> changes, PartKinds kinds) where T : RunRecipe
    {
        if (path.Length == 0) throw new InputException("the name of the recipe is empty: name a file, or a run's folder");
        var folder = Directory.Exists(path) ? new RunFolder(path) : null;
        if (folder is { HoldsRun: true } && !File.Exists(folder.RecipePath))
            throw new InputException($"{path}: the run has no recipe: it was made by a program of somebody's own, and only that program knows its reward; name a recipe, or let the program add the reward as a kind and train by a recipe");
        var file = FileOf(path);
        var recipe = RunFolder.IsRecipeOfRun(file) ? RecipeOfRun.Read(file, changes, kinds) : RecipeFile.Load<RunRecipe>(file, changes, kinds);
        return recipe as T ?? throw recipe.Refusal("kind", $"this recipe is for 'rlgf {RecipeKinds.CommandOf(recipe)}'");
    }
}
