using Rlgf.Recipes;

namespace Rlgf.Cli.Tests;

/// <summary>
/// docs/recipes.md is what the records' comments say of every key, for the kinds that the program has; after a change of a record run the test with RLGF_UPDATE_DOCS=1, which writes the file.
/// </summary>
public sealed class RecipeReferenceTests
{
    [Fact]
    public void The_reference_of_recipes_is_what_the_records_say()
    {
        var text = RecipeReference.Write(Cli.Kinds());
        Assert.DoesNotContain("|  |", text, StringComparison.Ordinal); // A key without a comment.
        var file = Path.Combine(Repository.Root, "docs", "recipes.md");
        if (Environment.GetEnvironmentVariable("RLGF_UPDATE_DOCS") == "1") File.WriteAllText(file, text);
        Assert.True(File.Exists(file) && text == File.ReadAllText(file), "docs/recipes.md is out of date; run this test with RLGF_UPDATE_DOCS=1 to write it");
    }
}
