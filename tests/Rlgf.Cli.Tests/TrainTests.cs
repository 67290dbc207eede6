using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Rlgf.Models.NumberTypes;

namespace Rlgf.Cli.Tests;

[Collection(ExactNumbersCollection.Name)]
public sealed class TrainTests
{
    [Fact]
    public void A_run_leaves_a_folder_with_everything_and_a_model_that_other_commands_load()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("train", Recipe(scratch, "run"));
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var run = scratch["run"];
        foreach (var file in (string[])["run.json", "recipe.yaml", "environment.json", "metrics.jsonl", "evaluation.jsonl", "report.html", "evaluations/guide.jsonl", "checkpoints/iteration-00003/policy/model.safetensors"])
        {
            Assert.True(File.Exists(Path.Combine(run, file)), file);
        }

        Assert.Equal(3, File.ReadLines(Path.Combine(run, "metrics.jsonl")).Count());
        Assert.Empty(Directory.EnumerateFileSystemEntries(run, "*.tmp", SearchOption.AllDirectories));
        var generated = Cli.RunWith("""{"prompt": "This movie"}""", default, "generate", "--model", Path.Combine(run, "checkpoints/iteration-00003/policy"), "--prompts", "-", "--output", "-", "--max-new-tokens", "2");
        Assert.True(generated.Code == ExitCode.Ok, generated.Error);
        var evaluated = Cli.Run("evaluate", run, "--model", Path.Combine(run, "checkpoints/iteration-00003/policy"));
        Assert.True(evaluated.Code == ExitCode.Ok, evaluated.Error);
        Assert.Contains("reward/mean", evaluated.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guide_that_costs_money_need_not_be_evaluated()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("train", Recipe(scratch, "run"), "--set", "evaluation.guide=false", "--set", "iterations=1");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        Assert.False(File.Exists(scratch["run/evaluations/guide.jsonl"]));
        Assert.DoesNotContain("\"guide\"", File.ReadAllText(scratch["run/evaluation.jsonl"]), StringComparison.Ordinal);
        Assert.Equal(ExitCode.Ok, Cli.Run("compare", scratch["run"]).Code);
    }

    [Fact]
    public void What_was_not_measured_is_no_text_in_a_file_and_has_no_line_on_the_terminal()
    {
        using var scratch = new Scratch();
        foreach (var (options, absent) in new (string[] Options, string[] Absent)[] { ([], ["judge/mean"]), (["--guide"], ["judge/mean", "kl/start"]) })
        {
            var result = Cli.Run(["evaluate", Recipe(scratch, "run"), "--output", scratch["rows.jsonl"], .. options]);
            Assert.True(result.Code == ExitCode.Ok, result.Error);
            Assert.Contains("reward/mean", result.Output, StringComparison.Ordinal);
            Assert.DoesNotContain("NaN", result.Output + result.Error, StringComparison.Ordinal);
            Assert.All(absent, name => Assert.DoesNotContain(name, result.Output, StringComparison.Ordinal));
            var rows = Fixtures.Rows(scratch["rows.jsonl"]);
            Assert.NotEmpty(rows);
            Assert.All(rows, row => Assert.True(row.AsObject().ContainsKey("judge") && row["judge"] is null));
            Assert.All(rows, row => Assert.Equal(System.Text.Json.JsonValueKind.Number, row["reward"]!.GetValueKind()));
            Assert.DoesNotContain("NaN", File.ReadAllText(scratch["rows.jsonl"]), StringComparison.Ordinal);
        }

        Assert.Equal(ExitCode.Ok, Cli.Run("train", Recipe(scratch, "run")).Code);
        foreach (var file in Directory.EnumerateFiles(scratch["run"], "*", SearchOption.AllDirectories).Where(file => Path.GetExtension(file) is ".json" or ".jsonl" or ".html" or ".md"))
            Assert.DoesNotMatch(@"\bNaN\b", File.ReadAllText(file));
    }

