using System.Reflection;

namespace Rlgf.Cli.Tests;

public sealed class ExampleTests
{
    [Fact]
    public void The_bare_loop_runs_and_leaves_a_model()
    {
        using var scratch = new Scratch();
        var program = Assembly.Load("BareLoop").EntryPoint!;
        program.Invoke(null, [new[] { Fixtures.Model("gpt2"), "2", scratch["tuned"] }]);
        var scored = Cli.RunWith("""{"text": "I saw this film"}""", default, "score", "--model", scratch["tuned"], "--input", "-", "--output", "-");
        Assert.True(scored.Code == ExitCode.Ok, scored.Error);
    }

    [Theory]
    [InlineData("OwnRewardAndGuide", 30)]
    [InlineData("BareLoop", 40)]
    public void Examples_are_short(string name, int most) => Assert.InRange(File.ReadLines(Path.Combine(Folder(name), "Program.cs")).Count(), 10, most - 1);

    /// <summary>The program of one's own is the whole command line: it trains, goes on and evaluates by its own reward; what needs no reward, rlgf does too; what does, it refuses by the kind's name.</summary>
    [Fact]
    public void A_program_with_a_reward_and_a_guide_of_its_own_is_the_whole_command_line()
    {
        using var scratch = new Scratch();
        string[] small = ["--set", $"output={scratch["run"]}", "--set", "rows_per_iteration=8", "--set", "update.rows_per_minibatch=8", "--set", "evaluation.prompts=6", "--set", "checkpoints.every=1", "--set", "checkpoints.keep=9"];
        Own(0, ["train", Path.Combine(Folder("OwnRewardAndGuide"), "my.yaml"), "--set", "iterations=2", .. small]);
        var rows = Fixtures.Rows(Path.Combine(scratch["run"], "evaluations", "iteration-00002.jsonl"));
        Assert.Equal(6, rows.Length);
        Assert.All(rows, row => Assert.Equal(Reward(row["response"]!.GetValue<string>()), row["reward"]!.GetValue<double>()));
        // The guide's own answers: cut to 16 tokens or whole, with what it says.
        Assert.All(Fixtures.Rows(Path.Combine(scratch["run"], "evaluations", "guide.jsonl")), row => Assert.StartsWith(" and I love it!", row["response"]!.GetValue<string>(), StringComparison.Ordinal));

        var metrics = TrainTests.Metrics(scratch["run"]);
        Directory.Delete(Path.Combine(scratch["run"], "checkpoints", "iteration-00002"), recursive: true);
        Own(0, ["train", scratch["run"], "--resume"]);
        Assert.Equal(metrics, TrainTests.Metrics(scratch["run"]));

        Own(0, ["evaluate", scratch["run"], "--model", Path.Combine(scratch["run"], "checkpoints", "iteration-00002", "policy"), "--output", scratch["rows.jsonl"]]);
        Assert.Equal(rows.Select(row => row["response"]!.ToJsonString()), Fixtures.Rows(scratch["rows.jsonl"]).Select(row => row["response"]!.ToJsonString()));
        Assert.All(Fixtures.Rows(scratch["rows.jsonl"]), row => Assert.Equal(Reward(row["response"]!.GetValue<string>()), row["reward"]!.GetValue<double>()));

        Assert.True(File.Exists(Path.Combine(scratch["run"], "report.html")));
        var compared = Cli.Run("compare", scratch["run"]);
        Assert.True(compared.Code == ExitCode.Ok, compared.Error);
        Assert.Contains("Adaptive", compared.Output, StringComparison.Ordinal);
        foreach (var command in (string[])["evaluate", "check", "train"])
        {
            var line = Cli.Run([command, scratch["run"], .. command == "train" ? ["--resume"] : (string[])[]]).OneErrorLine(ExitCode.Failed);
            Assert.Matches(@"recipe\.yaml:\d+: guide\.kind: expected one of: model, references, [a-z_, ]+; found 'friend'; a kind of somebody's own is known to the program that adds it: run that one$", line);
        }
    }

    private static double Reward(string text) => text.Count(c => c == '!') + (text.Contains("love", StringComparison.Ordinal) ? 2 : 0);

    private static void Own(int code, string[] args)
    {
        using var process = RunningProcess.Of("dotnet", [Path.Combine(AppContext.BaseDirectory, "OwnRewardAndGuide.dll"), .. args]);
        var ended = process.Finish();
        Assert.True(ended.Code == code, ended.Error);
    }

    private static string Folder(string example) => Path.Combine(Repository.Root, "examples", example);
}
