using System.Diagnostics.Metrics;
using System.Net.Http.Json;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Rlgf.Models.Loading;
using Rlgf.Serving.Http;

namespace Rlgf.Serving.Tests;

public sealed class MetricsTests(TestServer server) : IClassFixture<TestServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_asked_and_written_is_counted()
    {
        var sums = new Dictionary<string, double>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, meters) =>
        {
            if (instrument.Meter.Name == "Rlgf.Serving") meters.EnableMeasurementEvents(instrument);
        };
        void Count(string name, double value)
        {
            lock (sums) sums[name] = sums.GetValueOrDefault(name) + value;
        }

        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Count(instrument.Name, value));
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Count($"{instrument.Name} {tags.ToArray().FirstOrDefault(tag => tag.Key == "http.response.status_code").Value}".Trim(), 1));
        listener.Start();
        await server.AskAsync("/v1/completions", new { prompt = TestServer.PromptIds[1], max_tokens = 5, n = 2, ignore_eos = true });
        await server.PostAsync("/v1/completions", "{}");
        // The last is counted after the answer was sent.
        for (var tries = 0; tries < 100; tries++)
        {
            lock (sums)
            {
                if (sums.ContainsKey("gen_ai.server.request.duration 400")) break;
            }

            await Task.Delay(20, Stop);
        }

        lock (sums)
        {
            Assert.Equal((TestServer.PromptIds[1].Length, 10, 2, 2), (sums["rlgf.serving.tokens.read"], sums["rlgf.serving.tokens.written"], sums["gen_ai.server.time_to_first_token"], sums["rlgf.serving.queue.duration"]));
            Assert.Equal((1, 1), (sums["gen_ai.server.request.duration 200"], sums["gen_ai.server.request.duration 400"]));
        }
    }

    [Fact]
    public async Task They_are_sent_to_the_collector_that_the_environment_names()
    {
        var received = new MemoryStream();
        await using var collector = Collector(received);
        await collector.StartAsync(Stop);
        var address = collector.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        (string Name, string Value)[] variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", address), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
        foreach (var (name, value) in variables) Environment.SetEnvironmentVariable(name, value);
        try
        {
            using var model = TextModel.Load(server.Folder);
            await using (var served = await ModelServer.StartAsync(model, new ServerSettings { Port = 0, Name = "watched" }, Stop))
            {
                using var client = new HttpClient();
                using var answer = await client.PostAsJsonAsync(new Uri($"{served.Address}/v1/completions"), new { prompt = "a", max_tokens = 2 }, Stop);
                Assert.True(answer.IsSuccessStatusCode);
            }
        }
        finally
        {
            foreach (var (name, _) in variables) Environment.SetEnvironmentVariable(name, null);
        }

        var text = Encoding.Latin1.GetString(received.ToArray());
        Assert.Contains("rlgf.serving.tokens.written", text, StringComparison.Ordinal);
        Assert.Contains("watched", text, StringComparison.Ordinal);
    }

    private static WebApplication Collector(MemoryStream received)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(System.Net.IPAddress.Loopback, 0));
        var web = builder.Build();
        web.Run(async http =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            lock (received) body.WriteTo(received);
            http.Response.StatusCode = StatusCodes.Status200OK;
        });
        return web;
    }
}
