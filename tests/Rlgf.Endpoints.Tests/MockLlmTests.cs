using System.Diagnostics;
using Rlgf.Endpoints.Probing;
using Rlgf.Endpoints.Protocol;
using Rlgf.Remote;

namespace Rlgf.Endpoints.Tests;

/// <summary>
/// Against a mock server that somebody else wrote, the npm package @dwmkerr/mock-llm, where it is: RLGF_MOCK_LLM names its folder (node_modules/@dwmkerr/mock-llm); node runs it.
/// It has chat completions only, streams on request, counts nothing, and takes no trailing message of the assistant's for something to go on from.
/// </summary>
public sealed class MockLlmTests
{
    private const string Key = "sk-mock-test";

    [Fact]
    public async Task Probe_key_faults_and_what_it_says_again()
    {
        using var scratch = new Scratch();
        using var server = await MockLlm.StartAsync(scratch);
        using var client = new CompletionClient(server.Settings, _ => { }, (_, _) => { });
        var probe = new EndpointProbe("m", client.AskAsync, asks => client.AsksUsage = asks);
        Assert.Null(await probe.CompletionsAsync(mustGoOn: false, CancellationToken.None));
        // Its answers come one at a time, whatever n says, and without figures.
        var chat = await probe.ChatAsync(CancellationToken.None);
        Assert.Equal((PrefillForm.None, 1, false), (chat!.Prefill, chat.MostChoices, chat.Counts));

        using (var wrong = new CompletionClient(server.Settings with { Token = "sk-wrong", Retries = 0 }, _ => { }, (_, _) => { }))
        {
            var refused = await Assert.ThrowsAsync<EndpointRefusal>(() => wrong.AskAsync(Say("hello"), CancellationToken.None));
            Assert.Equal(System.Net.HttpStatusCode.Unauthorized, refused.Status);
            Assert.DoesNotContain("sk-wrong", refused.ToString(), StringComparison.Ordinal);
        }

        // The first of its path is refused as one too many, and asked again.
        List<string> faults = [];
        using var patient = new CompletionClient(server.Settings with { FirstWait = TimeSpan.FromSeconds(0.05) }, faults.Add, (_, _) => { });
        Assert.Equal("and busy at first.", (await patient.AskAsync(Say("busy"), CancellationToken.None)).Choices[0].Text);
        Assert.Equal(["status 429"], faults);
    }

    [Fact]
    public async Task Twenty_iterations_are_guided_by_it_and_a_plan_that_needs_it_to_go_on_is_refused()
    {
        using var scratch = new Scratch();
        using var server = await MockLlm.StartAsync(scratch);
        using var key = new Variable(Key);
        string[] Set(params string[] more) => TestRun.Arguments(scratch, server.Settings.Address.ToString(), [$"guide.api_key=${{{key.Name}}}", "guide.retry_wait_seconds=0.05", "guide.in_flight=8", "rows_per_iteration=8", .. more]);
        var result = TestRun.Run(default, Set("iterations=20"));
        Assert.True(result.Code == 0, result.Error);
        var metrics = TestRun.Metrics(scratch);
        Assert.Equal(20, metrics.Length);
        Assert.All(metrics, row => Assert.True((double)row["roll_in/share"]! > 0));
        Assert.True((double)metrics[^1]["guide/completion_tokens"]! > 0);
        Assert.DoesNotContain(Key, result.Error, StringComparison.Ordinal);

        var refused = TestRun.Run(default, Set("algorithm={name: aggrevated}", $"output={scratch["refused"]}")).OneErrorLine();
        Assert.Contains("go on", refused, StringComparison.Ordinal);
    }

    private static Question Say(string text) => Question.OfChat("m", [new("user", text)], "", PrefillForm.None, new Decoding { MaxTokens = 8, Temperature = 1 }, 0);

    /// <summary>The server as a process.</summary>
    private sealed class MockLlm : IDisposable
    {
        private const string Rules = """
            streaming: { chunkSize: 7, chunkIntervalMs: 1 }
            rules:
              - path: "/v1/models"
                response: { status: 200, content: '{"object": "list", "data": [{"id": "m", "object": "model"}]}' }
              - path: "/v1/chat/completions"
                response: { status: 200, content: '{"id": "c", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "and busy at first."}, "finish_reason": "stop"}]}' }
              - path: "/v1/chat/completions"
                match: "contains(body.messages[-1].content, 'busy')"
                sequence: 0
                response: { status: 429, content: '{"error": {"message": "slow down", "type": "rate_limit_error"}}' }
              - path: "/v1/chat/completions"
                match: "headers.authorization != 'Bearer sk-mock-test'"
                response: { status: 401, content: '{"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}}' }
            """;

        private readonly ServerProcess _process;

        private MockLlm(ServerProcess process, int port)
        {
            _process = process;
            Settings = new EndpointSettings { Address = new Uri($"http://127.0.0.1:{port}/v1/"), Token = Key, Timeout = TimeSpan.FromSeconds(20) };
        }

        public EndpointSettings Settings { get; }

        public static async Task<MockLlm> StartAsync(Scratch scratch)
        {
            var folder = Environment.GetEnvironmentVariable("RLGF_MOCK_LLM");
            Assert.SkipWhen(folder is null, "set RLGF_MOCK_LLM to the folder of the npm package @dwmkerr/mock-llm");
            var port = ServerProcess.FreePort();
            await File.WriteAllTextAsync(scratch["mock-llm.yaml"], Rules);
            var server = new MockLlm(new ServerProcess("node", [Path.Combine(folder!, "dist", "main.js"), "--config", scratch["mock-llm.yaml"]], ("HOST", "127.0.0.1"), ("PORT", $"{port}")), port);
            using var http = new HttpClient();
            for (var waited = Stopwatch.StartNew(); ; await Task.Delay(100))
            {
                try
                {
                    if ((await http.GetAsync(new Uri($"http://127.0.0.1:{port}/ready"))).IsSuccessStatusCode) return server;
                }
                catch (HttpRequestException) when (waited.Elapsed < TimeSpan.FromSeconds(60))
                {
                    // It isn't there yet.
                }
            }
        }

        public void Dispose() => _process.Dispose();
    }
}
