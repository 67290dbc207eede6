using TorchSharp;

namespace Rlgf.Cli.Tests;

/// <summary>A machine without the device that is asked for says so in one line, before anything is loaded or written.</summary>
public sealed class DeviceTests
{
    [Theory]
    [InlineData("train", "RECIPE", "--device", "cuda")]
    [InlineData("train", "RECIPE", "--set", "placement.reference.device=cuda:7")]
    [InlineData("check", "RECIPE", "--device", "cuda")]
    [InlineData("evaluate", "RECIPE", "--device", "cuda:1")]
    [InlineData("guide", "sample", "RECIPE", "--output", "OUT.jsonl", "--device", "cuda")]
    [InlineData("sft", "SFT", "--device", "cuda")]
    [InlineData("quickstart", "--short", "--output", "OUT", "--device", "cuda")]
    [InlineData("generate", "--model", "nowhere", "--prompt", "a", "--device", "cuda")]
    [InlineData("score", "--model", "nowhere", "--input", "SFT", "--output", "OUT.jsonl", "--device", "cuda")]
    [InlineData("metrics", "--predictions", "nowhere", "--metrics", "perplexity", "--model", "nowhere", "--device", "cuda:2")]
    public void A_device_that_is_not_there_is_one_line_before_anything_is_loaded(params string[] command)
    {
        Assert.SkipWhen(torch.cuda.is_available(), "This machine has a GPU.");
        using var scratch = new Scratch();
        // The models that the recipes name aren't there: they would be missed where anything was loaded first.
        var recipe = TrainTests.Recipe(scratch, "run");
        File.WriteAllText(recipe, File.ReadAllText(recipe).Replace(Fixtures.Model("gpt2"), scratch["no-model"], StringComparison.Ordinal));
        var sft = scratch.Write("sft.yaml", "kind: sft", "name: s", $"output: {scratch["sft"]}", "model:", "  kind: folder", $"  path: {scratch["no-model"]}", "data:", $"  path: {scratch["prompts.jsonl"]}");
        var result = Cli.Run([.. command.Select(word => word switch { "RECIPE" => recipe, "SFT" => sft, "OUT" => scratch["out"], "OUT.jsonl" => scratch["out.jsonl"], _ => word })]);
        Assert.Contains("no CUDA device is found", command[0] == "quickstart" ? result.ErrorLines[^1] : result.OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run"]) || Directory.Exists(scratch["sft"]) || File.Exists(scratch["out.jsonl"]));
    }

    [Theory]
    [InlineData("train", "nowhere.yaml")]
    [InlineData("generate", "--model", "nowhere", "--prompt", "a")]
    public void A_name_that_is_no_device_is_wrong_use(params string[] command) =>
        Assert.Contains("--device is 'gpu': use cpu, cuda, cuda:N with N from 0, or auto", Cli.Run([.. command, "--device", "gpu"]).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void A_run_goes_on_where_it_is_told_to_and_keeps_the_place()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        var begun = Cli.Run("train", recipe, "--set", "iterations=1", "--device", "auto", "--set", "placement.rollouts.precision=bfloat16");
        Assert.True(begun.Code == ExitCode.Ok, begun.Error);
        var kept = File.ReadAllText(scratch["run/recipe.yaml"]);
        Assert.Contains(torch.cuda.is_available() ? "device: cuda:0" : "device: cpu", kept, StringComparison.Ordinal);
        File.WriteAllText(scratch["run/recipe.yaml"], kept.Replace("device: cpu", "device: cuda", StringComparison.Ordinal));
        var on = Cli.Run("train", scratch["run"], "--resume", "--set", "iterations=2", "--device", "cpu");
        Assert.True(on.Code == ExitCode.Ok, on.Error);
        Assert.Contains(on.ErrorLines, line => line.Contains("the run goes on with 'device: cpu' in place of 'device: cuda'", StringComparison.Ordinal));
    }
}
