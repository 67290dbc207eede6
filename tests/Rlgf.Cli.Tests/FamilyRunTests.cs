using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>A guided run of every further family: PPO++ with a guide of another family, stopped after its first iteration and resumed, is the run that was not stopped, bit for bit.</summary>
[Collection(ExactNumbersCollection.Name)]
public sealed class FamilyRunTests
{
    private static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "fixtures", "families");

    public static TheoryData<string> Models => [.. Directory.EnumerateDirectories(Folder).Where(WritesText).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];

    [Theory, MemberData(nameof(Models))]
    public void A_guided_run_that_was_stopped_goes_on_bit_for_bit(string family)
    {
        using var scratch = new Scratch();
        scratch.Write("prompts.jsonl", [.. Enumerable.Range(0, 8).Select(i => $$"""{"text": "The acting is {{(i % 2 == 0 ? "good and great" : "bad and terrible")}} {{i}}"}""")]);
        var whole = Cli.Run("train", Recipe(scratch, family, "whole"));
        Assert.True(whole.Code == ExitCode.Ok, whole.Error);
        var stopped = RunFolderTests.RunAnd("after 1 iterations", stop: true, null, ["train", Recipe(scratch, family, "stopped"), "--set", "evaluation.every=1"]);
        Assert.True(stopped.Code == ExitCode.Stopped, stopped.Error);
        var resumed = Cli.Run("train", scratch["stopped"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains("resumed at iteration 1 of 2", resumed.Error, StringComparison.Ordinal);

        Assert.Equal(TrainTests.Metrics(scratch["whole"]), TrainTests.Metrics(scratch["stopped"]));
        var weights = File.ReadAllBytes(scratch["whole/checkpoints/iteration-00002/policy/model.safetensors"]);
        Assert.Equal(weights, File.ReadAllBytes(scratch["stopped/checkpoints/iteration-00002/policy/model.safetensors"]));
        // It was trained, and a guide wrote a part.
        Assert.NotEqual(File.ReadAllBytes(Path.Combine(Folder, family, "model.safetensors")), weights);
        Assert.Contains(TrainTests.Metrics(scratch["whole"]), line => (double?)JsonNode.Parse(line)!["roll_in/share"] > 0);
    }

    /// <summary>Whether a folder holds a whole language model: its vocabulary is that of the one tokenizer that all use here.</summary>
    private static bool WritesText(string folder) =>
        File.Exists(Path.Combine(folder, "model.safetensors")) && (string?)JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")))!["kind"] is "causal_lm" or "seq2seq_lm";

    private static string Recipe(Scratch scratch, string family, string output) => scratch.Write($"{output}.yaml",
        "kind: train",
        "name: tiny",
        $"output: {scratch[output]}",
        "model:",
        $"  path: {Path.Combine(Folder, family)}",
        $"  tokenizer: {Path.Combine(Folder, "pegasus")}",
        "data:",
        $"  path: {scratch["prompts.jsonl"]}",
        $"  evaluation_path: {scratch["prompts.jsonl"]}",
        "  prompt_tokens: 4",
        "generation:",
        "  max_new_tokens: 4",
        "guide:",
        "  kind: model",
        $"  path: {Fixtures.Model("gpt2")}",
        "reward:",
        "  kind: regex",
        "  pattern: e",
        "algorithm:",
        "  name: ppo_plus_plus",
        "update:",
        "  epochs: 1",
        "  rows_per_minibatch: 4",
        "iterations: 2",
        "rows_per_iteration: 4",
        "evaluation:",
        "  every: 2",
        "  prompts: 2");
}
