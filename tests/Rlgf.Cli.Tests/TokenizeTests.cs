using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

public sealed class TokenizeTests
{
    [Fact]
    public void Ids_tokens_and_offsets_are_those_of_the_fixture()
    {
        using var scratch = new Scratch();
        var tokenizer = Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", "gpt2");
        var cases = JsonNode.Parse(File.ReadAllText(Path.Combine(tokenizer, "cases.json")))!["cases"]!.AsArray();
        Assert.NotEmpty(cases);
        var input = scratch.Write("in.jsonl", [.. cases.Select(one => new JsonObject { ["text"] = one!["text"]!.DeepClone() }.ToJsonString())]);
        Assert.Equal((ExitCode.Ok, "", ""), AsTuple(Cli.Run("tokenize", "--tokenizer", tokenizer, "--input", input, "--output", scratch["out.jsonl"])));
        foreach (var (one, row) in cases.Zip(Fixtures.Rows(scratch["out.jsonl"])))
        {
            Assert.Equal(["ids", "tokens", "offsets"], row.AsObject().Select(pair => pair.Key));
            foreach (var key in (string[])["ids", "tokens", "offsets"])
            {
                Assert.True(JsonNode.DeepEquals(one![key], row[key]), $"{key} of {one["text"]!.ToJsonString()}: {row[key]!.ToJsonString()}");
            }
        }
    }

    [Fact]
    public void A_trained_tokenizer_is_read_back()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("train.jsonl", [.. Enumerable.Repeat(JsonSerializer.Serialize(new { body = "the film the actor the end" }), 3)]);
        var result = Cli.Run("tokenizer", "train", "--input", input, "--column", "body", "--output", scratch["tokenizer"], "--vocabulary-size", "400");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var tokens = Cli.RunWith("""{"text": "the film"}""", default, "tokenize", "--tokenizer", scratch["tokenizer"], "--input", "-", "--output", "-");
        Assert.Equal(ExitCode.Ok, tokens.Code);
        Assert.Equal("""["the","Ġfilm"]""", JsonNode.Parse(tokens.Output)!["tokens"]!.ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
    }

    private static (int, string, string) AsTuple(CliResult result) => (result.Code, result.Output, result.Error);
}
