using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Serving.Engine;
using Rlgf.Serving.Http;

namespace Rlgf.Serving.Tests;

/// <summary>Who may ask, how much, and from where adapters come.</summary>
public sealed class GuardTests(TestServer server) : IClassFixture<TestServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_body_that_is_too_large_is_refused_before_it_is_read()
    {
        var address = new Uri(server.Client.BaseAddress!.ToString());
        using var socket = new TcpClient();
        await socket.ConnectAsync(address.Host, address.Port, Stop);
        var stream = socket.GetStream();
        // The head alone: not a byte of the body is ever sent.
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /v1/completions HTTP/1.1\r\nHost: {address.Authority}\r\nContent-Length: 2000000\r\n\r\n"), Stop);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        Assert.Equal("HTTP/1.1 413 Payload Too Large", await reader.ReadLineAsync(Stop));
    }

    [Fact]
    public async Task A_body_whose_length_is_not_told_is_cut_off_at_the_limit()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent($$"""{"prompt":"{{new string('a', 30_000)}}"}""") };
        request.Headers.TransferEncodingChunked = true;
        using var response = await server.Client.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal("invalid_request_error", (string)(await response.Content.ReadFromJsonAsync<JsonNode>(Stop))!["error"]!["type"]!);
    }

    [Theory]
    [InlineData("""{"prompt": NaN}""", "the body is not valid JSON at byte 12: 'N' is an invalid start of a value")]
    [InlineData("""{"prompt": "a", "\ud83d": 1}""", "the body is not valid JSON: a name in it holds half of a surrogate pair")]
    public async Task A_body_that_is_no_json_is_refused_in_words_of_its_own(string body, string said)
    {
        var (status, answer) = await server.PostAsync("/v1/completions", body);
        Assert.Equal(400, status);
        Assert.Equal(said, (string)answer!["error"]!["message"]!);
    }

    [Theory]
    [InlineData("Host", "evil.example"), InlineData("Origin", "http://evil.example")]
    public async Task A_page_of_another_site_is_refused(string header, string value)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.TryAddWithoutValidation(header, value);
        using var response = await server.Client.SendAsync(request, Stop);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task With_a_key_only_those_who_send_it_are_answered()
    {
        using var model = TextModel.Load(server.Folder);
        await using var keyed = await ModelServer.StartAsync(model, new ServerSettings { Port = 0, Key = "secret", Name = "n" }, Stop);
        using var client = new HttpClient { BaseAddress = new Uri(keyed.Address) };
        async Task<HttpStatusCode> Get(string path, string? header = null, string? value = null, HttpMethod? method = null)
        {
            using var request = new HttpRequestMessage(method ?? HttpMethod.Get, path);
            if (header is not null) request.Headers.TryAddWithoutValidation(header, value);
            using var response = await client.SendAsync(request, Stop);
            return response.StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await Get("/health"));
        Assert.Equal(HttpStatusCode.OK, await Get("/"));
        Assert.Equal(HttpStatusCode.OK, await Get("/health", method: HttpMethod.Head));
        Assert.Equal(HttpStatusCode.OK, await Get("/", method: HttpMethod.Head));
        Assert.Equal(HttpStatusCode.Unauthorized, await Get("/v1/models"));
        Assert.Equal(HttpStatusCode.Unauthorized, await Get("/v1/nope"));
        Assert.Equal(HttpStatusCode.Unauthorized, await Get("/v1/models", "Authorization", "Bearer secre"));
        Assert.Equal(HttpStatusCode.OK, await Get("/v1/models", "Authorization", "Bearer secret"));
        Assert.Equal(HttpStatusCode.OK, await Get("/v1/models/n", "X-Api-Key", "secret"));
    }

    [Fact]
    public async Task An_address_that_others_reach_needs_a_key_and_a_taken_port_is_named()
    {
        using var model = TextModel.Load(server.Folder);
        Assert.Contains("--key-from", (await Assert.ThrowsAsync<InputException>(() => ModelServer.StartAsync(model, new ServerSettings { Port = 0, Host = "0.0.0.0" }, Stop))).Message, StringComparison.Ordinal);
        Assert.Contains("no address", (await Assert.ThrowsAsync<InputException>(() => ModelServer.StartAsync(model, new ServerSettings { Port = 0, Host = "somewhere" }, Stop))).Message, StringComparison.Ordinal);
        var taken = server.Client.BaseAddress!.Port;
        Assert.Contains($"port {taken}", (await Assert.ThrowsAsync<InputException>(() => ModelServer.StartAsync(model, new ServerSettings { Port = taken }, Stop))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task When_the_queue_is_full_the_next_is_told_when_to_come_back()
    {
        using var model = TextModel.Load(server.Folder);
        await using var small = await ModelServer.StartAsync(model, new ServerSettings { Port = 0, Engine = new EngineSettings { BatchRows = 1, QueueRows = 1 } }, Stop);
        using var client = new HttpClient { BaseAddress = new Uri(small.Address) };
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => client.PostAsJsonAsync("/v1/completions", new { prompt = "a", max_tokens = 100, ignore_eos = true }, Stop)));
        Assert.Contains(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        var refused = answers.Where(answer => answer.StatusCode != HttpStatusCode.OK).ToArray();
        Assert.NotEmpty(refused);
        Assert.All(refused, answer => Assert.Equal((HttpStatusCode.TooManyRequests, TimeSpan.FromSeconds(1)), (answer.StatusCode, answer.Headers.RetryAfter?.Delta)));
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public async Task A_client_that_goes_away_leaves_the_batch_to_others(bool stream)
    {
        const int Wanted = 120;
        using var model = TextModel.Load(server.Folder);
        var gated = new GatedModel(model.Model);
        await using var small = await ModelServer.StartAsync(model with { Model = gated }, new ServerSettings { Port = 0, Engine = new EngineSettings { BatchRows = 1, QueueRows = 2 } }, Stop);
        using var client = new HttpClient { BaseAddress = new Uri(small.Address) };
        using var impatient = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var given = client.PostAsJsonAsync("/v1/completions", new { prompt = "a", max_tokens = Wanted, ignore_eos = true, stream }, impatient.Token);
        gated.Steps.Release(3);
        await gated.Reached(3);
        // One that needs no step waits for the only place in the batch.
        var next = client.PostAsJsonAsync("/v1/completions", new { prompt = "b", max_tokens = 1 }, Stop);
        await impatient.CancelAsync();
        if (!stream) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
        var steps = 3;
        for (; !next.IsCompleted && steps < Wanted; steps++)
        {
            gated.Steps.Release();
            await Task.WhenAny(next, Task.Delay(50, Stop));
        }

        // Had it stayed, the place would be free after all of its steps, one fewer than tokens.
        Assert.InRange(steps, 3, Wanted - 10);
        Assert.Equal(HttpStatusCode.OK, (await next).StatusCode);
    }

    [Fact]
    public async Task An_adapter_is_another_model_until_it_is_unloaded()
    {
        var asked = new { prompt = TestServer.PromptIds[0], max_tokens = 8, temperature = 0, logprobs = 0, return_token_ids = true };
        object With(string name) => new { model = name, asked.prompt, asked.max_tokens, asked.temperature, asked.logprobs, asked.return_token_ids };
        var before = await server.AskAsync("/v1/completions", With("llama"));
        await LoadAsync("tuned", "lora", HttpStatusCode.OK);
        Assert.Equal(["llama", "tuned"], (await server.Client.GetFromJsonAsync<JsonNode>("/v1/models", Stop))!["data"]!.AsArray().Select(model => (string)model!["id"]!));

        using var adapted = TextModel.Load(Path.Combine(server.AdaptersFolder, "lora"));
        var expected = Models.Generation.TextGenerator.Generate(adapted.Model, [new(new Models.TokenRow(TestServer.PromptIds[0], []), 0)], new Models.Generation.SamplingSettings { MaxNewTokens = 8, Greedy = true, EndTokens = server.Model.EndTokens }, 0)[0];
        // Both at once: each has its own weights.
        var both = await Task.WhenAll(server.AskAsync("/v1/completions", With("tuned")), server.AskAsync("/v1/completions", With("llama")));
        Assert.Equal(expected.Tokens, both[0]["choices"]![0]!["token_ids"]!.AsArray().Select(id => (int)id!));
        Assert.Equal(before["choices"]!.ToJsonString(), both[1]["choices"]!.ToJsonString());
        Assert.NotEqual(both[0]["choices"]!.ToJsonString(), both[1]["choices"]!.ToJsonString());

        await LoadAsync("tuned", "lora", HttpStatusCode.BadRequest);
        using var unloaded = await server.Client.PostAsJsonAsync("/v1/unload_lora_adapter", new { lora_name = "tuned" }, Stop);
        Assert.Equal(HttpStatusCode.OK, unloaded.StatusCode);
        Assert.Equal(404, (await server.PostAsync("/v1/completions", """{"model":"tuned","prompt":"a"}""")).Status);
        Assert.Equal(before["choices"]!.ToJsonString(), (await server.AskAsync("/v1/completions", With("llama")))["choices"]!.ToJsonString());
    }

    [Fact]
    public async Task Requests_are_answered_while_an_adapter_is_read()
    {
        using var model = TextModel.Load(server.Folder);
        using var gated = new GatedModel(model.Model) { Copies = new SemaphoreSlim(0) };
        await using var loading = await ModelServer.StartAsync(model with { Model = gated }, new ServerSettings { Port = 0, AdaptersFolder = server.AdaptersFolder }, Stop);
        using var client = new HttpClient { BaseAddress = new Uri(loading.Address) };
        gated.Steps.Release(100);
        var loaded = client.PostAsJsonAsync("/v1/load_lora_adapter", new { lora_name = "tuned", lora_path = "lora" }, Stop);
        await gated.CopyBegan.WaitAsync(TimeSpan.FromSeconds(20), Stop);

        using var answer = await client.PostAsJsonAsync("/v1/completions", new { prompt = "a", max_tokens = 3 }, Stop);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Single((await client.GetFromJsonAsync<JsonNode>("/v1/models", Stop))!["data"]!.AsArray());
        Assert.False(loaded.IsCompleted);

        gated.Copies.Release();
        Assert.Equal(HttpStatusCode.OK, (await loaded).StatusCode);
        using var tuned = await client.PostAsJsonAsync("/v1/completions", new { model = "tuned", prompt = "a", max_tokens = 3 }, Stop);
        Assert.Equal(HttpStatusCode.OK, tuned.StatusCode);
    }

    [Theory]
    [InlineData("load", """{"lora_path":"lora"}""", 400, "lora_name")]
    [InlineData("load", """{"lora_name":"llama","lora_path":"lora"}""", 400, "lora_name")]
    [InlineData("load", """{"lora_name":"x","lora_path":"nowhere"}""", 400, "lora_path")]
    [InlineData("load", """{"lora_name":"x","lora_path":"\ud800"}""", 400, "lora_path")]
    [InlineData("unload", """{"lora_name":"x"}""", 404, "lora_name")]
    [InlineData("unload", """{"lora_name":"llama"}""", 404, "lora_name")]
    public async Task What_is_wrong_with_an_adapter_is_said_with_its_field(string what, string body, int status, string field)
    {
        var (answered, answer) = await server.PostAsync($"/v1/{what}_lora_adapter", body);
        Assert.Equal((status, field), (answered, (string?)answer["error"]!["param"]));
    }

    [Fact]
    public async Task Adapters_come_from_below_their_folder_only()
    {
        var outside = Path.Combine(Path.GetDirectoryName(server.AdaptersFolder)!, "outside");
        Directory.CreateDirectory(outside);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(server.AdaptersFolder, "lora"))) File.Copy(file, Path.Combine(outside, Path.GetFileName(file)), overwrite: true);
        Directory.CreateDirectory(Path.Combine(server.AdaptersFolder, "inner"));
        var link = Path.Combine(server.AdaptersFolder, "link");
        if (!Directory.Exists(link)) Directory.CreateSymbolicLink(link, outside);
        foreach (var path in (string[])["../outside", outside, "lora/../../outside", "link", "nowhere", ".", "", "inner"])
        {
            var message = await LoadAsync("x", path, HttpStatusCode.BadRequest);
            Assert.DoesNotContain(Path.GetDirectoryName(server.AdaptersFolder)! + Path.DirectorySeparatorChar, message.Replace($"'{path}'", "", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }

    private async Task<string> LoadAsync(string name, string path, HttpStatusCode status)
    {
        using var response = await server.Client.PostAsJsonAsync("/v1/load_lora_adapter", new { lora_name = name, lora_path = path }, Stop);
        var text = await response.Content.ReadAsStringAsync(Stop);
        Assert.True(status == response.StatusCode, $"{path}: {text}");
        return text;
    }
}
