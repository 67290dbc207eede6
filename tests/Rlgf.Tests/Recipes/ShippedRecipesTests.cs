using Rlgf.Recipes;

namespace Rlgf.Tests.Recipes;

public sealed class ShippedRecipesTests
{
    public static TheoryData<string> Files()
    {
        var data = new TheoryData<string>();
        var root = Root();
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
        var recipe = RecipeFile.Load<RunRecipe>(Path.Combine(Root(), file));
        var resolved = RecipeFile.Write(recipe.Resolved());
        var again = RecipeFile.Parse<RunRecipe>(resolved, "resolved.yaml");
        Assert.Equal(resolved, RecipeFile.Write(again));
        Assert.Equal(resolved, RecipeFile.Write(again.Resolved()));
    }

    internal static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Rlgf.slnx"))) return folder.FullName;
        }

        throw new InvalidOperationException("The tests don't lie below Rlgf.slnx.");
    }
}
