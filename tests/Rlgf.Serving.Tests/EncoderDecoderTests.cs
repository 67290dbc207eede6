using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Serving.Http;

namespace Rlgf.Serving.Tests;

/// <summary>An encoder–decoder, whose rows can't join others' batches and are written beside them.</summary>
public sealed class EncoderDecoderTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_is_served_as_the_generator_writes_and_scores_no_prompt()
    {
        using var served = TextModel.Load(TestServer.Fixture("t5"));
        using var model = TextModel.Load(TestServer.Fixture("t5"));
        await using var server = await ModelServer.StartAsync(served, new ServerSettings { Port = 0 }, Stop);
        using var client = new HttpClient { BaseAddress = new Uri(server.Address) };
        var prompts = new[] { "This movie was one of the best films", "I don't" };
        // At once: the second comes while the first is written.
        var answers = await Task.WhenAll(prompts.Select(prompt => client.PostAsJsonAsync("/v1/completions", new { prompt, max_tokens = 12, temperature = 0, return_token_ids = true }, Stop)));
        var settings = model.Defaults.ApplyTo(new SamplingSettings { MaxNewTokens = 12, Greedy = true }, model.EndTokens, new HashSet<string>());
        for (var i = 0; i < prompts.Length; i++)
        {
            var choice = (await answers[i].Content.ReadFromJsonAsync<JsonNode>(Stop))!["choices"]![0]!;
            var ids = model.Tokenizer.Encode(prompts[i], addSpecialTokens: true);
            var expected = TextGenerator.Generate(model.Model, [new(new TokenRow(ids, []), 0)], settings, 0)[0];
            Assert.Equal(expected.Tokens, choice["token_ids"]!.AsArray().Select(id => (int)id!));
            Assert.Equal(ResponseText.Decode(model.Tokenizer, model.Model.Shape, expected.Tokens), (string)choice["text"]!);
        }

        using var scored = await client.PostAsJsonAsync("/v1/completions", new { prompt = "a", echo = true, logprobs = 1, max_tokens = 1 }, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, scored.StatusCode);
    }
}
