using Rlgf.Base;
using Rlgf.Endpoints.Protocol;
using Rlgf.Guides;
using Rlgf.Prompts;
using Rlgf.Recipes;

namespace Rlgf.Endpoints.Tests;

/// <summary>A run whose guide is a server on this machine, by the command line as a user has it.</summary>
public sealed class EndpointGuideTests
{
    [Theory]
    [InlineData("completion", "/v1/completions")]
    [InlineData("chat_with_prefill", "/v1/chat/completions")]
    [InlineData("chat_without_prefill", "/v1/chat/completions")]
    public void A_run_is_guided_in_each_mode(string mode, string path)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { ContinuesTrailingMessage = true, Key = "sk-test" };
        using var key = new Variable("sk-test");
        var result = TestRun.Train(scratch, server, $"guide.mode={mode}", $"guide.api_key=${{{key.Name}}}");
        Assert.True(result.Code == 0, result.Error);
        Assert.Contains(server.Requests, request => request.Path == path);
        Assert.All(server.Tokens, token => Assert.Equal("Bearer sk-test", token));
        var metrics = TestRun.Metrics(scratch);
        Assert.Equal(2, metrics.Length);
        Assert.True((double)metrics[^1]["tokens/guide"]! > 0);
        Assert.True((double)metrics[^1]["guide/requests"]! > 0);
        Assert.True((double)metrics[^1]["guide/completion_tokens"]! > 0);
    }
}
