using System.ClientModel;
using Microsoft.Extensions.AI;
using OpenAI;
using Rlgf.Base;
using Rlgf.Guides;
using Rlgf.Prompts;

namespace Rlgf.Endpoints.Tests;

/// <summary>A chat client of a program's own as guide, in one line: here the service's maker's own, against a server on this machine.</summary>
public sealed class ChatClientTests
{
    [Fact]
    public async Task Any_chat_client_is_a_guide()
    {
        using var server = new OpenAiServer { Key = "sk-test" };
        using var client = Client(server);
        using var guide = client.AsGuide("mine");
        Assert.False(guide.CanRollOut);
        var answers = await CheckedContinuations.OfAsync(guide, [Request("one"), Request("two"), Request("one", stream: 1UL << 40)], 1000, CancellationToken.None);
        Assert.All(answers, answer => Assert.NotEqual("", answer!.Text));
        Assert.NotEqual(answers[0], answers[1]);
        Assert.NotEqual(answers[0], answers[2]);
        Assert.Equal(["one", "one", "two"], server.Requests.Select(request => ((string)request.Body["messages"]![0]!["content"]!)[^3..]).Order());
        Assert.Equal(3, guide.Metrics["guide/requests"]);
        Assert.True(guide.Metrics["guide/completion_tokens"] > 0);
    }

    [Fact]
    public async Task One_that_goes_on_with_a_last_message_finishes_what_another_began()
    {
        using var server = new OpenAiServer { ContinuesTrailingMessage = true };
        using var client = Client(server);
        using var scratch = new Scratch();
        var settings = new ChatClientSettings { ContinuesLastMessage = true, Cache = scratch["c.db"], Sampling = new EndpointSampling { Temperature = 0 } };
        using var guide = client.AsGuide("mine", settings);
        Assert.True(guide.CanRollOut);
        for (var times = 0; times < 2; times++)
        {
            var answer = Assert.Single(await guide.ContinueAsync([Request("The capital of France", " is Par")], CancellationToken.None));
            Assert.StartsWith("is ", answer!.Text, StringComparison.Ordinal);
        }

        Assert.Equal("The capital of France is Par", (string)Assert.Single(server.Requests).Body["messages"]![1]!["content"]!);
    }

    [Fact]
    public async Task What_goes_wrong_in_a_client_is_one_line()
    {
        using var server = new OpenAiServer { Key = "sk-another" };
        using var client = Client(server);
        using var guide = client.AsGuide("mine");
        var failure = await Assert.ThrowsAsync<InputException>(() => CheckedContinuations.OfAsync(guide, [Request("one")], 1000, CancellationToken.None));
        Assert.StartsWith("the guide 'mine' failed on 1 requests, the first of the prompt 'one': ClientResultException: HTTP 401", failure.Message, StringComparison.Ordinal);
    }

    private static IChatClient Client(OpenAiServer server) =>
        new OpenAIClient(new ApiKeyCredential("sk-test"), new OpenAIClientOptions { Endpoint = server.Address }).GetChatClient("m").AsIChatClient();

    private static GuideRequest Request(string prompt, string soFar = "", ulong stream = 0) => new() { Prompt = new Prompt(prompt, []), ResponseSoFar = soFar, ResponseTokens = [], MaxTokens = 8, Stream = stream };
}
