using System.Net.Http.Json;
using Rlgf.Models.Loading;
using Rlgf.Serving.Http;
using static TorchSharp.torch;

namespace Rlgf.Serving.Tests;

/// <summary>What an adapter took comes back: when it is unloaded, and with the server's end. The model's own numbers, which it shares, stay.</summary>
public sealed class AdapterMemoryTests(TestServer server) : IClassFixture<TestServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true), InlineData(false)]
    public async Task An_adapters_tensors_are_given_back(bool byUnloading)
    {
        using var model = TextModel.Load(server.Folder);
        using var gated = new GatedModel(model.Model);
        gated.Steps.Release(100);
        var own = await ModelServer.StartAsync(model with { Model = gated }, new ServerSettings { Port = 0, AdaptersFolder = server.AdaptersFolder }, Stop);
        await using var ended = own;
        using var client = new HttpClient { BaseAddress = new Uri(own.Address) };
        using var loaded = await client.PostAsJsonAsync("/v1/load_lora_adapter", new { lora_name = "tuned", lora_path = "lora" }, Stop);
        Assert.True(loaded.IsSuccessStatusCode);
        var adapter = Parameters(Assert.Single(gated.Made).Module);
        Assert.Contains(adapter, parameter => parameter.requires_grad);
        await AnswersAsync("tuned");

        if (byUnloading)
        {
            using var unloaded = await client.PostAsJsonAsync("/v1/unload_lora_adapter", new { lora_name = "tuned" }, Stop);
            Assert.True(unloaded.IsSuccessStatusCode);
            // The engine's thread gives it up after the answer.
            for (var waited = 0; waited < 400 && !Array.TrueForAll(adapter, parameter => parameter.IsInvalid); waited++) await Task.Delay(25, Stop);
            await AnswersAsync(null);
        }
        else
        {
            await own.DisposeAsync();
        }

        Assert.All(adapter, parameter => Assert.True(parameter.IsInvalid));
        Assert.All(Parameters(model.Model.Module), parameter => Assert.False(parameter.IsInvalid));

        async Task AnswersAsync(string? name)
        {
            using var answer = await client.PostAsJsonAsync("/v1/completions", new { model = name, prompt = "a", max_tokens = 3 }, Stop);
            Assert.True(answer.IsSuccessStatusCode);
        }
    }

    private static Tensor[] Parameters(nn.Module module) => [.. module.parameters()];
}
