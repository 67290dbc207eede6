using Rlgf.Base;
using Rlgf.Composition;
using Rlgf.Recipes;
using Rlgf.Tests.Runs;

namespace Rlgf.Tests.Composition;

public sealed class RunInputsTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData(0L)]
    [InlineData(RunInputs.MostWholeBytes + 12344)]
    [InlineData((RunInputs.MostWholeBytes + 12345) / 63)]
    public void Of_a_large_file_size_and_parts_over_its_whole_length_are_compared(long changed)
    {
        var (recipe, path) = Large();
        var began = RunInputs.Of(recipe);
        var time = File.GetLastWriteTimeUtc(path);
        Write(path, changed);
        File.SetLastWriteTimeUtc(path, time);
        Assert.Contains("has another content", Assert.Throws<InputException>(() => began.RequireSame(RunInputs.Of(recipe), recipe)).Message, StringComparison.Ordinal);
        Assert.Empty(began.RequireSame(began, recipe));
    }

    [Fact]
    public void A_large_file_that_was_written_since_and_looks_the_same_is_a_note()
    {
        var (recipe, path) = Large();
        var began = RunInputs.Of(recipe);
        File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(5));
        Assert.Contains("was written since the run began", Assert.Single(began.RequireSame(RunInputs.Of(recipe), recipe)), StringComparison.Ordinal);
        using (var file = new FileStream(path, FileMode.Append)) file.WriteByte(1);
        Assert.Contains($"had {RunInputs.MostWholeBytes + 12345} bytes and has {RunInputs.MostWholeBytes + 12346}", Assert.Throws<InputException>(() => began.RequireSame(RunInputs.Of(recipe), recipe)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_path_of_a_recipe_is_one_of_its_inputs()
    {
        var recipe = RecipeFile.Parse<RunRecipe>("""
            kind: train
            name: all
            model: {path: a, tokenizer: b}
            data: {path: c, evaluation_path: d}
            generation: {max_new_tokens: 1}
            guide: {kind: model, path: e, tokenizer: f}
            reward: {kind: sum, parts: [{name: x, reward: {kind: length, target_tokens: 1}}, {name: y, reward: {kind: classifier, path: g, tokenizer: h}}]}
            judge: {kind: classifier, path: i}
            algorithm: {name: ppo}
            iterations: 1
            rows_per_iteration: 1
            """, "all.yaml");
        Assert.Equal(["a", "b", "c", "d", "e", "f", "g", "h", "i"], recipe.Inputs());
        Assert.Equal("reward.parts.1.reward.path", RecipePaths.Of(recipe).Single(found => found.Path == "g").Key);
    }

    private (RunRecipe Recipe, string Path) Large()
    {
        var path = _temporary.File("large.jsonl");
        using (var file = new FileStream(path, FileMode.Create)) file.SetLength(RunInputs.MostWholeBytes + 12345);
        return (RecipeFile.Parse<RunRecipe>($$"""
            kind: sft
            name: large
            model: {kind: gpt2, tokenizer: nowhere, layers: 1, width: 2, heads: 1, context: 8}
            data: {path: {{path}}}
            """, "large.yaml"), path);
    }

    private static void Write(string path, long at)
    {
        using var file = new FileStream(path, FileMode.Open);
        file.Position = at;
        file.WriteByte(1);
    }
}
