using System.Diagnostics;
using System.Text.Json.Nodes;
using Rlgf.Endpoints.Probing;
using Rlgf.Endpoints.Protocol;
using Rlgf.Remote;

namespace Rlgf.Endpoints.Tests;

/// <summary>
/// Against llama.cpp's own server with a real model, where they are: RLGF_LLAMA_SERVER names a folder with llama-server.tar.xz (or its content, unpacked) and RLGF_LLAMA_MODEL the GGUF file; python3 runs it.
/// </summary>
public sealed class LlamaServerTests
{
    private const string Key = "sk-llama-test";

    [Fact]
    public async Task Probe_prefill_key_slots_loading_cancellation_and_a_guided_run()
    {
        using var scratch = new Scratch();
        using var server = LlamaServer.Start(scratch);
        // Loading: 503 until it is there, which is waited out.
        using var client = new CompletionClient(server.Settings with { Retries = 60, FirstWait = TimeSpan.FromSeconds(0.25) }, _ => { }, (_, _) => { });
        var probe = new EndpointProbe("m", client.AskAsync, asks => client.AsksUsage = asks);
        var completions = await probe.CompletionsAsync(mustGoOn: true, CancellationToken.None);
        // As many answers to a request as it has slots; figures are those of one.
        Assert.Equal(new Capabilities { Completes = true, TakesSeed = true, SeedDecides = true, Stops = true, MostChoices = 4, Counts = true, AsksUsage = true }, completions);
        var chat = await probe.ChatAsync(CancellationToken.None);
        Assert.Equal((PrefillForm.ContinueFinalMessage, true, true, 4, false), (chat!.Prefill, chat.KeepsLastBlank, chat.TakesSeed, chat.MostChoices, chat.CountsAllChoices));

        // Another key is refused.
        using (var wrong = new CompletionClient(server.Settings with { Token = "sk-wrong", Retries = 0 }, _ => { }, (_, _) => { }))
            Assert.Equal(System.Net.HttpStatusCode.Unauthorized, (await Assert.ThrowsAsync<EndpointRefusal>(() => wrong.AskAsync(Long(8), CancellationToken.None))).Status);

        // More at once than it has slots.
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(sample => client.AskAsync(Question.OfText("m", "Once upon a time", new Decoding { MaxTokens = 6, Temperature = 1 }, sample), CancellationToken.None)));
        Assert.InRange(answers.Select(answer => answer.Choices[0].Text).Distinct().Count(), 5, 10);

        // A stream that is closed frees its slot. The model ends its answer after 69 tokens, which take 0.8 s on a quiet machine.
        using (var stop = new CancellationTokenSource(TimeSpan.FromSeconds(0.2)))
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.AskAsync(Long(900), stop.Token));
        Assert.True(await IdleAsync(server), "the slot is still taken");

        using var key = new Variable(Key);
        foreach (var mode in (string[])["completion", "chat_with_prefill"])
        {
            var result = TestRun.Run(default, TestRun.Arguments(
                scratch, server.Settings.Address.ToString(), $"guide.mode={mode}", $"guide.api_key=${{{key.Name}}}", "algorithm.name=aggrevated", $"output={scratch[mode]}", "rows_per_iteration=4", "guide.retry_wait_seconds=0.2"));
            Assert.True(result.Code == 0, result.Error);
            Assert.True((double)TestRun.Metrics(scratch, mode)[^1]["guide/completion_tokens"]! > 0);
        }
    }

    [Fact]
    public void A_run_of_twenty_iterations_whose_guide_is_that_server()
    {
        using var scratch = new Scratch();
        // More on their way than it has slots; it is asked while it still loads.
        using var server = LlamaServer.Start(scratch, threads: 1);
        using var key = new Variable(Key);
        string[] set =
        [
            $"guide.api_key=${{{key.Name}}}", "guide.in_flight=8", "guide.retries=60", "guide.retry_wait_seconds=0.2", "guide.timeout_seconds=300", "guide.sampling={temperature: 1, max_tokens: 6, stop: ['.']}", "iterations=20",
            "rows_per_iteration=8", "guide.budget={tokens: 1000000, requests: 2000}",
        ];
        var result = TestRun.Run(default, TestRun.Arguments(scratch, server.Settings.Address.ToString(), set));
        Assert.True(result.Code == 0, result.Error);
        var metrics = TestRun.Metrics(scratch);
        Assert.Equal(20, metrics.Length);
        Assert.All(metrics, row => Assert.True((double)row["roll_in/share"]! > 0));
        Assert.InRange((double)metrics[^1]["guide/requests"]!, 80, 200);
        Assert.InRange((double)metrics[^1]["guide/left"]!, 0.5, 1);
        Assert.Contains("guide 'm': ", result.Error, StringComparison.Ordinal);
        TestContext.Current.TestOutputHelper!.WriteLine(string.Join('\n', result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(4)));

        // Two rows of each group are samples of one question, which are asked for together.
        var together = TestRun.Run(default, TestRun.Arguments(
            scratch, server.Settings.Address.ToString(), [.. set, "iterations=3", "algorithm={name: luffy, group_size: 4, guide_rows: 2}", $"output={scratch["together"]}"]));
        Assert.True(together.Code == 0, together.Error);
        Assert.InRange((double)TestRun.Metrics(scratch, "together")[^1]["guide/requests"]!, 12, 12 + 30);
    }

    private static Question Long(int tokens) => Question.OfText("m", "One two three four", new Decoding { MaxTokens = tokens, Temperature = 1 }, 1);

    private static async Task<bool> IdleAsync(LlamaServer server)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new("Bearer", Key);
        for (var waited = Stopwatch.StartNew(); waited.Elapsed < TimeSpan.FromSeconds(20); await Task.Delay(200))
        {
            var slots = JsonNode.Parse(await http.GetStringAsync(new Uri(server.Settings.Address, "/slots")))!.AsArray();
            if (slots.All(slot => !(bool)slot!["is_processing"]!)) return true;
        }

        return false;
    }

    /// <summary>The server as a process.</summary>
    private sealed class LlamaServer : IDisposable
    {
        private readonly ServerProcess _process;

        private LlamaServer(ServerProcess process, int port)
        {
            _process = process;
            Settings = new EndpointSettings { Address = new Uri($"http://127.0.0.1:{port}/v1/"), Token = Key, Timeout = TimeSpan.FromSeconds(60) };
        }

        public EndpointSettings Settings { get; }

        public static LlamaServer Start(Scratch scratch, int threads = 2)
        {
            var (folder, model) = (Environment.GetEnvironmentVariable("RLGF_LLAMA_SERVER"), Environment.GetEnvironmentVariable("RLGF_LLAMA_MODEL"));
            Assert.SkipWhen(folder is null || model is null, "set RLGF_LLAMA_SERVER to a folder with llama-server.tar.xz and RLGF_LLAMA_MODEL to a GGUF file");
            if (!File.Exists(Path.Combine(folder!, "serve.py")))
            {
                using var tar = Process.Start("tar", ["-xJf", Path.Combine(folder!, "llama-server.tar.xz"), "-C", scratch[""]]);
                tar.WaitForExit();
                folder = scratch["llama-server"];
            }

            var port = ServerProcess.FreePort();
            return new LlamaServer(
                new ServerProcess("python3", [Path.Combine(folder!, "serve.py"), model!, "--port", $"{port}", "--api-key", Key, "--slots", "4", "--threads", $"{threads}"], ("PYTHONPATH", folder!)), port);
        }

        public void Dispose() => _process.Dispose();
    }
}
