using Rlgf.Models.Tests.Hub;

namespace Rlgf.Cli.Tests;

public sealed class FetchTests : IDisposable
{
    private readonly Scratch _scratch = new();
    private readonly HubServer _server = new();
    private readonly string? _cacheBefore = Environment.GetEnvironmentVariable("HF_HUB_CACHE");

    public FetchTests()
    {
        Environment.SetEnvironmentVariable("HF_HUB_CACHE", _scratch["cache"]);
        foreach (var path in Directory.GetFiles(Fixtures.Model("gpt2")).Where(path => !path.Contains("expected", StringComparison.Ordinal))) _server.Files[Path.GetFileName(path)] = File.ReadAllBytes(path);
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("HF_HUB_CACHE", _cacheBefore);
        _server.Dispose();
        _scratch.Dispose();
    }

    [Fact]
    public void A_fetched_model_is_a_folder_that_the_other_commands_take()
    {
        var result = Fetch();
        Assert.Equal(ExitCode.Ok, result.Code);
        var folder = Assert.Single(result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith(_scratch["cache"], folder, StringComparison.Ordinal);
        var described = Cli.Run("inspect", folder);
        Assert.True(described.Output.Contains("supported       yes", StringComparison.Ordinal), described.Output);
    }

    [Fact]
    public void Stopping_is_not_an_error_and_says_how_to_go_on()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var result = Cli.RunWith("", stop.Token, "fetch", HubServer.Model, "--endpoint", _server.Address.ToString());
        Assert.Equal(ExitCode.Stopped, result.Code);
        Assert.Contains("the same command goes on from there", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_be_had_is_one_line()
    {
        Assert.Contains("has no such thing", Fetch("someone/else").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("no file fits '*.onnx'", Cli.Run("fetch", HubServer.Model, "--endpoint", _server.Address.ToString(), "--include", "*.onnx").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("is not the name of a model", Fetch("a/b/c").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("--endpoint is 'x'", Cli.Run("fetch", "gpt2", "--endpoint", "x").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private CliResult Fetch(string model = HubServer.Model) => Cli.Run("fetch", model, "--endpoint", _server.Address.ToString());
}
