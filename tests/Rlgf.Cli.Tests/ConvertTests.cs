using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

public sealed class ConvertTests
{
    [Fact]
    public void A_folder_is_written_in_another_type_with_its_tokenizer_and_settings()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("convert", Fixtures.Model("gpt2"), scratch["out"], "--type", "bfloat16");
        Assert.Equal(ExitCode.Ok, result.Code);
        foreach (var name in (string[])["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"])
            Assert.Equal(File.ReadAllBytes(Path.Combine(Fixtures.Model("gpt2"), name)), File.ReadAllBytes(Path.Combine(scratch["out"], name)));
        Assert.True(JsonNode.DeepEquals(Json(Fixtures.Model("gpt2"), "generation_config.json"), Json(scratch["out"], "generation_config.json")));
        Assert.Equal("bfloat16", (string?)Json(scratch["out"], "config.json")["dtype"]);
        Assert.True(new FileInfo(Path.Combine(scratch["out"], "model.safetensors")).Length < 0.55 * new FileInfo(Path.Combine(Fixtures.Model("gpt2"), "model.safetensors")).Length);
    }

    [Fact]
    public void Options_say_the_same_as_arguments_and_weights_can_be_split()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("convert", "--model", Fixtures.Model("gpt2_reward"), "--output", scratch["out"], "--type", "float32", "--shard-size", "1").Code);
        Assert.True(File.Exists(Path.Combine(scratch["out"], "model.safetensors")));
    }

    [Theory]
    [InlineData("give IN or --model, one of the two")]
    [InlineData("give OUT or --output, one of the two", "in")]
    [InlineData("give IN or --model, one of the two", "in", "out", "--model", "in")]
    [InlineData("--shard-size is 0", "in", "out", "--shard-size", "0")]
    public void Wrong_use_is_one_line(string message, params string[] arguments) =>
        Assert.Contains(message, Cli.Run(["convert", .. arguments]).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void A_file_that_is_missing_or_no_gguf_file_is_named()
    {
        using var scratch = new Scratch();
        Assert.Contains("nowhere.gguf: there is no such file", Cli.Run("convert", scratch["nowhere.gguf"], scratch["out"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("text.gguf: it is text ('This is a page", Cli.Run("convert", scratch.Write("text.gguf", "This is a page of text and nothing else."), scratch["out"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static JsonNode Json(string folder, string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, name)))!;

    [Theory]
    [InlineData("out.gguf")]
    [InlineData("weights.SafeTensors")]
    public void A_file_of_weights_is_not_what_a_conversion_writes(string name)
    {
        using var scratch = new Scratch();
        Assert.Contains($"{name}' is the name of a .", Cli.Run("convert", Fixtures.Model("gpt2"), scratch[name]).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch[name]));
    }
}
