using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.Endpoints.Caching;

namespace Rlgf.Endpoints.Tests;

/// <summary>Runs whose guide's server fails, is killed or is stopped: they come to the same end, and nothing is paid for twice.</summary>
public sealed class FaultTests
{
    private static readonly string[] Longer = ["iterations=3", "rows_per_iteration=16", "guide.timeout_seconds=2", "guide.retries=30"];

    [Theory]
    [InlineData("completion")]
    [InlineData("chat_with_prefill")]
    public void A_run_whose_server_fails_in_three_of_ten_requests_has_the_numbers_of_one_whose_server_does_not(string mode)
    {
        using var scratch = new Scratch();
        string[] set = [.. Longer, $"guide.mode={mode}"];
        using var sound = new OpenAiServer { ContinuesTrailingMessage = true };
        var expected = TestRun.Train(scratch, sound, [.. set, $"output={scratch["sound"]}"]);
        Assert.True(expected.Code == 0, expected.Error);

        var random = new Random(1);
        using var server = new OpenAiServer
        {
            ContinuesTrailingMessage = true, FaultOf = (_, _) =>
            {
                lock (random) return random.Next(10) < 3 ? (Fault)random.Next(1, 10) : Fault.None;
            },
        };
        var result = TestRun.Train(scratch, server, [.. set, $"guide.cache={scratch["cache.db"]}"]);
        Assert.True(result.Code == 0, result.Error);
        Assert.Equal(TestRun.Numbers(scratch, "sound"), TestRun.Numbers(scratch, "run"));
        // On a crowded machine an answer may come too late to be read: no time-out but those of hanging requests, no answer twice.
        var late = CountOf("no answer in time") - server.Faults.GetValueOrDefault(Fault.Hangs);
        Assert.InRange(server.Answered.Count - server.Answered.Distinct().Count(), 0, late);
        // A line for each kind of what happened, with how often.
        Assert.True(server.Faults.Count > 6, string.Join(", ", server.Faults));
        foreach (var (fault, kind) in new (Fault, string)[]
        {
            (Fault.TooManyRequests, "status 429"), (Fault.ServerError, "status 500"), (Fault.Unavailable, "status 503"), (Fault.InvalidJson, "invalid JSON"), (Fault.TwoChoices, "another number of choices"),
            (Fault.TooManyTokens, "too many tokens"),
        }) Assert.InRange(server.Faults.GetValueOrDefault(fault) - CountOf(kind), 0, late);
        Assert.Equal(server.Faults.GetValueOrDefault(Fault.Cut) + server.Faults.GetValueOrDefault(Fault.EmptyChoice) > 0, CountOf("answer broken off") > 0);

        int CountOf(string kind) => Regex.Match(result.Error, $"guide 'm': {kind}: ([0-9]+) times") is { Success: true } line ? int.Parse(line.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : 0;
    }

    [Fact]
    public async Task What_was_answered_before_a_kill_is_not_asked_for_again()
    {
        using var scratch = new Scratch();
        using var sound = new OpenAiServer();
        string[] set = ["iterations=3", "rows_per_iteration=16", "guide.in_flight=2", "guide.sampling.temperature=1"];
        var expected = TestRun.Train(scratch, sound, [.. set, $"output={scratch["sound"]}"]);
        Assert.True(expected.Code == 0, expected.Error);

        using var server = new OpenAiServer { TimeForWord = TimeSpan.FromMilliseconds(15) };
        string[] arguments = [.. TestRun.Arguments(scratch, server.Address.ToString(), [.. set, $"guide.cache={scratch["cache.db"]}"])];
        using (var process = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Rlgf.Cli.dll"), .. arguments])
        {
            RedirectStandardError = true, RedirectStandardOutput = true,
            // As many as here: the order of a sum depends on how many compute it.
            Environment = { ["OMP_NUM_THREADS"] = "1" },
        })!)
        {
            var error = process.StandardError.ReadToEndAsync();
            var waited = Stopwatch.StartNew();
            // Into the second iteration, beyond a checkpoint.
            while (!(Directory.Exists(scratch["run/checkpoints/iteration-00001"]) && server.Answered.Count > 20) && !process.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2)) Thread.Sleep(5);
            Assert.False(process.HasExited, process.HasExited ? await error : "");
            process.Kill();
            await process.WaitForExitAsync();
        }

