using Rlgf.Recipes;

namespace Rlgf.Cli.Tests;

/// <summary>The recipes of the repository, for the kinds that the program has.</summary>
public sealed class ShippedRecipesTests
{
    public static TheoryData<string> Files()
    {
        var data = new TheoryData<string>();
        var root = Repository.Root;
        foreach (var file in Directory.EnumerateFiles(Path.Combine(root, "recipes"), "*.yaml", SearchOption.AllDirectories).Order())
        {
            data.Add(Path.GetRelativePath(root, file));
        }

        return data;
    }

    [Fact]
    public void There_are_recipes() => Assert.NotEmpty(Files());

    [Theory]
    [MemberData(nameof(Files))]
    public void Every_shipped_recipe_loads_and_its_resolved_form_reads_back_to_the_same(string file)
    {
        var recipe = RecipeFile.Load<RunRecipe>(Path.Combine(Repository.Root, file), kinds: Cli.Kinds());
        var resolved = RecipeFile.Write(recipe.Resolved());
        var again = RecipeFile.Parse<RunRecipe>(resolved, "resolved.yaml", kinds: Cli.Kinds());
        Assert.Equal(resolved, RecipeFile.Write(again));
        Assert.Equal(resolved, RecipeFile.Write(again.Resolved()));
    }
}
