using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Generation;
using Rlgf.Models.Inspection;
using Rlgf.Models.Loading;

namespace Rlgf.Models.Tests;

/// <summary>Which ids end a text: those of <c>generation_config.json</c>, else of <c>config.json</c>, else the tokenizer's; the ids that begin one likewise. The tokenizer's are 419.</summary>
public sealed class EndTokenTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("399", "7", new[] { 399 }, "generation_config.json")]
    [InlineData("[2, 418]", "7", new[] { 2, 418 }, "generation_config.json")]
    [InlineData("null", "[2, 418]", new[] { 2, 418 }, "config.json")]
    [InlineData(null, "399", new[] { 399 }, "config.json")]
    [InlineData(null, "null", new[] { 419 }, "tokenizer")]
    [InlineData(null, null, new[] { 419 }, "tokenizer")]
    public void Ends_are_those_of_the_generation_settings_else_of_the_configuration_else_of_the_tokenizer(string? generation, string? configuration, int[] expected, string source)
    {
        Write("gpt2", "eos_token_id", generation, configuration);

        using var model = TextModel.Load(_folder.Path);
        Assert.Equal(expected, model.EndTokens);

        var described = ModelInspector.Inspect(_folder.Path).EndTokens!;
        Assert.Equal(expected, described.Tokens.Select(token => token.Id));
        Assert.Equal(source, described.From);
        Assert.Equal(expected.Select(id => model.Tokenizer.TokenOf(id)), described.Tokens.Select(token => token.Text));

        // What is saved and loaded again ends as before.
        LanguageModelFolder.Save(model.Model, _folder.File("saved"));
        model.Tokenizer.Save(_folder.File("saved"));
        using var again = TextModel.Load(_folder.File("saved"));
        Assert.Equal(expected, again.EndTokens);
    }

    [Theory]
    [InlineData("399", "7", 399)]
    [InlineData(null, "7", 7)]
    [InlineData(null, "null", 419)]
    public void A_begin_token_is_found_in_the_same_order(string? generation, string? configuration, int expected)
    {
        Write("gpt2", "bos_token_id", generation, configuration);
        using var model = TextModel.Load(_folder.Path);
        Assert.Equal(expected, model.BeginToken);
    }

    [Theory]
    [InlineData("[2, 419]", 419)]
    [InlineData("[2, 418]", 2)]
    public void Texts_to_learn_from_end_in_a_token_that_ends_what_is_written(string generation, int expected)
    {
        Write("gpt2", "eos_token_id", generation, "7");
        using var model = TextModel.Load(_folder.Path);
        Assert.Equal(expected, model.TaughtEnd);
    }

    [Fact]
    public void A_model_without_an_end_anywhere_has_none()
    {
        Write("gpt2", "eos_token_id", null, null);
        foreach (var file in (string[])["tokenizer_config.json", "special_tokens_map.json"]) File.Delete(_folder.File(file));
        using var model = TextModel.Load(_folder.Path);
        Assert.Empty(model.EndTokens);
        var described = ModelInspector.Inspect(_folder.Path).EndTokens!;
        Assert.Empty(described.Tokens);
        Assert.Null(described.From);
    }

    [Theory]
    [InlineData("420", null, "generation_config.json: eos_token_id is 420, and the model has ids below 420")]
    [InlineData("-1", null, "generation_config.json: eos_token_id is -1")]
    [InlineData("[2, 1e9]", null, "generation_config.json: eos_token_id")]
    [InlineData("\"</s>\"", null, "generation_config.json: eos_token_id is \"</s>\"; it must be an id or a list of ids")]
    [InlineData("[2, null]", null, "generation_config.json: eos_token_id is [2,null]; it must be an id or a list of ids")]
    [InlineData("[]", null, "generation_config.json: eos_token_id is []; it must be an id or a list of ids")]
    [InlineData("true", null, "generation_config.json: eos_token_id is true; it must be an id or a list of ids")]
    [InlineData("2.5", null, "generation_config.json: eos_token_id is 2.5; it must be an id or a list of ids")]
    [InlineData(null, "{}", "config.json: eos_token_id is {}; it must be an id or a list of ids")]
    [InlineData(null, "[2, 420]", "config.json: eos_token_id is 420, and the model has ids below 420")]
    public void An_end_that_is_no_id_of_the_model_is_named_in_one_line(string? generation, string? configuration, string message)
    {
        Write("gpt2", "eos_token_id", generation, configuration);
        var fault = Assert.Throws<InputException>(() => TextModel.Load(_folder.Path).Dispose());
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        Assert.StartsWith(_folder.Path, fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', fault.Message);
        Assert.Contains(ModelInspector.Inspect(_folder.Path).NotSupported, line => line.Contains(message, StringComparison.Ordinal));
    }

    /// <summary>transformers' generate begins with the generation settings' id where both name one.</summary>
    [Theory]
    [InlineData("7", "2", 7)]
    [InlineData("7", null, 7)]
    [InlineData(null, "2", 2)]
    public void A_decoder_begins_with_the_generation_settings_token_else_the_configurations(string? generation, string? configuration, int expected)
    {
        Write("bart", "decoder_start_token_id", generation, configuration);
        using var model = LanguageModelFolder.Load(_folder.Path);
        Assert.Equal(expected, model.Shape.Encoder!.StartToken);
        using var same = LanguageModelFolder.Load(Fixture.PathOf("bart"));
        var rows = new TokenRow[] { new([5, 6, 7], [9]) };
        Assert.Equal(expected == 2, TextGenerator.Generate(model, [new(rows[0], 0)], new SamplingSettings { MaxNewTokens = 3, Greedy = true }, 0)[0].RawLogProbs
            .SequenceEqual(TextGenerator.Generate(same, [new(rows[0], 0)], new SamplingSettings { MaxNewTokens = 3, Greedy = true }, 0)[0].RawLogProbs));
        Assert.True(ModelInspector.Inspect(_folder.Path).Supported);
    }

    [Fact]
    public void A_start_token_beyond_the_vocabulary_is_refused_by_the_file_that_names_it()
    {
        Write("bart", "decoder_start_token_id", "99999", "2");
        Assert.Contains("generation_config.json: decoder_start_token_id is 99999", Assert.Throws<InputException>(() => LanguageModelFolder.Load(_folder.Path)).Message, StringComparison.Ordinal);
    }

    /// <summary>A copy of a fixture with a key in the two files; null where there is none.</summary>
    private void Write(string fixture, string key, string? generation, string? configuration)
    {
        foreach (var path in Directory.EnumerateFiles(Fixture.PathOf(fixture)).Where(path => !Path.GetFileName(path).StartsWith("expected", StringComparison.Ordinal)))
            File.WriteAllBytes(_folder.File(Path.GetFileName(path)), File.ReadAllBytes(path));
        Set("config.json", configuration);
        if (generation is null && key == "eos_token_id") File.Delete(_folder.File("generation_config.json"));
        else Set("generation_config.json", generation);

        void Set(string file, string? value)
        {
            var json = JsonNode.Parse(File.ReadAllText(_folder.File(file)))!.AsObject();
            json.Remove(key);
            if (value is not null) json[key] = JsonNode.Parse(value);
            File.WriteAllText(_folder.File(file), json.ToJsonString());
        }
    }
}
