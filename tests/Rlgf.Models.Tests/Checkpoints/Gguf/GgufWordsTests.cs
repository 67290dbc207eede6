using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Gguf;
using Rlgf.Tokenizers;

namespace Rlgf.Models.Tests.Checkpoints.Gguf;

/// <summary>How text is cut into words under each name, against llama.cpp (fixtures/gguf/README.md).</summary>
public sealed class GgufWordsTests : IDisposable
{
    private static readonly JsonNode Fixture = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "gguf", "words.json")))!;
    private static readonly string[] Tokens = Fixture["tokens"].Deserialize<string[]>()!;
    private static readonly string[] Merges = Fixture["merges"].Deserialize<string[]>()!;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Names => [.. Fixture["groups"]!.AsArray().SelectMany(group => group!["names"]!.AsArray()).Select(name => (string)name!).Order(StringComparer.Ordinal)];

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Names))]
    public void Texts_are_cut_as_llama_cpp_cuts_them(string name)
    {
        var group = Fixture["groups"]!.AsArray().First(group => group!["names"]!.AsArray().Any(other => (string)other! == name))!;
        var tokenizer = Load(Writer(name == "missing" ? null : name, Tokens, Merges));
        var (texts, ids) = (Fixture["texts"].Deserialize<string[]>()!, group["ids"].Deserialize<int[][]>()!);
        for (var i = 0; i < texts.Length; i++) Assert.True(ids[i].SequenceEqual(tokenizer.Encode(texts[i])), $"{JsonSerializer.Serialize(texts[i])}: {Spelt(ids[i])} became {Spelt(tokenizer.Encode(texts[i]))}");
        Assert.Equal((bool)group["adds_bos"]!, tokenizer.Encode("ab", addSpecialTokens: true)[0] == Tokens.Length - 2);

        string Spelt(int[] tokens) => string.Join(' ', tokens.Select(id => Tokens[id]));
    }

    [Fact]
    public void Every_name_is_compared() =>
        Assert.Equal(GgufWords.Names.Concat(["default", "missing"]).Order(StringComparer.Ordinal), Names.Select(row => row.Data));

    /// <summary>Llama 3 has "19" as 777, "99" as 1484 and "199" as 2550, and takes digits by three. So does llama.cpp where no name says how.</summary>
    [Theory]
    [InlineData(null, new[] { 2550, 24 })]
    [InlineData("default", new[] { 2550, 24 })]
    [InlineData("llama-bpe", new[] { 2550, 24 })]
    [InlineData("gpt-2", new[] { 777, 1484 })]
    public void The_digits_of_llama_3_are_cut_by_three_without_a_name_too(string? name, int[] expected)
    {
        // Bytes stand in GPT-2's order in both vocabularies, so that 9 is 24.
        string[] tokens = [.. Tokens[..256], .. Enumerable.Range(256, 2551 - 256).Select(id => id switch { 777 => "19", 1484 => "99", 2550 => "199", _ => $"<unused{id}>" }), "<s>", "</s>"];
        var writer = Writer(name, tokens, ["1 9", "9 9", "19 9"]);
        Assert.Equal(expected, Load(writer).Encode("1999"));
    }

    [Theory]
    [InlineData(null, "tokenizer.ggml.pre is missing")]
    [InlineData("default", "tokenizer.ggml.pre is 'default'")]
    [InlineData("gpt-2", null)]
    public void It_is_said_where_a_file_does_not_say_how(string? name, string? said)
    {
        var notes = Read(Writer(name, Tokens, Merges)).Notes;
        if (said is null) Assert.Empty(notes);
        else Assert.StartsWith(said, Assert.Single(notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("deepseek-llm")]
    [InlineData("roberta-bpe")]
    [InlineData("kimi-k2")]
    [InlineData("of-tomorrow")]
    public void A_name_that_is_not_known_is_refused(string name) =>
        Assert.Contains($"tokenizer.ggml.pre is '{name}', a way to cut text into words that isn't known here", Assert.Throws<InputException>(() => Read(Writer(name, Tokens, Merges))).Message, StringComparison.Ordinal);

    private static GgufWriter Writer(string? name, string[] tokens, string[] merges)
    {
        var writer = new GgufWriter().Text("tokenizer.ggml.model", "gpt2").Texts("tokenizer.ggml.tokens", tokens).Texts("tokenizer.ggml.merges", merges)
            .Wholes("tokenizer.ggml.token_type", [.. tokens.Select((_, id) => id < tokens.Length - 2 ? 1 : 3)])
            .Whole("tokenizer.ggml.bos_token_id", (uint)tokens.Length - 2).Whole("tokenizer.ggml.eos_token_id", (uint)tokens.Length - 1);
        return name is null ? writer : writer.Text("tokenizer.ggml.pre", name);
    }

    private GgufTokenizer Read(GgufWriter writer)
    {
        File.WriteAllBytes(_folder.File("tokenizer.gguf"), writer.ToArray());
        using var file = GgufFile.Open(_folder.File("tokenizer.gguf"));
        return new GgufTokenizer(file.Metadata);
    }

    private ITokenizer Load(GgufWriter writer)
    {
        var tokenizer = Read(writer);
        File.WriteAllText(_folder.File("tokenizer.json"), tokenizer.ToTokenizerJson().ToJsonString());
        File.WriteAllText(_folder.File("tokenizer_config.json"), tokenizer.ToConfiguration(256).ToJsonString());
        return TokenizerFolder.Load(_folder.Path);
    }
}
