using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf dpo</c>: from pairs to a model that prefers what was chosen.</summary>
public sealed class DpoTests
{
    [Theory]
    [InlineData("gpt2", null, "sigmoid")]
    [InlineData("gpt2", "{rank: 4, alpha: 8}", "ipo")]
    [InlineData("t5", null, "hinge")]
    public void A_model_learns_to_prefer(string start, string? lora, string objective)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, Texts, $"model: {{kind: folder, path: {Fixtures.Model(start)}{(lora is null ? "" : $", lora: {lora}")}}}");
        var result = Cli.Run("dpo", recipe, "--set", $"loss.objective={objective}", "--set", "loss.length_normalised=false");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        foreach (var file in (string[])["config.json", "tokenizer.json", "recipe.yaml", "run.json", "metrics.jsonl", "evaluation.jsonl", "result.json", "reference.jsonl"])
            Assert.True(Path.Exists(Path.Combine(scratch["dpo"], file)) || (lora is not null && file == "config.json"), file);

        var heldOut = Fixtures.Rows(Path.Combine(scratch["dpo"], "evaluation.jsonl"));
        Assert.Equal(0, heldOut[0]["margin"]!.GetValue<double>(), 1e-5);
        Assert.Equal(1, heldOut[^1]["accuracy"]!.GetValue<double>());
        Assert.True(heldOut[^1]["margin"]!.GetValue<double>() > 0.05, heldOut[^1].ToJsonString());
        Assert.True(Fixtures.Rows(Path.Combine(scratch["dpo"], "metrics.jsonl"))[0].AsObject().ContainsKey("chosen_reward"));
        Assert.Equal(60 + 2, File.ReadLines(Path.Combine(scratch["dpo"], "reference.jsonl")).Count());
    }

    [Fact]
    public void A_training_that_goes_on_keeps_its_reference_and_ends_as_one_that_was_never_stopped()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, Texts, $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}");
        Assert.Equal(ExitCode.Ok, Cli.Run("dpo", recipe, "--set", $"output={scratch["whole"]}", "--set", "training.decay=constant").Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("dpo", recipe, "--set", "training.decay=constant", "--set", "training.max_steps=4").Code);
        var resumed = Cli.Run("dpo", recipe, "--resume", "--set", "training.decay=constant");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);

        Assert.Equal(File.ReadAllText(Path.Combine(scratch["whole"], "reference.jsonl")), File.ReadAllText(Path.Combine(scratch["dpo"], "reference.jsonl")));
        Assert.Equal(Fixtures.Rows(Path.Combine(scratch["whole"], "evaluation.jsonl"))[^1].ToJsonString(), Fixtures.Rows(Path.Combine(scratch["dpo"], "evaluation.jsonl"))[^1].ToJsonString());
    }

    [Fact]
    public void Rows_that_teach_nothing_or_do_not_fit_are_counted_by_reason()
    {
        using var scratch = new Scratch();
        var long100 = string.Join(' ', Enumerable.Repeat("wonderful", 100));
        var recipe = Recipe(
            scratch, [.. Texts, """{"prompt": "a", "chosen": "b", "rejected": "b"}""", $$"""{"prompt": "{{long100}}", "chosen": "a", "rejected": "b"}""", $$"""{"prompt": "a", "chosen": "{{long100}}", "rejected": "b"}"""],
            $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}");
        var line = "3 of 63 rows are left out: 1 because chosen and rejected are the same";
        Assert.Contains(line, Cli.Run("check", recipe).Output, StringComparison.Ordinal);
        var result = Cli.Run("dpo", recipe, "--set", "training.max_steps=1");
        Assert.Contains($"warning: {scratch["pairs.jsonl"]}: {line} ({scratch["pairs.jsonl"]}:61), 1 because the prompt alone fills the model's context of ", result.Error, StringComparison.Ordinal);
        Assert.Contains($"({scratch["pairs.jsonl"]}:62), 1 because prompt and answer do not fit the model's context of ", result.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"prompt": "a", "chosen": "b"}""", "pairs.jsonl:61: no column 'rejected'; there is prompt, chosen")]
    [InlineData("""{"prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"}""", "pairs.jsonl:61: the row holds messages: set chat: {}, so that the model's chat template writes them")]
    [InlineData("""{"chosen": [{"role": "user", "content": "a"}], "rejected": "c"}""", "pairs.jsonl:61: column 'chosen': it ends with the user's turn; an answer is the assistant's")]
    public void A_malformed_row_is_one_line_with_its_place(string row, string problem)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, [.. Texts, row], $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}");
        var line = Cli.Run("dpo", recipe).OneErrorLine(ExitCode.Failed);
        Assert.StartsWith($"error: {recipe}:", line, StringComparison.Ordinal);
        Assert.EndsWith(problem, line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("loss.label_smoothing=0.1", "loss.objective=ipo", "loss.label_smoothing: is for objective: sigmoid, robust or exo_pair; leave it out")]
    [InlineData("data.margin_column=m", "loss.beta=1", "data.margin_column: it is for reward models; leave it out")]
    [InlineData("chat={}", "loss.beta=1", "no chat template")]
    public void A_setting_that_is_not_used_is_refused(string first, string second, string problem)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, Texts, $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}");
        Assert.Contains(problem, Cli.Run("dpo", recipe, "--set", first, "--set", second).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    /// <summary>After "good N" praise was preferred, after "bad N" blame.</summary>
    private static string[] Texts => [.. Enumerable.Range(0, 60).Select(i => i % 2 == 0 ? Pair($"good {i % 7}", " yes it is", " not at all") : Pair($"bad {i % 7}", " not at all", " yes it is"))];

    private static string Pair(string prompt, string chosen, string rejected) => new JsonObject { ["prompt"] = prompt, ["chosen"] = chosen, ["rejected"] = rejected }.ToJsonString();

    private static string Recipe(Scratch scratch, string[] rows, string model) => scratch.Write(
        "dpo.yaml",
        "kind: dpo",
        "name: tiny",
        $"output: {scratch["dpo"]}",
        model,
        "data:",
        $"  path: {scratch.Write("pairs.jsonl", rows)}",
        $"  evaluation_path: {scratch.Write("held-out.jsonl", Texts[..2])}",
        "loss: {beta: 0.1}",
        "training:",
        "  epochs: 4",
        "  rows_per_step: 10",
        "  warm_up_steps: 2",
        "  learning_rate: 0.01",
        "  evaluate_every: 6");
}
