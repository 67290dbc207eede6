using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Rlgf.Models.Loading;
using Rlgf.Serving.Engine;
using Rlgf.Serving.Http;

namespace Rlgf.Serving.Tests;

/// <summary>A server of the small Llama of the fixtures, with a chat template, and the same model once more to compare with.</summary>
public sealed class TestServer : IAsyncLifetime
{
    /// <summary>As ChatML; the markers are ordinary text to this tokenizer.</summary>
    private const string Template = "{% for message in messages %}<{{ message.role }}>{{ message.content }}</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

    private readonly string _root = Directory.CreateTempSubdirectory("rlgf-serving").FullName;
    private TextModel? _served;
    private ModelServer? _server;

    public TextModel Model { get; private set; } = null!;

    public HttpClient Client { get; private set; } = null!;

    public string Folder => Path.Combine(_root, "llama");

    public string AdaptersFolder => Path.Combine(_root, "adapters");

    public static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "models", name);

    /// <summary>What transformers computes from the model.</summary>
    public static JsonNode Expected { get; } = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixture("llama"), "expected.json")))!;

    /// <summary>The ids of the fixtures' prompts.</summary>
    public static int[][] PromptIds { get; } = Rows(Expected["right_padded"]!);

    /// <summary>The rows of a batch without their padding.</summary>
    public static int[][] Rows(JsonNode batch) =>
        [.. batch["input_ids"]!.AsArray().Zip(batch["attention_mask"]!.AsArray()).Select(row => row.First!.AsArray().Zip(row.Second!.AsArray()).Where(token => (int)token.Second! == 1).Select(token => (int)token.First!).ToArray())];

    public async ValueTask InitializeAsync()
    {
        Copy("llama", Folder);
        File.WriteAllText(Path.Combine(Folder, "chat_template.jinja"), Template);
        Copy("llama_lora", Path.Combine(AdaptersFolder, "lora"));
        var settings = Path.Combine(AdaptersFolder, "lora", "adapter_config.json");
        File.WriteAllText(settings, File.ReadAllText(settings).Replace("../llama", "../../llama", StringComparison.Ordinal));
        Model = TextModel.Load(Folder);
        _served = TextModel.Load(Folder);
        _server = await ModelServer.StartAsync(_served, new ServerSettings { Port = 0, AdaptersFolder = AdaptersFolder, BodyBytes = 20_000, Engine = new EngineSettings { BatchRows = 8, QueueRows = 16 } });
        Client = new HttpClient { BaseAddress = new Uri(_server.Address) };
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        if (_server is not null) await _server.DisposeAsync();
        _served?.Dispose();
        Model?.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    /// <summary>Sends a body, and gives what comes back with its status.</summary>
    public async Task<(int Status, JsonNode Body)> PostAsync(string path, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await Client.PostAsync(path, content, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, (await response.Content.ReadFromJsonAsync<JsonNode>(TestContext.Current.CancellationToken))!);
    }

    /// <summary>The answer to a request that must succeed.</summary>
    public async Task<JsonNode> AskAsync(string path, object body)
    {
        var (status, answer) = await PostAsync(path, System.Text.Json.JsonSerializer.Serialize(body));
        Assert.True(status == 200, $"{status}: {answer.ToJsonString()}");
        return answer;
    }

    /// <summary>The events of a streamed answer, without the last, which must be <c>[DONE]</c>.</summary>
    public async Task<JsonNode[]> StreamAsync(string path, object body)
    {
        using var content = JsonContent.Create(body);
        using var response = await Client.PostAsync(path, content, TestContext.Current.CancellationToken);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        var events = (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.All(events, line => Assert.StartsWith("data: ", line, StringComparison.Ordinal));
        Assert.Equal("data: [DONE]", events[^1]);
        return [.. events[..^1].Select(line => JsonNode.Parse(line[6..])!)];
    }

    private static void Copy(string fixture, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.EnumerateFiles(Fixture(fixture))) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
    }
}
