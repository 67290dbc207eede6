using System.ClientModel;
using System.Text;
using Microsoft.Agents.AI;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;

namespace Rlgf.Serving.Tests;

/// <summary>What others write to ask such a server: OpenAI's own package, and the client of an agent framework.</summary>
public sealed class ClientTests(TestServer server) : IClassFixture<TestServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private OpenAIClient Client() => new(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(server.Client.BaseAddress!, "/v1") });

    private async Task<string> ExpectedAsync() => (string)(await server.AskAsync("/v1/chat/completions", new
    {
        messages = new[] { new { role = "system", content = "Be short." }, new { role = "user", content = "Is it good?" } },
        max_tokens = 12,
        temperature = 0,
    }))["choices"]![0]!["message"]!["content"]!;

    [Fact]
    public async Task OpenAIs_package_is_answered_streamed_or_not()
    {
        var expected = await ExpectedAsync();
        var chat = Client().GetChatClient("llama");
        OpenAI.Chat.ChatMessage[] messages = [new SystemChatMessage("Be short."), new UserChatMessage("Is it good?")];
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 12, Temperature = 0, IncludeLogProbabilities = true, TopLogProbabilityCount = 2 };

        ChatCompletion whole = await chat.CompleteChatAsync(messages, options, Stop);
        Assert.Equal(expected, whole.Content[0].Text);
        Assert.Equal(whole.Usage.OutputTokenCount, whole.ContentTokenLogProbabilities.Count);
        Assert.All(whole.ContentTokenLogProbabilities, token => Assert.Equal(token.LogProbability, token.TopLogProbabilities[0].LogProbability));

        var text = new StringBuilder();
        OpenAI.Chat.ChatFinishReason? end = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, options, Stop))
        {
            foreach (var part in update.ContentUpdate) text.Append(part.Text);
            end = update.FinishReason ?? end;
            usage = update.Usage ?? usage;
        }

        Assert.Equal((expected, whole.FinishReason, whole.Usage.TotalTokenCount), (text.ToString(), end!.Value, usage!.TotalTokenCount));
        OpenAIModelCollection models = await Client().GetOpenAIModelClient().GetModelsAsync(Stop);
        Assert.Equal("llama", models.First().Id);
        var refused = await Assert.ThrowsAsync<ClientResultException>(() => Client().GetChatClient("other").CompleteChatAsync(messages, options, Stop));
        Assert.Equal(404, refused.Status);
        Assert.Contains("there is no model 'other' here", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_speaks_with_it_as_with_the_model_in_this_process()
    {
        var expected = await ExpectedAsync();
        using var inProcess = server.Model.AsChatClient();
        using var remote = Client().GetChatClient("llama").AsIChatClient();
        foreach (var client in new[] { remote, inProcess })
        {
            var agent = new ChatClientAgent(client, instructions: "Be short.");
            var options = new ChatClientAgentRunOptions(new ChatOptions { MaxOutputTokens = 12, Temperature = 0 });
            Assert.Equal(expected, (await agent.RunAsync("Is it good?", options: options, cancellationToken: Stop)).Text);
            var text = new StringBuilder();
            await foreach (var update in agent.RunStreamingAsync("Is it good?", options: options, cancellationToken: Stop)) text.Append(update.Text);
            Assert.Equal(expected, text.ToString());
        }
    }
}
