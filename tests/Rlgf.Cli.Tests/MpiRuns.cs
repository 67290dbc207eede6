using System.Globalization;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>Tiny runs under a real <c>mpirun</c>.</summary>
internal static class MpiRuns
{
    private static readonly string? Mpirun = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, "mpirun")).FirstOrDefault(File.Exists);

    /// <summary>Skips the test, visibly, where there is no mpirun.</summary>
    public static void RequireMpi()
    {
        if (Mpirun is null || !OperatingSystem.IsLinux()) Assert.Skip("mpirun is not installed (Debian: openmpi-bin)");
    }

    /// <summary>Arguments of a run that saves every iteration.</summary>
    public static string[] Train(Scratch scratch, string output, int iterations) =>
    [
        "train", TrainTests.Recipe(scratch, output), "--set", string.Create(CultureInfo.InvariantCulture, $"iterations={iterations}"), "--set", "checkpoints.every=1", "--set", "update.adam_epsilon=0.01",
    ];

    /// <summary>The command in several processes.</summary>
    public static RunningProcess Several(int processes, params string[] args) => Started(["-n", processes.ToString(CultureInfo.InvariantCulture), "dotnet", RunningProcess.Program, .. args]);

    /// <summary>mpirun with arguments of its own.</summary>
    public static RunningProcess Started(string[] args) => RunningProcess.Of(
        "env", ["OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", Mpirun!, "--oversubscribe", "--bind-to", "none", .. args]);

    /// <summary>The one line about an error.</summary>
    public static string Said(int code, RunningProcess run)
    {
        using (run)
        {
            var (actual, _, error) = run.Finish();
            Assert.True(code == actual, error);
            return Assert.Single(Errors(error));
        }
    }

    /// <summary>All lines about errors of ours.</summary>
    public static string[] Errors(string error) => [.. error.Split('\n').Where(line => line.Contains("error: ", StringComparison.Ordinal))];

    /// <summary>The process of a rank, which mpirun started; null where it has ended or not begun.</summary>
    public static int? RankOf(int mpirun, int rank)
    {
        try
        {
            string[] children = File.ReadAllText($"/proc/{mpirun}/task/{mpirun}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return children.FirstOrDefault(child => File.ReadAllText($"/proc/{child}/environ").Split('\0').Contains($"OMPI_COMM_WORLD_RANK={rank}")) is { } found ? int.Parse(found, CultureInfo.InvariantCulture) : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Iterations in a run's metrics.</summary>
    public static int Rows(string run) => File.Exists(Path.Combine(run, "metrics.jsonl")) ? File.ReadLines(Path.Combine(run, "metrics.jsonl")).Count() : 0;

    /// <summary>A run's metrics.</summary>
    public static JsonObject[] MetricsOf(Scratch scratch, string run) => [.. Fixtures.Rows(Path.Combine(scratch[run], "metrics.jsonl")).Select(row => row.AsObject())];

    /// <summary>Compares two runs' last checkpoints.</summary>
    public static void RequireSameBits(Scratch scratch, string one, string other, int iterations)
    {
        foreach (var file in (string[])["policy/model.safetensors", "critics.safetensors", "policy_optimizer.safetensors", "critic_optimizer.safetensors"])
        {
            byte[] Of(string run) => File.ReadAllBytes(Path.Combine(scratch[run], "checkpoints", $"iteration-{iterations:00000}", file));
            Assert.True(Of(one).AsSpan().SequenceEqual(Of(other)), $"{other}: {file}");
        }
    }
}
