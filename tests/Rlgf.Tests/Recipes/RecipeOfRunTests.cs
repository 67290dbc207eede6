using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Tests.Runs;
using Rlgf.Training;

namespace Rlgf.Tests.Recipes;

/// <summary>A run is its folder: its recipe's paths are found from wherever it is.</summary>
public sealed class RecipeOfRunTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public RecipeOfRunTests()
    {
        foreach (var folder in (string[])["project/models/start", "project/runs/one"]) Directory.CreateDirectory(_temporary.File(folder));
        File.WriteAllText(_temporary.File("project/texts.jsonl"), "{}");
    }

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void Relative_paths_are_kept_relative_to_the_run()
    {
        // Relative to the current folder, as a user writes them.
        string Here(string name) => Path.GetRelativePath(Directory.GetCurrentDirectory(), _temporary.File(name));
        var recipe = Recipe(Here("project/models/start"), Here("project/texts.jsonl"), Here("project/runs/one"));
        var written = RecipeOfRun.Write(recipe, _temporary.File("project/runs/one"));
        Assert.Contains("path: \"../../models/start\"", written, StringComparison.Ordinal);
        Assert.Contains("path: \"../../texts.jsonl\"", written, StringComparison.Ordinal);

        // A name on a hub is no path that exists.
        Assert.Contains("path: someone/model", RecipeOfRun.Write(Recipe("someone/model", Here("project/texts.jsonl"), "x"), _temporary.File("project/runs/one")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_that_moved_with_its_files_finds_them(bool isRooted)
    {
        string Named(string name) => isRooted ? _temporary.File(name) : Path.GetRelativePath(Directory.GetCurrentDirectory(), _temporary.File(name));
        Write(Recipe(Named("project/models/start"), Named("project/texts.jsonl"), Named("project/runs/one")));
        Directory.Move(_temporary.File("project"), _temporary.File("moved"));
        Expect("moved", "moved/runs/one");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_that_moved_alone_finds_what_stayed(bool isRooted)
    {
        string Named(string name) => isRooted ? _temporary.File(name) : Path.GetRelativePath(Directory.GetCurrentDirectory(), _temporary.File(name));
        Write(Recipe(Named("project/models/start"), Named("project/texts.jsonl"), Named("project/runs/one")));
        Directory.CreateDirectory(_temporary.File("far/away"));
        Directory.Move(_temporary.File("project/runs/one"), _temporary.File("far/away/one"));
        Expect("project", "far/away/one");
    }

    [Fact]
    public void What_is_nowhere_is_named_as_a_full_path()
    {
        Write(Recipe(Path.GetRelativePath(Directory.GetCurrentDirectory(), _temporary.File("project/models/start")), _temporary.File("project/texts.jsonl"), "runs/one"));
        Directory.Delete(_temporary.File("project/models/start"));
        var recipe = (TrainRecipe)RecipeOfRun.Read(_temporary.File("project/runs/one/recipe.yaml"), []);
        Assert.Equal(_temporary.File("project/models/start"), recipe.Model.Path);
    }

    [Fact]
    public void An_output_that_is_asked_for_counts_and_other_settings_are_another_run()
    {
        var recipe = Recipe(_temporary.File("project/models/start"), _temporary.File("project/texts.jsonl"), "runs/one");
        Write(recipe);
        var file = _temporary.File("project/runs/one/recipe.yaml");
        Assert.Equal("elsewhere", RecipeOfRun.Read(file, ["output=elsewhere"]).Output);
        RecipeOfRun.RequireSame(file, (TrainRecipe)(recipe with { Output = "anywhere" }).Resolved(), "rlgf train");
        var line = File.ReadAllLines(file).ToList().FindIndex(text => text.StartsWith("seed:", StringComparison.Ordinal)) + 1;
        var message = Assert.Throws<InputException>(() => RecipeOfRun.RequireSame(file, (TrainRecipe)(recipe with { Seed = 9 }).Resolved(), "rlgf train")).Message;
        Assert.StartsWith(FormattableString.Invariant($"{file}:{line}: the run was begun with 'seed: 1' and would go on with 'seed: 9'"), message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_key_that_differs_is_named_with_both_values_whatever_stands_between_them()
    {
        var begun = Recipe(_temporary.File("project/models/start"), _temporary.File("project/texts.jsonl"), "runs/one") with { Supervised = new() { Source = SupervisedSource.References, Column = "text", Coefficient = 0.5 } };
        Write(begun);
        var file = _temporary.File("project/runs/one/recipe.yaml");
        string Line(string key) => FormattableString.Invariant($"{file}:{File.ReadAllLines(file).ToList().FindIndex(text => text.TrimStart().StartsWith(key + ":", StringComparison.Ordinal)) + 1}");

        // The section that is dropped has lines of its own; the keys after it are the same.
        var lines = Refused(begun with { Supervised = null, RowsPerIteration = 8, Seed = 9 });
        Assert.Equal(3, lines.Length);
        Assert.Equal($"{Line("seed")}: the run was begun with 'seed: 1' and would go on with 'seed: 9'", lines[0]);
        Assert.StartsWith($"{Line("supervised")}: the run was begun with 'supervised: {{source: references, ", lines[1], StringComparison.Ordinal);
        Assert.Contains("coefficient: 0.5", lines[1], StringComparison.Ordinal);
        Assert.EndsWith("}' and would go on with 'supervised: null'", lines[1], StringComparison.Ordinal);
        Assert.StartsWith($"{Line("rows_per_iteration")}: the run was begun with 'rows_per_iteration: 4' and would go on with 'rows_per_iteration: 8'; resume with the recipe that it has", lines[2], StringComparison.Ordinal);

        // Of what may change, each key is said.
        var changes = RecipeOfRun.Changes(file, (TrainRecipe)(begun with { Iterations = 9, Tripwires = new() { MostKl = 3 } }).Resolved()).ToArray();
        Assert.Equal("the run goes on with 'iterations: 9' in place of 'iterations: 2'", changes[0]);
        Assert.StartsWith("the run goes on with 'tripwires: {action: warn, ", changes[1], StringComparison.Ordinal);
        Assert.EndsWith("}' in place of 'tripwires: null'", changes[1], StringComparison.Ordinal);
        Assert.Equal(2, changes.Length);

        string[] Refused(TrainRecipe recipe) => Assert.Throws<InputException>(() => RecipeOfRun.RequireSame(file, (TrainRecipe)recipe.Resolved(), "rlgf train")).Message.Split($"; {file}").Select((part, at) => at == 0 ? part : file + part).ToArray();
    }

    private void Expect(string files, string run)
    {
        var recipe = (TrainRecipe)RecipeOfRun.Read(_temporary.File($"{run}/recipe.yaml"), []);
        Assert.Equal(_temporary.File($"{files}/models/start"), Path.GetFullPath(recipe.Model.Path));
        Assert.Equal(_temporary.File($"{files}/texts.jsonl"), Path.GetFullPath(recipe.Data.Path));
        Assert.Equal(_temporary.File(run), recipe.Output);
    }

    private void Write(TrainRecipe recipe) => File.WriteAllText(_temporary.File("project/runs/one/recipe.yaml"), RecipeOfRun.Write(recipe.Resolved(), _temporary.File("project/runs/one")));

    private static TrainRecipe Recipe(string model, string data, string output) => RecipeFile.Parse<TrainRecipe>(
        $"""
        kind: train
        name: tiny
        seed: 1
        output: "{output}"
        model:
          path: "{model}"
        data:
          path: "{data}"
        generation:
          max_new_tokens: 4
        reward:
          kind: regex
          pattern: e
        algorithm:
          name: ppo
        iterations: 2
        rows_per_iteration: 4
        """,
        "recipe.yaml");
}
