using System.Text.Json.Nodes;
using Rlgf.ChatTemplates;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Text;
using Rlgf.Text.Conversations;

namespace Rlgf.Serving.Tests;

/// <summary><c>/v1/chat/completions</c>: what the model reads is its template's rendering, and what it answers is what the generator writes after it.</summary>
public sealed class ChatTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Path = "/v1/chat/completions";

    private static readonly object[] Question = [new { role = "system", content = "Be short." }, new { role = "user", content = "Is it good?" }];

    private static readonly object[] Begun = [.. Question, new { role = "assistant", content = "Slow" }];

    private int[] Rendered(string text) => server.Model.Tokenizer.Encode(text);

    private static int[] Ids(JsonNode? node) => [.. node!.AsArray().Select(id => (int)id!)];

    [Fact]
    public async Task The_prompt_is_the_templates_rendering_and_the_answer_the_generators()
    {
        var answer = await server.AskAsync(Path, new { messages = Question, max_completion_tokens = 12, temperature = 0, return_token_ids = true, logprobs = true, top_logprobs = 2 });
        var prompt = Rendered("<system>Be short.</s><user>Is it good?</s><assistant>");
        Assert.Equal(prompt, Ids(answer["prompt_token_ids"]));
        // The template ends a turn with </s>, which is an end token anyway.
        var expected = TextGenerator.Generate(server.Model.Model, [new(new TokenRow(prompt, []), 0)], new SamplingSettings { MaxNewTokens = 12, Greedy = true, EndTokens = [2] }, 0)[0];
        var choice = answer["choices"]![0]!;
        Assert.Equal(expected.Tokens, Ids(choice["token_ids"]));
        Assert.Equal(("assistant", ResponseText.Decode(server.Model.Tokenizer, server.Model.Model.Shape, expected.Tokens)), ((string)choice["message"]!["role"]!, (string)choice["message"]!["content"]!));
        var entries = choice["logprobs"]!["content"]!.AsArray();
        Assert.Equal(expected.Tokens.Length, entries.Count);
        for (var t = 0; t < entries.Count; t++)
        {
            Assert.Equal(expected.RawLogProbs[t], (float)entries[t]!["logprob"]!, 1e-4);
            Assert.Equal(2, entries[t]!["top_logprobs"]!.AsArray().Count);
            Assert.Equal((float)entries[t]!["logprob"]!, (float)entries[t]!["top_logprobs"]![0]!["logprob"]!);
        }
    }

    [Theory]
    [InlineData(null, null, "<system>Be short.</s><user>Is it good?</s><assistant>Slow</s><assistant>")]
    [InlineData(false, null, "<system>Be short.</s><user>Is it good?</s><assistant>Slow</s>")]
    [InlineData(false, true, "<system>Be short.</s><user>Is it good?</s><assistant>Slow")]
    public async Task An_assistants_message_at_the_end_is_closed_or_gone_on_with_as_asked(bool? adds, bool? goesOn, string expected)
    {
        var body = new { messages = Begun, add_generation_prompt = adds, continue_final_message = goesOn };
        Assert.Equal(Rendered(expected), Ids((await server.AskAsync("/tokenize", body))["tokens"]));
        var answer = await server.AskAsync(Path, new { messages = Begun, add_generation_prompt = adds, continue_final_message = goesOn, max_tokens = 4, temperature = 0, return_token_ids = true });
        Assert.Equal(Rendered(expected), Ids(answer["prompt_token_ids"]));
        Assert.DoesNotContain("Slow", (string)answer["choices"]![0]!["message"]!["content"]!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"continue_final_message":true,"add_generation_prompt":false}""")]
    [InlineData("""{"messages":[{"role":"assistant","content":"a"}],"continue_final_message":true}""")]
    [InlineData("""{"messages":[]}""")]
    [InlineData("""{}""")]
    [InlineData("""{"messages":[{"content":"a"}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":null}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"top_logprobs":2}""")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}}""")]
    public async Task What_is_wrong_is_said_in_one_line(string body)
    {
        var (status, answer) = await server.PostAsync(Path, body);
        Assert.Equal((400, "invalid_request_error"), (status, (string)answer["error"]!["type"]!));
        Assert.DoesNotContain('\n', (string)answer["error"]!["message"]!);
    }

    [Fact]
    public async Task Streamed_parts_together_are_the_whole_answers()
    {
        object Asked(bool stream) => new { messages = Question, max_tokens = 10, seed = 4, n = 2, stream, logprobs = true, stream_options = new { include_usage = true } };
        var whole = await server.AskAsync(Path, Asked(false));
        var parts = await server.StreamAsync(Path, Asked(true));
        Assert.All(parts, part => Assert.Equal("chat.completion.chunk", (string)part["object"]!));
        Assert.Equal(whole["usage"]!.ToJsonString(), parts[^1]["usage"]!.ToJsonString());
        for (var row = 0; row < 2; row++)
        {
            var own = parts[..^1].Select(part => part["choices"]![0]!).Where(part => (int)part["index"]! == row).ToArray();
            Assert.Equal("assistant", (string)own[0]["delta"]!["role"]!);
            Assert.Equal((string)whole["choices"]![row]!["message"]!["content"]!, string.Concat(own.Select(part => (string)part["delta"]!["content"]!)));
            Assert.Equal((string)whole["choices"]![row]!["finish_reason"]!, (string)own[^1]["finish_reason"]!);
            Assert.Equal(whole["choices"]![row]!["logprobs"]!["content"]!.AsArray().Select(entry => entry!.ToJsonString()), own.SelectMany(part => part["logprobs"]!["content"]!.AsArray()).Select(entry => entry!.ToJsonString()));
        }
    }

    [Fact]
    public async Task Content_may_be_parts_of_text()
    {
        var whole = await server.AskAsync("/tokenize", new { messages = new[] { new { role = "user", content = "Is it good?" } } });
        var parts = await server.AskAsync("/tokenize", new { messages = new[] { new { role = "user", content = new[] { new { type = "text", text = "Is it" }, new { type = "text", text = " good?" } } } } });
        Assert.Equal(whole["tokens"]!.ToJsonString(), parts["tokens"]!.ToJsonString());
    }

    [Fact]
    public async Task What_a_user_writes_ends_no_turn()
    {
        var encoder = new ConversationEncoder(ChatTemplateFolder.Load(server.Folder), server.Model.Tokenizer);
        var expected = encoder.Encode([new ChatMessage("user", "a</s>b")], addGenerationPrompt: true).Ids;
        Assert.Equal(1, expected.Count(id => id == 2));
        Assert.Equal(expected, Ids((await server.AskAsync("/tokenize", new { messages = new[] { new { role = "user", content = "a</s>b" } } }))["tokens"]));
    }
}
