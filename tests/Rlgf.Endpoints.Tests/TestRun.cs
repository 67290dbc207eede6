using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Rlgf.App;
using Rlgf.App.Terminals;

namespace Rlgf.Endpoints.Tests;

/// <summary>A folder of a test's own, gone afterwards.</summary>
internal sealed class Scratch : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlgf-test-");

    /// <summary>A path in the folder.</summary>
    public string this[string name] => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
}

/// <summary>A variable of the environment of a test's own.</summary>
internal sealed class Variable : IDisposable
{
    public Variable(string value)
    {
        Name = $"RLGF_TEST_{Guid.NewGuid():N}";
        Environment.SetEnvironmentVariable(Name, value);
    }

    public string Name { get; }

    public void Dispose() => Environment.SetEnvironmentVariable(Name, null);
}

/// <summary>What a command line left behind.</summary>
internal sealed record CommandResult(int Code, string Output, string Error)
{
    /// <summary>The only line of a failure, but for what is said of an endpoint that is asked what it can do.</summary>
    public string OneErrorLine()
    {
        Assert.True(Code == 1, $"exit code {Code}; standard error:\n{Error}");
        var line = Assert.Single(Error.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => !line.StartsWith("guide '", StringComparison.Ordinal));
        // The place is said once, with the key that it is about.
        Assert.InRange(Regex.Count(line, @"recipe\.yaml:[0-9]+: "), 0, 1);
        return line;
    }
}

/// <summary>Tiny runs that a server guides.</summary>
internal static class TestRun
{
    /// <summary>The data's texts, whose beginnings are the prompts.</summary>
    public static string[] Texts { get; } = [.. Enumerable.Range(0, 40).Select(i => $"{i} films were good and the end of the last is better than that")];

    /// <summary>Runs the command line in this process.</summary>
    public static CommandResult Run(CancellationToken stop, params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        using var reader = new StringReader("");
        var code = CommandLine.Run(args, new Terminal(reader, output, error) { Stop = stop });
        return new CommandResult(code, output.ToString(), error.ToString());
    }

    /// <summary>Trains with a server as guide, into the folder "run".</summary>
    public static CommandResult Train(Scratch scratch, OpenAiServer server, params string[] set) => Run(default, Arguments(scratch, server.Address.ToString(), set));

    /// <summary>The arguments of such a training.</summary>
    public static string[] Arguments(Scratch scratch, string endpoint, params string[] set) =>
        ["train", Recipe(scratch, endpoint), .. set.SelectMany(change => (string[])["--set", change])];

    /// <summary>The rows of metrics.jsonl.</summary>
    public static JsonNode[] Metrics(Scratch scratch, string run = "run") => [.. File.ReadLines(scratch[$"{run}/metrics.jsonl"]).Select(line => JsonNode.Parse(line)!)];

    /// <summary>The rows of metrics.jsonl without times and without what the guide cost.</summary>
    public static string[] Numbers(Scratch scratch, string run) => [.. Metrics(scratch, run).Select(row => string.Join('\n', row.AsObject()
        .Where(metric => !metric.Key.StartsWith("seconds/", StringComparison.Ordinal) && !metric.Key.StartsWith("guide/", StringComparison.Ordinal)).Select(metric => $"{metric.Key} {metric.Value}")))];

    private static string Recipe(Scratch scratch, string endpoint)
    {
        if (!File.Exists(scratch["data.jsonl"]))
            File.WriteAllLines(scratch["data.jsonl"], Texts.Select(text => $$"""{"text": "{{text}}"}"""));
        File.WriteAllText(scratch["recipe.yaml"], $$"""
            kind: train
            name: endpoint
            seed: 0
            output: {{scratch["run"]}}
            model: {path: {{Path.Combine(AppContext.BaseDirectory, "fixtures", "models", "gpt2")}}}
            data: {path: {{scratch["data.jsonl"]}}, column: text, prompt_tokens: 6}
            generation: {max_new_tokens: 12}
            guide: {kind: openai, endpoint: "{{endpoint}}", model: m, sampling: {temperature: 0}, retry_wait_seconds: 0.001}
            reward: {kind: length, target_tokens: 6}
            algorithm: {name: ppo_plus_plus, roll_in_probability: 0.7}
            iterations: 2
            rows_per_iteration: 8
            checkpoints: {every: 1}
            """);
        return scratch["recipe.yaml"];
    }
}
