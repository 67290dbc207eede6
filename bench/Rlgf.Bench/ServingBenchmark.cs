using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Rlgf.Models.Loading;
using Rlgf.Serving.Engine;
using Rlgf.Serving.Http;

namespace Rlgf.Bench;

/// <summary>A server under many clients that come, go away and come again: what they are answered must be what one client alone is answered, and nothing may fail but for a full queue.</summary>
internal sealed class ServingBenchmark
{
    private const int Clients = 64;
    private const int BatchRows = 32, QueueRows = 16;
    private const int Samples = 20;

    private static readonly string[] Prompts =
    [
        "The film was", "The capital of France is", "Once upon a time there was a king who", "Two plus two is", "In the middle of the night the telephone rang, and", "The best way to learn a language is to", "Rain in spring",
        "Emoji list: 🙂 🐱 🐶 日本語 é", "I have seen this film three times now, and each time I find something in it that I had not noticed before: a look, a colour, a line that somebody says while walking out of the room. What makes it so good is",
    ];

    private readonly HttpClient _client;
    private readonly JsonObject[] _requests;
    private readonly string[] _answers;
    private readonly ConcurrentBag<double> _seconds = [];
    private readonly ConcurrentDictionary<string, int> _counts = new();
    private long _tokens;

    private ServingBenchmark(HttpClient client)
    {
        _client = client;
        _requests = [.. Enumerable.Range(0, 24).Select(Request)];
        _answers = new string[_requests.Length];
    }

    /// <summary>Runs it.</summary>
    /// <param name="folder">A model's folder.</param>
    /// <param name="minutes">How long the clients ask.</param>
    public static async Task RunAsync(string folder, double minutes)
    {
        using var model = TextModel.Load(folder);
        await using var server = await ModelServer.StartAsync(model, new ServerSettings { Port = 0, Engine = new EngineSettings { BatchRows = BatchRows, QueueRows = QueueRows } });
        using var client = new HttpClient { BaseAddress = new Uri(server.Address), Timeout = Timeout.InfiniteTimeSpan };
        await new ServingBenchmark(client).RunAsync(minutes);
    }

    private async Task RunAsync(double minutes)
    {
        for (var i = 0; i < _requests.Length; i++) _answers[i] = await AskAsync(_requests[i], CancellationToken.None);
        Interlocked.Exchange(ref _tokens, 0);
        using var end = new CancellationTokenSource(TimeSpan.FromMinutes(minutes));
        var watch = Stopwatch.StartNew();
        var memory = WatchAsync(TimeSpan.FromMinutes(minutes) / Samples);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => ClientAsync(new Random(client), end.Token)));
        var seconds = watch.Elapsed.TotalSeconds;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Clients} clients, {seconds:F0} s, batch {BatchRows}, queue {QueueRows}: {string.Join(", ", _counts.OrderBy(count => count.Key, StringComparer.Ordinal).Select(count => $"{count.Key} {count.Value}"))}"));
        double[] sorted = [.. _seconds.Order()];
        if (sorted.Length > 0) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"seconds to a whole answer: median {sorted[sorted.Length / 2]:F2}, p99 {sorted[(int)(sorted.Length * 0.99)]:F2}, most {sorted[^1]:F2}; {_tokens / seconds:F0} tokens/s in whole answers"));
        Console.WriteLine($"MiB: {string.Join(' ', (await memory).Select(value => value.ToString("F0", CultureInfo.InvariantCulture)))}");
    }

    /// <summary>Asks one thing after the other; a third of the answers is not waited for.</summary>
    private async Task ClientAsync(Random random, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            var which = random.Next(_requests.Length);
            using var patience = new CancellationTokenSource();
            if (random.Next(3) == 0) patience.CancelAfter(random.Next(3000));
            var start = Stopwatch.GetTimestamp();
            try
            {
                var answer = await AskAsync(_requests[which], patience.Token);
                _seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
                Count(answer == _answers[which] ? "equal" : "DIFFERENT");
            }
            catch (OperationCanceledException)
            {
                Count("cancelled");
            }
            catch (HttpRequestException failure) when (failure.StatusCode == HttpStatusCode.TooManyRequests)
            {
                Count("429");
                await Task.Delay(1000, CancellationToken.None);
            }
            catch (Exception failure) when (failure is HttpRequestException or IOException or InvalidOperationException)
            {
                Count($"FAILED ({failure.Message})");
            }
        }
    }

    private async Task<string> AskAsync(JsonObject request, CancellationToken patience)
    {
        using var response = await _client.PostAsJsonAsync("/v1/completions", request, patience);
        response.EnsureSuccessStatusCode();
        var answer = (await response.Content.ReadFromJsonAsync<JsonNode>(patience))!;
        Interlocked.Add(ref _tokens, (int)answer["usage"]!["completion_tokens"]!);
        return answer["choices"]!.ToJsonString();
    }

    private static JsonObject Request(int number) => new()
    {
        ["prompt"] = Prompts[number % Prompts.Length], ["max_tokens"] = 8 + (5 * number % 41), ["temperature"] = number % 2 == 0 ? 0 : 0.8, ["top_p"] = number % 4 == 1 ? 0.95 : 1, ["seed"] = number, ["return_token_ids"] = true,
    };

    private void Count(string what) => _counts.AddOrUpdate(what, 1, (_, count) => count + 1);

    private static async Task<IReadOnlyList<double>> WatchAsync(TimeSpan every)
    {
        var samples = new List<double>();
        for (var sample = 0; sample <= Samples; sample++)
        {
            using var process = Process.GetCurrentProcess();
            samples.Add(process.WorkingSet64 / (double)(1 << 20));
            if (sample < Samples) await Task.Delay(every);
        }

        return samples;
    }
}