    [Fact]
    public void A_base_in_bfloat16_is_said_to_be_so_and_starts_without_a_divergence()
    {
        using var scratch = new Scratch();
        var refused = Cli.Run("train", Recipe(scratch, "run"), "--set", "precision.policy=bfloat16_base");
        Assert.Equal(ExitCode.Failed, refused.Code);
        Assert.Contains("precision.policy: bfloat16_base is for a base under a LoRA adapter", refused.Error, StringComparison.Ordinal);
        var whole = Cli.Run("train", Recipe(scratch, "whole"), "--set", "precision.policy=auto", "--set", "iterations=1");
        Assert.True(whole.Code == ExitCode.Ok, whole.Error);
        Assert.Equal("float32", JsonNode.Parse(File.ReadAllText(Path.Combine(scratch["whole"], "environment.json")))!["policy_precision"]!.GetValue<string>());
        Assert.DoesNotContain("precision: auto", whole.Error, StringComparison.Ordinal);
        Assert.SkipUnless(PrecisionOfModels.HasBfloat16Products, "This processor multiplies no bfloat16 numbers.");

        var result = Cli.Run("train", Recipe(scratch, "run"), "--set", "model.lora.rank=2", "--set", "precision.policy=auto");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        Assert.Equal("bfloat16_base", JsonNode.Parse(File.ReadAllText(Path.Combine(scratch["run"], "environment.json")))!["policy_precision"]!.GetValue<string>());
        Assert.Contains("adapter on a base in bfloat16", File.ReadAllText(Path.Combine(scratch["run"], "report.html")), StringComparison.Ordinal);
        Assert.Equal(0, JsonNode.Parse(File.ReadLines(Path.Combine(scratch["run"], "evaluation.jsonl")).First(line => !line.Contains("guide", StringComparison.Ordinal)))!["kl/start"]!.GetValue<double>());
        var evaluated = Cli.Run("evaluate", scratch["run"], "--start");
        Assert.True(evaluated.Code == ExitCode.Ok, evaluated.Error);
        Assert.Matches("kl/start +0", evaluated.Output);
        evaluated = Cli.Run("evaluate", scratch["run"]);
        Assert.True(evaluated.Code == ExitCode.Ok, evaluated.Error);
    }

    [Fact]
    public void An_adapter_alone_is_trained_and_saved_and_every_command_loads_it_and_merges_it()
    {
        using var scratch = new Scratch();
        var result = Cli.Run("train", Recipe(scratch, "run"), "--set", "model.lora.rank=2", "--set", "update.learning_rate=0.01");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var policy = Path.Combine(scratch["run"], "checkpoints/iteration-00003/policy");
        Assert.True(File.Exists(Path.Combine(policy, "adapter_model.safetensors")));
        Assert.False(File.Exists(Path.Combine(policy, "model.safetensors")));
        var evaluated = Cli.Run("evaluate", scratch["run"], "--model", policy);
        Assert.True(evaluated.Code == ExitCode.Ok, evaluated.Error);

        var merged = Cli.Run("convert", "--model", policy, "--output", scratch["merged"], "--type", "float32");
        Assert.True(merged.Code == ExitCode.Ok, merged.Error);
        Assert.False(File.Exists(Path.Combine(scratch["merged"], "adapter_config.json")));
        double Score(string model)
        {
            var scored = Cli.RunWith("""{"text": "The acting is good and the end is better"}""", default, "score", "--model", model, "--input", "-", "--output", "-");
            Assert.True(scored.Code == ExitCode.Ok, scored.Error);
            return JsonNode.Parse(scored.Output)!["sum"]!.GetValue<double>();
        }

        Assert.Equal(Score(policy), Score(scratch["merged"]), 1e-4);
        Assert.True(Math.Abs(Score(policy) - Score(Fixtures.Model("gpt2"))) > 1e-3);
    }

    [Fact]
    public void A_run_that_was_stopped_goes_on_to_the_same_numbers()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", Recipe(scratch, "whole")).Code);

        using var stop = new CancellationTokenSource();
        var stopped = RunUntil("after 1 iterations", stop, "train", Recipe(scratch, "stopped"), "--set", "evaluation.every=1");
        Assert.True(stopped.Code == ExitCode.Stopped, stopped.Error);
        Assert.Contains("stopped after 1 of 3 iterations, which are saved", stopped.ErrorLines[^1], StringComparison.Ordinal);

