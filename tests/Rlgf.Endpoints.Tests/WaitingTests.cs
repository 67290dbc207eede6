using System.Diagnostics;

namespace Rlgf.Endpoints.Tests;

/// <summary>An endpoint that is down or slow while it is asked what it can do: what is said meanwhile, and how it ends.</summary>
public sealed class WaitingTests
{
    [Fact]
    public void What_is_waited_for_is_said_and_ends_with_one_line()
    {
        using var scratch = new Scratch();
        var port = ServerProcess.FreePort();
        var result = TestRun.Run(default, TestRun.Arguments(scratch, $"http://127.0.0.1:{port}/v1", "guide.retries=3", "guide.retry_wait_seconds=0.01"));
        var lines = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal($"guide 'm': asking http://127.0.0.1:{port}/v1/ what it can do", lines[0]);
        foreach (var (line, left) in lines[1..4].Zip(["3 more times", "2 more times", "1 more time"]))
            Assert.Matches($@"^guide 'm': http://127\.0\.0\.1:{port}/v1/: no answer: .*; asked again in [0-9.]+ s, {left} at most, about [0-9.]+ s in all$", line);
        Assert.Equal(5, lines.Length);
        Assert.StartsWith("error: ", lines[4], StringComparison.Ordinal);
        Assert.Contains($"guide.endpoint: http://127.0.0.1:{port}/v1/: no answer", result.OneErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_server_says_while_it_loads_is_said()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { FaultOf = (number, _) => number <= 2 ? Fault.Unavailable : Fault.None };
        var result = TestRun.Train(scratch, server);
        Assert.Equal(0, result.Code);
        Assert.Contains("/v1/: status 503; asked again in ", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("train")]
    [InlineData("check")]
    [InlineData("guide sample")]
    [InlineData("evaluate")]
    public void A_stop_ends_it_at_once_with_no_word_of_work_that_never_began(string command)
    {
        using var scratch = new Scratch();
        using var stop = new CancellationTokenSource();
        using var server = new OpenAiServer
        {
            FaultOf = (_, _) =>
            {
                stop.Cancel();
                return Fault.Hangs;
            },
        };
        var arguments = TestRun.Arguments(scratch, server.Address.ToString());
        string[] more = command switch { "guide sample" => ["--output", scratch["answers.jsonl"]], "evaluate" => ["--guide", "--set", $"data.evaluation_path={scratch["data.jsonl"]}"], _ => [] };
        var result = TestRun.Run(stop.Token, [.. command.Split(' '), .. arguments[1..], .. more]);
        Assert.True(result.Code == 130, result.Error);
        Assert.DoesNotContain("step", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("asked again", result.Error, StringComparison.Ordinal);
        Assert.Single(server.Requests);
        if (command == "train") Assert.EndsWith("stopped before the first iteration; the same command goes on\n", result.Error, StringComparison.Ordinal);

        // And so it does.
        server.FaultOf = (_, _) => Fault.None;
        var again = TestRun.Run(default, [.. command.Split(' '), .. arguments[1..], .. more]);
        Assert.True(again.Code == 0, again.Error);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_signal_ends_it_with_130(string signal)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("sends signals by the kill command");
        using var scratch = new Scratch();
        using var server = new OpenAiServer { FaultOf = (_, _) => Fault.Hangs };
        using var process = Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Rlgf.Cli.dll"), .. TestRun.Arguments(scratch, server.Address.ToString())])
        {
            RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        var error = process.StandardError.ReadToEndAsync();
        for (var waited = Stopwatch.StartNew(); server.Requests.IsEmpty && !process.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2);) await Task.Delay(20);
        Signals.Send(signal, process.Id);
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 130, await error);
        Assert.DoesNotContain("step", await error, StringComparison.Ordinal);
        Assert.EndsWith("stopped before the first iteration; the same command goes on\n", await error, StringComparison.Ordinal);
    }
}
