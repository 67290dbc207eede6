using System.Text;
using Rlgf.Base;
using Rlgf.Models.Hub;

namespace Rlgf.Models.Tests.Hub;

/// <summary>A model comes whole and right from a hub that fails in every way that hubs do, or ends in one clear line.</summary>
public sealed class HubFetchTests : IDisposable
{
    private const string Secret = "hf_very_secret";

    private readonly TemporaryFolder _folder = new();
    private readonly HubServer _server = new();
    private readonly byte[] _weights = new byte[300_000];

    public HubFetchTests()
    {
        new Random(1).NextBytes(_weights);
        _server.Files["config.json"] = "{\"model_type\": \"gpt2\"}"u8.ToArray();
        _server.Files["tokenizer.json"] = Encoding.UTF8.GetBytes("{" + new string(' ', 200) + "}");
        _server.Files["model.safetensors"] = _weights;
        _server.Files["pytorch_model.bin"] = new byte[200];
        _server.Files["pytorch_model.bin.index.json"] = "{}"u8.ToArray();
        _server.Files["onnx/model.safetensors"] = new byte[150];
        _server.Files["README.md"] = new byte[10];
    }

    private string Repository => Path.Combine(_folder.Path, "models--someone--tiny");

    private HubSettings Settings => new() { Endpoint = _server.Address, CacheFolder = _folder.Path, Token = Secret, FirstWait = TimeSpan.FromMilliseconds(5), Retries = 4 };

