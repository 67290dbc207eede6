namespace Rlgf.Cli.Tests;

/// <summary>A run goes on with the files that it was begun with, may be made longer, and is not begun over one that is there.</summary>
public sealed class GoingOnTests
{
    [Theory]
    [InlineData("data.path", "prompts.jsonl")]
    [InlineData("data.evaluation_path", "heldout.jsonl")]
    [InlineData("model.path", "gpt2/model.safetensors")]
    [InlineData("model.path", "gpt2/tokenizer.json")]
    [InlineData("guide.path", "guide/model.safetensors")]
    [InlineData("reward.path", "distilbert_classifier/model.safetensors")]
    [InlineData("judge.path", "gpt2_reward/model.safetensors")]
    public void A_file_that_is_another_by_now_is_named_and_put_back_the_run_goes_on(string key, string file)
    {
        using var scratch = new Scratch();
        var settings = Settings(scratch);
        RunFolderTests.Stopped(scratch, "run", settings);
        var path = scratch[file];
        var (bytes, at) = (File.ReadAllBytes(path), File.GetLastWriteTimeUtc(path));
        var changed = bytes.ToArray();
        // One letter of a text, one bit of a weight.
        changed[^8] ^= 1;
        File.WriteAllBytes(path, changed);
        File.SetLastWriteTimeUtc(path, at);
        var line = Cli.Run(["train", scratch["run"], "--resume"]).OneErrorLine(ExitCode.Failed);
        Assert.Matches($@"^error: \S*run/recipe\.yaml:\d+: {System.Text.RegularExpressions.Regex.Escape(key)}: ", line);
        Assert.Contains($"{Path.GetFileName(file)} is not what the run was begun with: it has another content", line, StringComparison.Ordinal);
        File.WriteAllBytes(path, bytes);
        var resumed = Cli.Run("train", scratch["run"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains("resumed at iteration 1 of 3", resumed.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_another_size_that_is_gone_or_that_was_not_there_is_named()
    {
        using var scratch = new Scratch();
        RunFolderTests.Stopped(scratch, "run", Settings(scratch));
        string Refused() => Cli.Run("train", scratch["run"], "--resume").OneErrorLine(ExitCode.Failed);

        File.AppendAllText(scratch["prompts.jsonl"], "{\"text\": \"One more of them, quite long enough\"}\n");
        Assert.Matches(@"had \d+ bytes and has \d+", Refused());
        File.WriteAllLines(scratch["prompts.jsonl"], File.ReadAllLines(scratch["prompts.jsonl"])[..^1]);
        File.WriteAllText(scratch["gpt2/added_tokens.json"], """{"<more>": 419}""");
        Assert.Contains("added_tokens.json is not what the run was begun with: it was not there", Refused(), StringComparison.Ordinal);
        File.Delete(scratch["gpt2/added_tokens.json"]);
        // What nobody reads as a part of a model is none.
        File.WriteAllText(scratch["gpt2/README.md"], "A model");
        File.Move(scratch["gpt2/tokenizer_config.json"], scratch["away"]);
        Assert.Contains("tokenizer_config.json is not what the run was begun with: it is gone", Refused(), StringComparison.Ordinal);
        File.Move(scratch["away"], scratch["gpt2/tokenizer_config.json"]);
        var resumed = Cli.Run("train", scratch["run"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
    }

    [Fact]
    public void A_run_from_before_files_were_kept_in_mind_goes_on_with_a_word_and_remembers_them_from_then_on()
    {
        using var scratch = new Scratch();
        RunFolderTests.Stopped(scratch, "run");
        File.Delete(scratch["run/inputs.json"]);
        File.AppendAllText(scratch["prompts.jsonl"], "{\"text\": \"One more of them, quite long enough\"}\n");
        var resumed = Cli.Run("train", scratch["run"], "--resume");
        Assert.True(resumed.Code == ExitCode.Ok, resumed.Error);
        Assert.Contains(resumed.ErrorLines, line => line.StartsWith("warning: ", StringComparison.Ordinal) && line.Contains("inputs.json", StringComparison.Ordinal));
        File.AppendAllText(scratch["prompts.jsonl"], "\n");
        Assert.Contains("data.path", Cli.Run("train", scratch["run"], "--resume").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_supervised_training_too_notices_that_its_data_changed()
    {
        using var scratch = new Scratch();
        string[] settings = ["--set", "training.checkpoint_every=10", "--set", "training.evaluate_every=10"];
        Assert.Equal(ExitCode.Stopped, RunFolderTests.RunAnd("after 30 steps", stop: true, null, ["sft", SupervisedTests.Sft(scratch), .. settings]).Code);
        File.WriteAllText(scratch["texts.jsonl"], File.ReadAllText(scratch["texts.jsonl"]).Replace("good", "poor", StringComparison.Ordinal));
        Assert.Contains("data.path: ", Cli.Run("sft", scratch["model"], "--resume").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_has_ended_is_made_longer_and_equals_one_that_was_so_long_from_the_start()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "long");
        Assert.Equal(ExitCode.Ok, Cli.Run("train", recipe, "--set", "iterations=5").Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run")).Code);
        var longer = Cli.Run("train", scratch["run"], "--resume", "--set", "iterations=5", "--set", "checkpoints.every=1", "--set", "update.rows_per_micro_batch=4");
        Assert.True(longer.Code == ExitCode.Ok, longer.Error);
        Assert.Contains("resumed at iteration 3 of 5", longer.Error, StringComparison.Ordinal);
        Assert.Contains("the run goes on with 'iterations: 5' in place of 'iterations: 3'", longer.Error, StringComparison.Ordinal);
        Assert.Equal(TrainTests.Metrics(scratch["long"]), TrainTests.Metrics(scratch["run"]));
        Assert.Equal(File.ReadAllBytes(scratch["long/checkpoints/iteration-00005/policy/model.safetensors"]), File.ReadAllBytes(scratch["run/checkpoints/iteration-00005/policy/model.safetensors"]));
        // It is a run of five now.
        Assert.Contains("resumed at iteration 5 of 5", Cli.Run("train", scratch["run"], "--resume").Error, StringComparison.Ordinal);
        Assert.Contains("4 are fewer than the 5 that the run has done", Cli.Run("train", scratch["run"], "--resume", "--set", "iterations=4").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        foreach (var change in (string[])["seed=9", "rows_per_iteration=4", "kl.coefficient=0.1", "evaluation.prompts=3"])
            Assert.Contains($"would go on with '{change.Split('=')[0].Split('.')[^1]}: {change.Split('=')[1]}'", Cli.Run("train", scratch["run"], "--resume", "--set", change).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_holds_a_training_is_refused_before_models_are_loaded()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        string[] start = ["--set", $"model.path={model}"];
        scratch.Write("labelled.jsonl", [.. Enumerable.Range(0, 40).Select(i => $$"""{"text": "{{(i % 2 == 0 ? "bad worse" : "good better")}} {{i}}", "label": {{i % 2}}}""")]);
        var classifier = scratch.Write("classifier.yaml", "kind: classifier", "name: tiny", $"output: {scratch["classifier"]}", $"model: {{kind: folder, path: {model}}}",
            $"data: {{path: {scratch["labelled.jsonl"]}, label_column: label, held_out_rows: 10}}", "labels: [A, B]", "training: {max_steps: 2, rows_per_step: 4}");
        scratch.Write("texts.jsonl", [.. Enumerable.Repeat("""{"text": "the film is good and the end is better"}""", 60)]);
        var sft = scratch.Write("sft.yaml", "kind: sft", "name: tiny", $"output: {scratch["model"]}", $"model: {{kind: folder, path: {model}}}",
            $"data: {{path: {scratch["texts.jsonl"]}, held_out_rows: 20}}", "block_tokens: 16", "training: {max_steps: 2, rows_per_step: 4}");
        string[][] commands = [["train", TrainTests.Recipe(scratch, "run"), .. start], ["sft", sft], ["classifier", "train", classifier]];
        foreach (var command in commands)
        {
            var begun = Cli.Run(command);
            Assert.True(begun.Code == ExitCode.Ok, begun.Error);
        }

        File.Delete(Path.Combine(model, "config.json"));
        foreach (var command in commands) Assert.Contains("holds a run already; go on with --resume, or choose another folder", Cli.Run(command).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        foreach (var command in commands[1..]) Assert.Contains("the training in it has ended", Cli.Run([.. command, "--resume"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        // As older versions leave it.
        foreach (var folder in (string[])["model", "classifier"])
        {
            File.Delete(scratch[folder + "/result.json"]);
            File.Delete(scratch[folder + "/inputs.json"]);
        }

        foreach (var command in commands[1..]) Assert.Contains("the training in it has ended", Cli.Run([.. command, "--resume"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_supervised_training_that_was_killed_before_its_first_checkpoint_begins_anew()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("sft", SupervisedTests.Sft(scratch)).Code);
        var weights = File.ReadAllBytes(scratch["model/model.safetensors"]);
        File.Delete(scratch["model/result.json"]);
        Assert.Contains("holds a run already", Cli.Run("sft", scratch["model"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        var again = Cli.Run("sft", scratch["model"], "--resume");
        Assert.True(again.Code == ExitCode.Ok, again.Error);
        Assert.Contains("begins anew", again.Error, StringComparison.Ordinal);
        Assert.Equal(weights, File.ReadAllBytes(scratch["model/model.safetensors"]));
    }

    /// <summary>A run of which every part is a file of the test's own.</summary>
    private static string[] Settings(Scratch scratch)
    {
        Directory.Move(scratch.CopyOf("gpt2"), scratch["guide"]);
        var (policy, reward, judge) = (scratch.CopyOf("gpt2"), scratch.CopyOf("distilbert_classifier"), scratch.CopyOf("gpt2_reward"));
        TrainTests.Recipe(scratch, "run");
        File.Copy(scratch["prompts.jsonl"], scratch["heldout.jsonl"]);
        var label = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(Path.Combine(reward, "config.json")))!["id2label"]!["1"]!.GetValue<string>();
        return
        [
            "--set", $"model.path={policy}", "--set", $"data.evaluation_path={scratch["heldout.jsonl"]}", "--set", $"guide={{kind: model, path: {scratch["guide"]}}}",
            "--set", $"reward={{kind: classifier, path: {reward}, label: {label}}}", "--set", $"judge={{kind: classifier, path: {judge}}}",
        ];
    }
}