        HashSet<string> kept = [];
        using (var cache = AnswerCache.Open(scratch["cache.db"], mustExist: true))
            foreach (var answer in cache.All()) kept.Add(answer.Question);
        Assert.InRange(kept.Count, 10, 60);
        var before = server.Requests.Count;
        var result = TestRun.Run(default, ["train", scratch["run"], "--resume"]);
        Assert.True(result.Code == 0, result.Error);
        var again = server.Requests.Skip(before).Select(request => Asked(request.Body)).ToArray();
        Assert.NotEmpty(again);
        Assert.Empty(again.Intersect(kept));
        Assert.Equal(TestRun.Numbers(scratch, "sound"), TestRun.Numbers(scratch, "run"));
        // What was spent is known, that between checkpoint and kill included, and five requests that found out what the endpoint can do.
        using var all = AnswerCache.Open(scratch["cache.db"], mustExist: true);
        var bought = all.All().Count(answer => answer.CompletionTokens > 0);
        Assert.InRange((int)TestRun.Metrics(scratch)[^1]["guide/requests"]!, bought, bought + 5);
    }

    [Fact]
    public void A_run_without_a_cache_that_was_stopped_again_and_again_buys_nothing_twice_and_knows_what_it_spent()
    {
        using var scratch = new Scratch();
        using var sound = new OpenAiServer();
        string[] set = ["iterations=4", "rows_per_iteration=16", "guide.in_flight=2", "guide.sampling.temperature=1", "guide.budget={requests: 1000}"];
        Assert.Equal(0, TestRun.Train(scratch, sound, [.. set, $"output={scratch["sound"]}"]).Code);

        using var server = new OpenAiServer();
        // Where roll-ins of the next iteration are asked for, and in no checkpoint yet.
        string[] arguments = TestRun.Arguments(scratch, server.Address.ToString(), set);
        foreach (var number in (int[])[25, 40])
        {
            using var stop = new CancellationTokenSource();
            server.FaultOf = (request, _) =>
            {
                if (request == number) stop.Cancel();
                return Fault.None;
            };
            Assert.Equal(130, TestRun.Run(stop.Token, arguments).Code);
            arguments = ["train", scratch["run"], "--resume"];
        }

        server.FaultOf = (_, _) => Fault.None;
        var result = TestRun.Run(default, arguments);
        Assert.True(result.Code == 0, result.Error);
        Assert.Equal(TestRun.Numbers(scratch, "sound"), TestRun.Numbers(scratch, "run"));
        // Whose answer was sent when the stop came may not have been read: two at most each time.
        var twice = server.Answered.Count - server.Answered.Distinct().Count();
        Assert.InRange(twice, 0, 4);
        Assert.InRange((double)TestRun.Metrics(scratch)[^1]["guide/requests"]!, server.Answered.Distinct().Count() - 4, server.Answered.Count);
    }

    [Fact]
    public void A_stop_ends_requests_at_once()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { TimeForWord = TimeSpan.FromMilliseconds(400) };
        using var stop = new CancellationTokenSource();
        server.FaultOf = (number, _) =>
        {
            // The probe's requests are over.
            if (number == 8) stop.CancelAfter(TimeSpan.FromMilliseconds(300));
            return Fault.None;
        };
        var result = TestRun.Run(stop.Token, TestRun.Arguments(scratch, server.Address.ToString(), "guide.in_flight=4"));
        Assert.Equal(130, result.Code);
        SpinWait.SpinUntil(() => server.Abandoned > 0, TimeSpan.FromSeconds(10));
        Assert.InRange(server.Abandoned, 1, 4);
    }

    /// <summary>A question without what says only how it is sent.</summary>
    private static string Asked(JsonObject body)
    {
        var question = body.DeepClone().AsObject();
        question.Remove("stream");
        question.Remove("stream_options");
        return question.ToJsonString(new System.Text.Json.JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
