using System.Globalization;
using Rlgf.Runs;

namespace Rlgf.Cli.Tests;

/// <summary>Which model is measured, and how sure the means are.</summary>
public sealed class EvaluateTests
{
    [Fact]
    public void Of_a_run_the_trained_policy_is_measured_and_named_with_intervals()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        Assert.Equal(ExitCode.Ok, Cli.Run("train", recipe, "--set", "update.learning_rate=0.01").Code);
        var policy = Path.Combine(scratch["run"], "checkpoints", "iteration-00003", "policy");
        var last = new RunFolder(scratch["run"]).ReadEvaluations()[^1];
        var start = new RunFolder(scratch["run"]).ReadEvaluations()[0];
        Assert.NotEqual(start.Metrics["perplexity/start"], last.Metrics["perplexity/start"]);

        var trained = Lines("evaluate", scratch["run"]);
        Assert.Equal(policy, trained["model"]);
        Assert.Equal("4", trained["prompts"]);
        Assert.Equal(last.Metrics["perplexity/start"], Number(trained["perplexity/start"]), 1e-3);
        Assert.Equal(trained["perplexity/start"], Lines("evaluate", Path.Combine(scratch["run"], "recipe.yaml"))["perplexity/start"]);

        // Student's t of 3 degrees of freedom at 0.975 is 3.1824.
        double[] lengths = [.. last.Rows.Select(row => (double)row.Tokens)];
        var mean = lengths.Average();
        var half = 3.182446 * Math.Sqrt(lengths.Sum(x => (x - mean) * (x - mean)) / 3 / 4);
        Assert.Equal(string.Create(CultureInfo.InvariantCulture, $"{mean:0.0000} ± {half:0.0000}"), trained["response/length"]);
        Assert.DoesNotContain("±", trained["distinct/2"], StringComparison.Ordinal);

        foreach (var begun in new[] { Lines("evaluate", scratch["run"], "--start"), Lines("evaluate", recipe) })
        {
            Assert.StartsWith("the starting model, ", begun["model"], StringComparison.Ordinal);
            Assert.Equal(start.Metrics["perplexity/start"], Number(begun["perplexity/start"]), 1e-3);
        }

        Assert.Equal("the guide, references", Lines("evaluate", scratch["run"], "--guide")["model"]);
        Assert.Contains("--model, --start and --guide exclude each other", Cli.Run("evaluate", scratch["run"], "--start", "--guide").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
        Directory.Delete(Path.Combine(scratch["run"], "checkpoints"), recursive: true);
        Assert.Contains("has no checkpoint yet, so there is no trained policy to evaluate; --start", Cli.Run("evaluate", scratch["run"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static double Number(string cell) => double.Parse(cell.Split(' ')[0], CultureInfo.InvariantCulture);

    private static Dictionary<string, string> Lines(params string[] args)
    {
        var result = Cli.Run(args);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        return result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToDictionary(line => line.Split(' ')[0], line => line[line.Split(' ')[0].Length..].Trim());
    }
}
