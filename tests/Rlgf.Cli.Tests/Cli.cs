using Rlgf.Recipes;

namespace Rlgf.Cli.Tests;

/// <summary>Runs the real entry point in this process.</summary>
internal static class Cli
{
    public static CliResult Run(params string[] args) => RunWith("", default, args);

    public static CliResult RunWith(string input, CancellationToken stop, params string[] args) => RunWith(Kinds(), input, stop, args);

    /// <summary>The kinds that the program has.</summary>
    public static PartKinds Kinds()
    {
        var kinds = AppKinds.New();
        PackagedGuides.AddTo(kinds.Guides);
        return kinds;
    }

    public static CliResult RunWith(PartKinds kinds, string input, CancellationToken stop, params string[] args)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        using var reader = new StringReader(input);
        var code = CommandLine.Run(args, new Terminal(reader, output, error) { Stop = stop, OwnProgram = ["dotnet", RunningProcess.Program] }, kinds, OwnCommands.All);
        return new CliResult(code, output.ToString(), error.ToString());
    }
}

/// <summary>What a command line left behind.</summary>
internal sealed record CliResult(int Code, string Output, string Error)
{
    /// <summary>Lines on standard error.</summary>
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Asserts that the command failed with one line, warnings apart, and gives it.</summary>
    public string OneErrorLine(int code)
    {
        Assert.True(code == Code, $"exit code {Code}, expected {code}; standard error:\n{Error}");
        var line = Assert.Single(ErrorLines, line => !line.StartsWith("warning: ", StringComparison.Ordinal));
        Assert.StartsWith("error: ", line, StringComparison.Ordinal);
        // All begin in one way: with a place, or with a word without a capital letter. A name such as PPO or A.jsonl is no such word.
        Assert.DoesNotMatch("^error: ([A-Z][a-z]+|A) ", line);
        return line;
    }
}