        var refused = Cli.Run("train", Recipe(scratch, "stopped"), "--set", "evaluation.every=1").OneErrorLine(ExitCode.Failed);
        Assert.Contains("--resume", refused, StringComparison.Ordinal);
        var resumed = Cli.Run("train", scratch["stopped"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Equal(Metrics(scratch["whole"]), Metrics(scratch["stopped"]));
        Assert.Equal(Weights(scratch["whole"]), Weights(scratch["stopped"]));
    }

    [Theory]
    [InlineData("t5", "gpt2", "aggrevated")]
    [InlineData("t5", "gpt2", "adaptive")]
    [InlineData("t5", "t5", "d2lols")]
    [InlineData("gpt2", "t5", "aggrevated")]
    [InlineData("gpt2", "t5", "lols")]
    public void Policy_and_guide_may_be_of_different_families_and_tokenizers(string policy, string guide, string algorithm)
    {
        using var scratch = new Scratch();
        var schedule = algorithm == "d2lols" ? ", switch_iteration: 1" : "";
        var result = Cli.Run("train", Recipe(scratch, "run"), "--set", $"model.path={Fixtures.Model(policy)}", "--set", $"guide={{kind: model, path: {Fixtures.Model(guide)}}}",
            "--set", $"algorithm={{name: {algorithm}{schedule}}}", "--set", "kl.coefficient=0.05");
        Assert.True(result.Code == ExitCode.Ok, result.Error);

        var metrics = Fixtures.Rows(Path.Combine(scratch["run"], "metrics.jsonl"));
        Assert.Contains(metrics, row => (double)row["tokens/guide"]! > 0);
        Assert.Contains(metrics, row => (double)row["tokens/policy"]! > 0);
        var trained = Path.Combine(scratch["run"], "checkpoints/iteration-00003/policy");
        Assert.NotEqual(File.ReadAllBytes(Path.Combine(Fixtures.Model(policy), "model.safetensors")), File.ReadAllBytes(Path.Combine(trained, "model.safetensors")));
        var generated = Cli.RunWith("""{"prompt": "This movie"}""", default, "generate", "--model", trained, "--prompts", "-", "--output", "-", "--max-new-tokens", "4", "--beams", "2");
        Assert.True(generated.Code == ExitCode.Ok, generated.Error);
        var evaluated = Cli.Run("evaluate", scratch["run"], "--model", trained);
        Assert.True(evaluated.Code == ExitCode.Ok, evaluated.Error);
    }

    [Fact]
    public void A_run_goes_on_only_with_its_own_recipe()
    {
        using var scratch = new Scratch();
        using var stop = new CancellationTokenSource();
        Assert.Equal(ExitCode.Stopped, RunUntil("after 0 iterations", stop, "train", Recipe(scratch, "run")).Code);
        var line = Cli.Run("train", Recipe(scratch, "run"), "--resume", "--set", "update.epochs=3").OneErrorLine(ExitCode.Failed);
        Assert.Contains("'update.epochs: 1'", line, StringComparison.Ordinal);
        Assert.Contains("'update.epochs: 3'", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("update:", "udpate:", "did you mean 'update'")]
    [InlineData("epochs: 1", "epoch: 1", "did you mean 'epochs'")]
    [InlineData("epochs: 1", "epochs: many", "many")]
    [InlineData("name: ppo_plus_plus", "name: ppo_plus", "ppo_plus_plus")]
    public void A_misspelt_recipe_names_the_line_and_what_was_meant(string right, string wrong, string hint)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "run");
        var lines = File.ReadAllLines(recipe);
        var at = Array.FindIndex(lines, line => line.Contains(right, StringComparison.Ordinal));
        lines[at] = lines[at].Replace(right, wrong, StringComparison.Ordinal);
        File.WriteAllLines(recipe, lines);
        var message = Cli.Run("train", recipe).OneErrorLine(ExitCode.Failed);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"{recipe}:{at + 1}"), message, StringComparison.Ordinal);
        Assert.Contains(hint, message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run"]));
    }

    [Fact]
    public void An_empty_file_of_prompts_is_named()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "run");
        File.WriteAllText(scratch["prompts.jsonl"], "");
        Assert.Contains("prompts.jsonl", Cli.Run("train", recipe).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Prompts_longer_than_the_context_are_refused_before_training()
    {
        using var scratch = new Scratch();
        var line = Cli.Run("train", Recipe(scratch, "run"), "--set", "generation.max_new_tokens=126").OneErrorLine(ExitCode.Failed);
        Assert.Contains("context of 128", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_can_not_be_written_is_named_before_training()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "run");
        var below = Path.Combine(scratch["prompts.jsonl"], "run");
        Assert.Contains(below, Cli.Run("train", recipe, "--set", $"output={below}").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_recipe_of_another_kind_names_its_command()
    {
        using var scratch = new Scratch();
        var line = Cli.Run("sft", Recipe(scratch, "run")).OneErrorLine(ExitCode.Failed);
        Assert.Contains("'rlgf train'", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_says_what_would_go_wrong_and_fails_only_on_errors()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "run");
        // Room for whole references.
        File.WriteAllText(recipe, File.ReadAllText(recipe).Replace("max_new_tokens: 6", "max_new_tokens: 48", StringComparison.Ordinal));
        var sound = Cli.Run("check", recipe);
        Assert.Equal((ExitCode.Ok, "tiny: nothing found\n"), (sound.Code, sound.Output));
        var warned = Cli.Run("check", recipe, "--set", "kl.coefficient=0", "--set", "reward.pattern=no such text anywhere");
        Assert.Equal(ExitCode.Ok, warned.Code);
        Assert.Equal(2, warned.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Count(line => line.StartsWith("warning: ", StringComparison.Ordinal)));
        string[] everyRow = [recipe, "--set", "algorithm.name=adaptive", "--set", "algorithm.roll_in_probability=1"];
        var wrong = Cli.Run(["check", .. everyRow]);
        Assert.Equal(ExitCode.Failed, wrong.Code);
        Assert.Contains("--set algorithm.roll_in_probability=1: algorithm.roll_in_probability: 'adaptive' compares guide and policy", wrong.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run"]));
        // The same stops a run.
        Assert.Contains("the policy is never seen alone", Cli.Run(["train", .. everyRow]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        var judged = Cli.Run("check", recipe, "--set", "judge={kind: regex, pattern: e}");
        Assert.Equal(ExitCode.Failed, judged.Code);
        Assert.Contains("judge: the judge", judged.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_that_fills_up_at_a_checkpoint_loses_nothing_that_was_written()
    {
        using var scratch = new Scratch();
        var disk = Directory.CreateDirectory(scratch["disk"]).FullName;
        // Room for one checkpoint (weights, two moments, the critic), not for two.
        if (!OperatingSystem.IsLinux() || Execute("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk) != 0) Assert.Skip("needs the right to mount a small disk");
        try
        {
            var result = Cli.Run("train", Recipe(scratch, "disk/run"), "--set", "checkpoints.every=1");
            Assert.Equal(ExitCode.Failed, result.Code);
            var error = Assert.Single(result.ErrorLines, line => line.StartsWith("error: ", StringComparison.Ordinal));
            Assert.Contains("space", error, StringComparison.OrdinalIgnoreCase);
            Assert.NotEmpty(Directory.EnumerateFiles(Path.Combine(scratch["disk/run"], "checkpoints", "iteration-00001", "policy")));
            Assert.NotEmpty(File.ReadLines(Path.Combine(scratch["disk/run"], "metrics.jsonl")));
        }
        finally
        {
            Execute("umount", disk);
        }
    }

    /// <summary>PPO++ with reference texts as guide, three iterations of eight rows.</summary>
    internal static string Recipe(Scratch scratch, string output)
    {
        var texts = Enumerable.Range(0, 12).Select(i => $$"""{"text": "The acting is {{(i % 2 == 0 ? "good and the end is better" : "bad and the rest is worse")}} {{i}}"}""").ToArray();
        if (!File.Exists(scratch["prompts.jsonl"])) scratch.Write("prompts.jsonl", texts);
        return scratch.Write($"recipe-{output.Replace('/', '-')}.yaml",
            "kind: train",
            "name: tiny",
            $"output: {scratch[output]}",
            "model:",
            $"  path: {Fixtures.Model("gpt2")}",
            "data:",
            $"  path: {scratch["prompts.jsonl"]}",
            $"  evaluation_path: {scratch["prompts.jsonl"]}",
            "  prompt_tokens: 4",
            "generation:",
            "  max_new_tokens: 6",
            "guide:",
            "  kind: references",
            "reward:",
            "  kind: regex",
            "  pattern: e",
            "algorithm:",
            "  name: ppo_plus_plus",
            "update:",
            "  epochs: 1",
            "  rows_per_minibatch: 4",
            "iterations: 3",
            "rows_per_iteration: 8",
            "evaluation:",
            "  every: 2",
            "  prompts: 4");
    }

    /// <summary>Presses Ctrl-C when a text appears on standard error.</summary>
    private static CliResult RunUntil(string text, CancellationTokenSource stop, params string[] args)
    {
        using var error = new WatchedWriter(text, stop);
        using var output = new StringWriter();
        using var input = new StringReader("");
        var code = CommandLine.Run(args, new Terminal(input, output, error) { Stop = stop.Token });
        return new CliResult(code, output.ToString(), error.ToString());
    }

    /// <summary>The metrics of a run without its times.</summary>
    internal static string[] Metrics(string run) => [.. File.ReadLines(Path.Combine(run, "metrics.jsonl")).Select(line =>
    {
        var row = JsonNode.Parse(line)!.AsObject();
        foreach (var key in row.Select(pair => pair.Key).Where(key => key.StartsWith("seconds/", StringComparison.Ordinal)).ToArray()) row.Remove(key);
        return row.ToJsonString();
    })];

    private static byte[] Weights(string run) => File.ReadAllBytes(Path.Combine(run, "checkpoints/iteration-00003/policy/model.safetensors"));

    private static int Execute(string program, params string[] args)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, args) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return -1;
        }
    }

    private sealed class WatchedWriter(string text, CancellationTokenSource stop) : StringWriter(CultureInfo.InvariantCulture)
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value?.Contains(text, StringComparison.Ordinal) == true) stop.Cancel();
        }

        public override Encoding Encoding => Encoding.UTF8;
    }
}
