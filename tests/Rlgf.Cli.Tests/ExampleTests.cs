using System.Reflection;

namespace Rlgf.Cli.Tests;

public sealed class ExampleTests
{
    [Fact]
    public void The_example_with_a_reward_and_a_guide_of_ones_own_runs_and_leaves_a_model()
    {
        using var scratch = new Scratch();
        var program = Assembly.Load("OwnRewardAndGuide").EntryPoint!;
        program.Invoke(null, [new[] { Fixtures.Model("gpt2"), "2", scratch["tuned"] }]);
        var scored = Cli.RunWith("""{"text": "I saw this film"}""", default, "score", "--model", scratch["tuned"], "--input", "-", "--output", "-");
        Assert.True(scored.Code == ExitCode.Ok, scored.Error);
    }

    [Fact]
    public void The_example_has_under_40_lines()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Rlgf.slnx"))) folder = folder.Parent;
        Assert.InRange(File.ReadLines(Path.Combine(folder!.FullName, "examples", "OwnRewardAndGuide", "Program.cs")).Count(), 10, 39);
    }
}
