using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf families</c>; that what it says is so, SupportedFamilyTests hold.</summary>
public sealed class FamiliesCommandTests
{
    [Fact]
    public void All_families_are_a_line_each_and_fit_a_screen()
    {
        var (code, output, _) = Cli.Run("families");
        var lines = output.TrimEnd().Split('\n');
        Assert.Equal(0, code);
        Assert.Contains(lines, line => line.StartsWith("Gemma 3 ", StringComparison.Ordinal) && line.Contains("gemma3_text, gemma3 ") && line.Contains(" trained ") && line.EndsWith("google/gemma-3-270m (270M), …", StringComparison.Ordinal));
        Assert.All(lines, line => Assert.True(line.Length <= 160, line));
    }

    [Theory]
    [InlineData("gemma3")]
    [InlineData("Gemma 3")]
    [InlineData("gemma 3")]
    [InlineData("google/gemma-3-1b-it")]
    public void One_is_found_by_model_type_or_name(string name)
    {
        var (code, output, _) = Cli.Run("families", name);
        Assert.Equal(0, code);
        Assert.StartsWith("family          Gemma 3\nmodel_type      gemma3_text, gemma3\nlanguage model  trained\n", output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_beginning_of_a_name_is_enough() =>
        Assert.StartsWith("family          DeBERTa v3\n", Cli.Run("families", "deberta").Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);

    [Fact]
    public void An_empty_name_is_wrong_use() => Cli.Run("families", "").OneErrorLine(2);

    [Fact]
    public void Json_has_the_same()
    {
        var one = JsonNode.Parse(Cli.Run("families", "opt", "--json").Output)!.AsArray().Single()!;
        Assert.Equal(("OPT", "checked", "same_code"), ((string)one["name"]!, (string)one["language_model"]!, (string)one["classifier"]!));
    }

    [Fact]
    public void An_unknown_name_is_one_line_with_the_nearest()
    {
        var (code, output, error) = Cli.Run("families", "gema3");
        Assert.Equal((1, ""), (code, output));
        Assert.Equal("error: families: there is no family 'gema3'; the nearest is 'gemma3'", error.Trim());
    }
}
