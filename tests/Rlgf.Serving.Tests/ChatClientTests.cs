using Microsoft.Extensions.AI;
using Rlgf.Models.Loading;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Tests;

/// <summary>The model as a chat client of this process gives what the server gives.</summary>
public sealed class ChatClientTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly ChatMessage[] Messages = [new(ChatRole.User, "Is it good?")];

    [Theory]
    [InlineData(0f, null), InlineData(0.9f, 5L)]
    public async Task Its_answer_is_the_servers_streamed_or_not(float temperature, long? seed)
    {
        using var client = server.Model.AsChatClient();
        var options = new ChatOptions { Temperature = temperature, Seed = seed, MaxOutputTokens = 12, Instructions = "Be short.", TopP = 0.9f };
        var expected = await server.AskAsync("/v1/chat/completions", new
        {
            messages = new[] { new { role = "system", content = "Be short." }, new { role = "user", content = "Is it good?" } },
            max_tokens = 12,
            temperature,
            seed,
            top_p = 0.9f,
        });

        var answer = await client.GetResponseAsync(Messages, options, TestContext.Current.CancellationToken);
        var streamed = await client.GetStreamingResponseAsync(Messages, options, TestContext.Current.CancellationToken).ToChatResponseAsync(TestContext.Current.CancellationToken);

        foreach (var one in new[] { answer, streamed })
        {
            Assert.Equal((string)expected["choices"]![0]!["message"]!["content"]!, one.Text);
            Assert.Equal((string)expected["choices"]![0]!["finish_reason"]!, one.FinishReason!.Value.Value);
            Assert.Equal(((long)expected["usage"]!["prompt_tokens"]!, (long)expected["usage"]!["completion_tokens"]!), (one.Usage!.InputTokenCount!.Value, one.Usage.OutputTokenCount!.Value));
        }
    }

    [Fact]
    public async Task An_assistants_message_is_gone_on_with_where_that_is_asked_for()
    {
        using var client = server.Model.AsChatClient("mine");
        ChatMessage[] begun = [.. Messages, new(ChatRole.Assistant, "Slow")];
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 8, AdditionalProperties = new() { ["continue_final_message"] = true } };
        var expected = await server.AskAsync("/v1/chat/completions", new
        {
            messages = new[] { new { role = "user", content = "Is it good?" }, new { role = "assistant", content = "Slow" } },
            max_tokens = 8,
            temperature = 0,
            continue_final_message = true,
            add_generation_prompt = false,
        });
        Assert.Equal((string)expected["choices"]![0]!["message"]!["content"]!, (await client.GetResponseAsync(begun, options, TestContext.Current.CancellationToken)).Text);
        Assert.Equal("mine", client.GetService<ChatClientMetadata>()!.DefaultModelId);
    }

    [Fact]
    public async Task What_it_does_not_do_is_refused()
    {
        using var client = server.Model.AsChatClient();
        foreach (var options in new ChatOptions[] { new() { Tools = [AIFunctionFactory.Create(() => 1, "one")] }, new() { ResponseFormat = ChatResponseFormat.Json }, new() { FrequencyPenalty = 1 } })
            await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync(Messages, options, TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<Base.InputException>(() => client.GetResponseAsync(Messages, new ChatOptions { ModelId = "other" }, TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync([new ChatMessage(ChatRole.User, [new DataContent("data:image/png;base64,AAAA")])], null, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_model_without_a_chat_template_is_refused()
    {
        using var model = TextModel.Load(TestServer.Fixture("llama"));
        Assert.Contains("no chat template", Assert.Throws<Base.InputException>(() => model.AsChatClient()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_answer_ends_at_once_and_leaves_room_for_others()
    {
        using var client = server.Model.AsChatClient(settings: new EngineSettings { BatchRows = 1, QueueRows = 1 });
        using var stop = new CancellationTokenSource();
        await using var parts = client.GetStreamingResponseAsync(Messages, new ChatOptions { Seed = 1 }, stop.Token).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await parts.MoveNextAsync());
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            while (await parts.MoveNextAsync()) { }
        });
        Assert.NotEmpty((await client.GetResponseAsync(Messages, new ChatOptions { MaxOutputTokens = 4, Temperature = 0 }, TestContext.Current.CancellationToken)).Text);
    }
}