    public void Dispose()
    {
        _server.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void What_a_model_needs_comes_into_the_layout_of_the_ecosystem()
    {
        var folder = Fetch();
        Assert.Equal(Path.Combine(Repository, "snapshots", HubServer.Commit), folder);
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.json"], Directory.GetFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal(HubServer.Commit, File.ReadAllText(Path.Combine(Repository, "refs", "main")));
        Assert.Equal(
            new[] { "config.json", "model.safetensors", "tokenizer.json" }.Select(name => HubServer.EtagOf(_server.Files[name])).Order(StringComparer.Ordinal),
            Directory.GetFiles(Path.Combine(Repository, "blobs")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        if (!OperatingSystem.IsWindows()) Assert.Equal(Path.Combine("..", "..", "blobs", HubServer.EtagOf(_weights)), new FileInfo(Path.Combine(folder, "model.safetensors")).LinkTarget);
        Assert.All(_server.Requests, request => Assert.Equal($"Bearer {Secret}", request.Headers["Authorization"]));
    }

    [Fact]
    public void What_is_there_already_is_found_also_if_another_revision_brought_it()
    {
        Fetch();
        var before = _server.Requests.Count(request => request.Method == "GET");
        var folder = HubFetch.Run(new HubModel(HubServer.Model, "refs/pr/1"), [], Settings);
        Assert.Equal(before + 1, _server.Requests.Count(request => request.Method == "GET")); // The listing.
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal(HubServer.Commit, File.ReadAllText(Path.Combine(Repository, "refs", "refs", "pr", "1")));
        Assert.Contains(_server.Requests, request => request.Path.EndsWith("/revision/refs%2Fpr%2F1", StringComparison.Ordinal));
    }

    [Fact]
    public void A_connection_that_breaks_again_and_again_is_gone_on_from_where_it_was()
    {
        _server.Instead = request => IsWeights(request) && request.From < 240_000 ? _server.Answer(request) with { CutAfter = 80_000 } : null;
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));
        Assert.Equal([0, 80_000, 160_000, 240_000], _server.Downloads("model.safetensors").Select(request => request.From));
    }

    [Fact]
    public void A_connection_that_always_breaks_ends_in_one_line_and_what_came_is_kept()
    {
        _server.Instead = request => IsWeights(request) ? _server.Answer(request) with { CutAfter = 1_000 } : null;
        Assert.Contains("the connection broke at 5000 of 300000 bytes", Refused(), StringComparison.Ordinal);
        Assert.Equal(5_000, new FileInfo(Path.Combine(Repository, "blobs", HubServer.EtagOf(_weights) + ".incomplete")).Length);
        Assert.False(File.Exists(Path.Combine(Repository, "refs", "main")));

        _server.Instead = _ => null;
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));
        Assert.Equal(5_000, _server.Downloads("model.safetensors")[^1].From);
    }

    [Fact]
    public void Stopping_keeps_what_has_come()
    {
        using var stop = new CancellationTokenSource();
        long? total = null;
        Assert.ThrowsAny<OperationCanceledException>(() => HubFetch.Run(
            new HubModel(HubServer.Model), [], Settings, begun => total = begun.Total, new Direct(now =>
            {
                if (now.File == "model.safetensors") stop.Cancel();
            }),
            stop.Token));
        Assert.Equal(_server.Files["config.json"].Length + _server.Files["tokenizer.json"].Length + _weights.Length, total);
        var kept = new FileInfo(Path.Combine(Repository, "blobs", HubServer.EtagOf(_weights) + ".incomplete")).Length;
        Assert.InRange(kept, 1, _weights.Length);

        long begunAt = 0, last = 0;
        HubFetch.Run(new HubModel(HubServer.Model), [], Settings, begun => begunAt = begun.Bytes, new Direct(now => last = now.Bytes));
        Assert.True(begunAt >= kept);
        Assert.Equal(total, Math.Max(begunAt, last));
        if (kept < _weights.Length) Assert.Equal(kept, _server.Downloads("model.safetensors")[^1].From);
    }

    [Fact]
    public void A_server_that_sends_all_of_it_instead_of_the_rest_is_believed()
    {
        Directory.CreateDirectory(Path.Combine(Repository, "blobs"));
        File.WriteAllBytes(Path.Combine(Repository, "blobs", HubServer.EtagOf(_weights) + ".incomplete"), new byte[1000]);
        _server.Instead = request => IsWeights(request) ? new HubAnswer(200, _weights) : null;
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));
    }

    [Fact]
    public void A_part_that_is_longer_than_the_file_is_begun_afresh()
    {
        Directory.CreateDirectory(Path.Combine(Repository, "blobs"));
        File.WriteAllBytes(Path.Combine(Repository, "blobs", HubServer.EtagOf(_weights) + ".incomplete"), new byte[400_000]);
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));
    }

    [Fact]
    public void A_wrong_length_is_one_line()
    {
        _server.Instead = request => IsWeights(request) ? new HubAnswer(200, [.. _weights, 1]) : null;
        Assert.Contains("sends 300001 bytes where it announced 300000", Refused(), StringComparison.Ordinal);
        _server.Instead = request => IsWeights(request) ? new HubAnswer(200, [.. _weights, 1]) { SaidLength = -1 } : null;
        Assert.Contains("more than the 300000 bytes", Refused(), StringComparison.Ordinal);
        _server.Instead = request => IsWeights(request) ? new HubAnswer(200, _weights[..1000]) { SaidLength = -1 } : null;
        Assert.Contains("the connection broke at", Refused(), StringComparison.Ordinal);
        _server.Instead = request => request.Method == "HEAD" ? new HubAnswer(200, []) { SaidLength = -1, Headers = { ["ETag"] = "\"abc\"" } } : null;
        Assert.Contains("doesn't say how long it is", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_sum_is_tried_once_more_and_then_one_line()
    {
        var damaged = _weights.ToArray();
        damaged[123_456] ^= 1;
        var sent = 0;
        _server.Instead = request => IsWeights(request) && sent++ == 0 ? new HubAnswer(200, damaged) : null;
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));
        Assert.Equal(2, _server.Downloads("model.safetensors").Length);

        File.Delete(Path.Combine(Repository, "blobs", HubServer.EtagOf(_weights)));
        _server.Instead = request => IsWeights(request) ? new HubAnswer(200, damaged) : null;
        var line = Refused();
        Assert.Contains($"its SHA-256 is {HubServer.EtagOf(damaged)} where the server announced {HubServer.EtagOf(_weights)}, twice", line, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(Repository, "blobs", HubServer.EtagOf(_weights))));
    }

    [Fact]
    public void A_small_file_is_checked_by_gits_id()
    {
        _server.Instead = request => request.Method == "GET" && request.Path.EndsWith("/config.json", StringComparison.Ordinal) ? new HubAnswer(200, "{\"model_type\": \"gpt3\"}"u8.ToArray()) : null;
        Assert.Contains("config.json: its git id is", Refused(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(401, "the token in HF_TOKEN may not read it")]
    [InlineData(403, "accept its conditions on its page")]
    [InlineData(404, "has no such thing")]
    [InlineData(410, "the server answers 410 Gone")]
    public void A_refusal_is_one_line_and_not_asked_for_again(int status, string message)
    {
        _server.Instead = _ => new HubAnswer(status, []) { Headers = { ["X-Error-Message"] = "because" } };
        var line = Refused();
        Assert.Contains(message, line, StringComparison.Ordinal);
        Assert.Contains("(because)", line, StringComparison.Ordinal);
        Assert.Single(_server.Requests);
    }

    [Fact]
    public void Without_a_token_a_refusal_says_how_to_give_one()
    {
        _server.Instead = _ => new HubAnswer(401, []);
        Assert.Contains("set HF_TOKEN to a token", Assert.Throws<InputException>(() => HubFetch.Run(new HubModel(HubServer.Model), [], Settings with { Token = null })).Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Authorization", Assert.Single(_server.Requests).Headers.Keys);
    }

    [Fact]
    public void A_server_that_asks_for_rest_gets_it()
    {
        var refused = 0;
        _server.Instead = request => request.Path.EndsWith("/model.safetensors", StringComparison.Ordinal) && refused++ < 2 ? new HubAnswer(429, []) { Headers = { ["Retry-After"] = "0" } } : null;
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));

        _server.Instead = _ => new HubAnswer(429, []) { Headers = { ["Retry-After"] = "0" } };
        var before = _server.Requests.Count;
        Assert.Contains("asked too often", Refused(), StringComparison.Ordinal);
        Assert.Equal(5, _server.Requests.Count - before); // Once, and four times more.

        // Nobody waits an hour before a command that says nothing.
        _server.Instead = _ => new HubAnswer(429, []) { Headers = { ["Retry-After"] = "3600" } };
        before = _server.Requests.Count;
        Assert.Contains("wants 3600 seconds of rest", Refused(), StringComparison.Ordinal);
        Assert.Equal(1, _server.Requests.Count - before);
    }

    [Fact]
    public void A_server_that_is_down_for_a_moment_is_asked_again()
    {
        var failures = 0;
        _server.Instead = _ => failures++ < 3 ? new HubAnswer(503, []) : null;
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(Fetch(), "model.safetensors")));
        _server.Instead = _ => new HubAnswer(500, []);
        Assert.Contains("the server answers 500", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_that_falls_silent_is_asked_again()
    {
        var silences = 0;
        _server.Instead = request => IsWeights(request) && silences++ == 0 ? _server.Answer(request) with { Silence = TimeSpan.FromSeconds(1.5) } : null;
        var folder = HubFetch.Run(new HubModel(HubServer.Model), [], Settings with { Silence = TimeSpan.FromSeconds(0.5) });
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal(2, _server.Downloads("model.safetensors").Length);
    }

    [Fact]
    public void No_server_at_all_is_one_line()
    {
        var address = _server.Address;
        _server.Dispose();
        Assert.Contains($"{address}api/models/someone/tiny/revision/main: no answer: ", Assert.Throws<InputException>(() => HubFetch.Run(new HubModel(HubServer.Model), [], Settings with { Endpoint = address })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Redirects_are_followed_and_the_token_stays_with_the_hub()
    {
        using var storage = new HubServer();
        storage.Instead = request => request.From == 0 ? new HubAnswer(200, _weights) { CutAfter = 100_000 } : new HubAnswer(206, _weights[request.From..]) { Headers = { ["Content-Range"] = $"bytes {request.From}-299999/300000" } };
        _server.Instead = request =>
            // A renamed model answers under its new name; a large file lies elsewhere, and the hub says what it is.
            request.Path.Contains("/old/name/", StringComparison.Ordinal) ? HubAnswer.Redirect(307, request.Path.Replace("old/name", HubServer.Model, StringComparison.Ordinal))
            : request.Path.EndsWith("/model.safetensors", StringComparison.Ordinal) ? new HubAnswer(302, []) { Headers = { ["Location"] = $"{storage.Address}some/where?signature=x", ["X-Linked-Etag"] = HubServer.EtagOf(_weights), ["X-Linked-Size"] = "300000" } }
            : null;
        var folder = HubFetch.Run(new HubModel("old/name"), [], Settings);
        Assert.Equal(_weights, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        Assert.Equal(2, storage.Requests.Count);
        Assert.All(storage.Requests, request => Assert.DoesNotContain("Authorization", request.Headers.Keys));
        Assert.All(storage.Requests, request => Assert.Equal("GET", request.Method));
    }

    [Fact]
    public void Redirects_without_end_are_one_line()
    {
        _server.Instead = request => HubAnswer.Redirect(302, request.Path);
        Assert.Contains("more than 10 redirects", Refused(), StringComparison.Ordinal);
        _server.Instead = _ => HubAnswer.Redirect(302, "file:///etc/passwd");
        Assert.Contains("redirects to file://", Refused(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../../outside.json")]
    [InlineData("/etc/passwd.json")]
    [InlineData("a\\b.json")]
    [InlineData("a//b.json")]
    [InlineData("C:x.json")]
    public void A_file_that_leaves_its_folder_is_refused(string name)
    {
        _server.Files[name] = [1];
        Assert.Contains("leaves its folder", Refused(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(Repository, "snapshots")));
    }

    [Theory]
    [InlineData("../../x")]
    [InlineData(".hidden")]
    [InlineData("")]
    public void A_content_named_by_a_path_is_refused(string etag)
    {
        _server.Instead = request => request.Method == "HEAD" ? new HubAnswer(200, []) { SaidLength = 5, Headers = { ["X-Linked-Etag"] = etag, ["ETag"] = $"\"{etag}\"" } } : null;
        Assert.Contains("which can't name a file", Refused(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("<html>")]
    [InlineData("""{"sha": "../..", "siblings": []}""")]
    [InlineData("""{"sha": 1, "siblings": []}""")]
    public void An_answer_that_is_no_hubs_is_one_line(string body)
    {
        _server.Instead = _ => HubAnswer.Text(200, body);
        Assert.Contains("the answer is not a hub's", Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void Patterns_choose_files_also_in_folders()
    {
        var folder = HubFetch.Run(new HubModel(HubServer.Model), ["*.md", "onnx/*"], Settings);
        Assert.Equal(["README.md", Path.Combine("onnx", "model.safetensors")], Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(folder, path)).Order(StringComparer.Ordinal));
        Assert.Contains("no file fits '*.gguf'; there are config.json, ", Assert.Throws<InputException>(() => HubFetch.Run(new HubModel(HubServer.Model), ["*.gguf"], Settings)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_safetensors_PyTorchs_format_is_taken_and_GGUF_must_be_chosen()
    {
        _server.Files.Remove("model.safetensors");
        Assert.Equal(["config.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "tokenizer.json"], Directory.GetFiles(Fetch()).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        _server.Files.Remove("pytorch_model.bin");
        Assert.Contains("there are no weights", Refused(), StringComparison.Ordinal);
        _server.Files["tiny.Q4_0.gguf"] = new byte[10];
        Assert.Contains("choose one by --include and convert it (rlgf convert): tiny.Q4_0.gguf", Refused(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a/b/c")]
    [InlineData("../x")]
    [InlineData("a/..")]
    [InlineData("a--b")]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("https://huggingface.co/gpt2")]
    public void Names_that_no_model_has_are_refused(string name) => Assert.Contains("is not the name of a model", Assert.Throws<InputException>(() => new HubModel(name)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("../x")]
    [InlineData("/main")]
    [InlineData("a/../b")]
    [InlineData("")]
    public void Revisions_that_none_is_are_refused(string revision) => Assert.Contains("is not a revision", Assert.Throws<InputException>(() => new HubModel("gpt2", revision)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_environment_decides_address_cache_and_token()
    {
        string[] names = ["HF_ENDPOINT", "HF_TOKEN", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"];
        var before = names.Select(Environment.GetEnvironmentVariable).ToArray();
        try
        {
            foreach (var name in names) Environment.SetEnvironmentVariable(name, null);
            var plain = HubSettings.FromEnvironment();
            Assert.Equal(new Uri("https://huggingface.co/"), plain.Endpoint);
            Assert.Null(plain.Token);
            Assert.Equal(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "huggingface", "hub"), plain.CacheFolder);

            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", "/x");
            Assert.Equal(Path.Combine("/x", "huggingface", "hub"), HubSettings.FromEnvironment().CacheFolder);
            Environment.SetEnvironmentVariable("HF_HOME", "/home");
            Assert.Equal(Path.Combine("/home", "hub"), HubSettings.FromEnvironment().CacheFolder);
            Environment.SetEnvironmentVariable("HF_HUB_CACHE", "/cache");
            Environment.SetEnvironmentVariable("HF_ENDPOINT", "https://mirror.example/");
            Environment.SetEnvironmentVariable("HF_TOKEN", $"{Secret}\nX-Evil: 1");
            var refused = Assert.Throws<InputException>(() => HubSettings.FromEnvironment());
            Assert.Contains("HF_TOKEN holds a line end: set it to the token alone", refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(Secret, refused.Message, StringComparison.Ordinal);
            Environment.SetEnvironmentVariable("HF_TOKEN", $" {Secret}\n");
            var set = HubSettings.FromEnvironment();
            Assert.Equal("/cache", set.CacheFolder);
            Assert.Equal(new Uri("https://mirror.example/"), set.Endpoint);
            Assert.Equal(Secret, set.Token);
            Assert.Equal(new Uri("http://other/"), HubSettings.FromEnvironment("http://other").Endpoint);
            Assert.Contains("--endpoint is 'nonsense'", Assert.Throws<InputException>(() => HubSettings.FromEnvironment("nonsense")).Message, StringComparison.Ordinal);
        }
        finally
        {
            foreach (var (name, value) in names.Zip(before)) Environment.SetEnvironmentVariable(name, value);
        }
    }

    private static bool IsWeights(HubRequest request) => request.Method == "GET" && request.Path.EndsWith("/model.safetensors", StringComparison.Ordinal);

    private string Fetch() => HubFetch.Run(new HubModel(HubServer.Model), [], Settings);

    private string Refused()
    {
        var message = Assert.Throws<InputException>(() => HubFetch.Run(new HubModel(HubServer.Model), [], Settings)).Message;
        Assert.DoesNotContain(Secret, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        return message;
    }

    private sealed class Direct(Action<FetchProgress> report) : IProgress<FetchProgress>
    {
        public void Report(FetchProgress value) => report(value);
    }
}
