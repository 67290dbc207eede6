using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>A run goes on with the files that it was begun with, may be made longer, and is not begun over one that is there.</summary>
[Collection(ExactNumbersCollection.Name)]
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
        Assert.Contains("4 are fewer than the 5 that the run has done", Cli.Run("train", scratch["run"], "--resume", "--set", "iterations=4").ErrorLines[^1], StringComparison.Ordinal);
        foreach (var change in (string[])["seed=9", "rows_per_iteration=4", "kl.coefficient=0.1", "evaluation.prompts=3"])
            Assert.Contains($"would go on with '{change.Split('=')[0]}: {change.Split('=')[1]}'", Cli.Run("train", scratch["run"], "--resume", "--set", change).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_goes_on_elsewhere_says_that_it_is_not_bit_for_bit()
    {
        const string Said = "from here on the numbers are the same but for rounding, not bit for bit";
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run")).Code);
        Assert.DoesNotContain(Said, Cli.Run("train", scratch["run"], "--resume", "--set", "iterations=4").Error, StringComparison.Ordinal);
        var path = scratch["run/environment.json"];
        var environment = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        var (threads, packed) = ((int)environment["threads"]!, (bool)environment["packed_weights"]!);
        (environment["threads"], environment["packed_weights"]) = (threads + 7, !packed);
        File.WriteAllText(path, environment.ToJsonString());
        var result = Cli.Run("train", scratch["run"], "--resume", "--set", "iterations=5");
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Contains($"threads was {threads + 7} and is {threads}, packed_weights was {(packed ? "false and is true" : "true and is false")}: {Said}", result.Error, StringComparison.Ordinal);
        File.WriteAllText(path, "{");
        string[] command = ["train", scratch["run"], "--resume", "--set", "iterations=6"];
        var line = Cli.Run(command).OneErrorLine(ExitCode.Failed);
        Assert.Contains("environment.json:1: not valid JSON", line, StringComparison.Ordinal);
        Assert.EndsWith("; delete the file, which says only where the run began", line, StringComparison.Ordinal);
        File.Delete(path);
        Assert.Equal(ExitCode.Ok, Cli.Run(command).Code);
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
        foreach (var command in commands[1..])
        {
            var folder = scratch[command[0] == "sft" ? "model" : "classifier"];
            string Refused() => Cli.Run([.. command, "--resume"]).OneErrorLine(ExitCode.Failed);
            Directory.Move(Path.Combine(folder, "checkpoints"), Path.Combine(folder, "away"));
            Assert.Contains("the training in it has ended, and there is no checkpoint", Refused(), StringComparison.Ordinal);
            Directory.Move(Path.Combine(folder, "away"), Path.Combine(folder, "checkpoints"));
            // As older versions leave it.
            File.WriteAllText(Path.Combine(folder, "training.jsonl"), "");
            Assert.Contains("an older version trained in it", Refused(), StringComparison.Ordinal);
            Assert.Contains("holds a run already", Cli.Run(command).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("sft", "training.max_steps=40", "training.max_steps=20", "training.max_steps")]
    [InlineData("classifier train", "training.epochs=10", "training.epochs=5", "training.epochs")]
    public void A_supervised_training_that_has_ended_is_made_longer_and_equals_one_that_was_so_long_from_the_start(string command, string all, string first, string key)
    {
        using var scratch = new Scratch();
        var recipe = command == "sft" ? SupervisedTests.Sft(scratch) : Classifier(scratch);
        CliResult Train(params string[] more) => Cli.Run([.. command.Split(' '), .. more]);
        string[] constant = ["--set", "training.decay=constant", "--set", "training.evaluate_every=10", "--set", "training.checkpoint_every=7"];
        Assert.Equal(ExitCode.Ok, Train([recipe, .. constant, "--set", all, "--set", $"output={scratch["long"]}"]).Code);
        Assert.Equal(ExitCode.Ok, Train([recipe, .. constant, "--set", first, "--set", $"output={scratch["run"]}"]).Code);
        var longer = RunFolderTests.RunAnd("after 30 steps", stop: true, null,
            [.. command.Split(' '), scratch["run"], "--resume", "--set", all, "--set", "training.checkpoint_every=9", "--set", "training.keep_checkpoints=1"]);
        Assert.True(longer.Code == ExitCode.Stopped, longer.Error);
        Assert.Contains(longer.ErrorLines, line => line == $"tiny: resumed at step 20 of 40 in {scratch["run"]}");
        Assert.Contains($"the run goes on with '{key}: {all.Split('=')[1]}' in place of '{key}: {first.Split('=')[1]}'", longer.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("learning rate", longer.Error, StringComparison.Ordinal);
        // While it goes on it has not ended.
        Assert.False(File.Exists(scratch["run/result.json"]));
        Assert.Equal(ExitCode.Ok, Train(scratch["run"], "--resume").Code);
        Assert.Equal(SupervisedTests.Log(scratch["long"]), SupervisedTests.Log(scratch["run"]));
        Assert.Equal(File.ReadAllBytes(scratch["long/model.safetensors"]), File.ReadAllBytes(scratch["run/model.safetensors"]));
        Assert.Equal(File.ReadAllBytes(scratch["long/checkpoints/step-0000040/model/model.safetensors"]), File.ReadAllBytes(scratch["run/checkpoints/step-0000040/model/model.safetensors"]));
        Assert.Equal(File.ReadAllText(scratch["long/result.json"]), File.ReadAllText(scratch["run/result.json"]));
        Assert.Equal([scratch["run/checkpoints/step-0000040"]], Directory.GetDirectories(scratch["run/checkpoints"]));

        Assert.Contains("resumed at step 40 of 40", Train(scratch["run"], "--resume").Error, StringComparison.Ordinal);
        Assert.Matches($@"^error: --set {first}: {key}: 20 steps are fewer than the 40 that the training has done", Train(scratch["run"], "--resume", "--set", first).OneErrorLine(ExitCode.Failed));
        foreach (var change in (string[])["seed=9", "training.rows_per_step=3", "training.learning_rate=0.5", "training.decay=linear", "data.held_out_rows=9"])
            Assert.Contains($"would go on with '{change.Split('=')[0]}: {change.Split('=')[1]}'", Train(scratch["run"], "--resume", "--set", change).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("supervised training, which answers no prompts", Cli.Run("compare", scratch["run"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Contains("holds no run", Cli.Run("compare", Path.GetDirectoryName(scratch["run"])!).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void A_learning_rate_that_has_fallen_and_rises_again_in_a_longer_training_is_told_of()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("sft", SupervisedTests.Sft(scratch), "--set", "training.max_steps=11", "--set", "training.decay=linear", "--set", "training.warm_up_steps=1").Code);
        var longer = Cli.Run("sft", scratch["model"], "--resume", "--set", "training.max_steps=21");
        Assert.True(longer.Code == ExitCode.Ok, longer.Error);
        // From 0.01 to a tenth of it over 10 steps: after 9 of them 0.0019; over 20 steps, after 10 of them, 0.0055.
        Assert.Contains(longer.ErrorLines, line => line.StartsWith("warning: the learning rate falls over 21 steps in place of 11: it was 1.9e-3 in the last step and is 5.5e-3 in the next", StringComparison.Ordinal));
    }

    [Fact]
    public void A_supervised_training_that_was_killed_before_its_first_checkpoint_begins_anew()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("sft", SupervisedTests.Sft(scratch)).Code);
        var weights = File.ReadAllBytes(scratch["model/model.safetensors"]);
        var log = SupervisedTests.Log(scratch["model"]);
        File.Delete(scratch["model/result.json"]);
        Directory.Delete(scratch["model/checkpoints"], recursive: true);
        Assert.Contains("holds a run already", Cli.Run("sft", scratch["model"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        var again = Cli.Run("sft", scratch["model"], "--resume");
        Assert.True(again.Code == ExitCode.Ok, again.Error);
        Assert.Contains("begins anew", again.Error, StringComparison.Ordinal);
        Assert.Equal(log, SupervisedTests.Log(scratch["model"]));
        Assert.Equal(weights, File.ReadAllBytes(scratch["model/model.safetensors"]));
    }

    private static string Classifier(Scratch scratch)
    {
        scratch.Write("labelled.jsonl", [.. Enumerable.Range(0, 40).Select(i => $$"""{"text": "{{(i % 2 == 0 ? "bad worse" : "good better")}} {{i}}", "label": {{i % 2}}}""")]);
        return scratch.Write("classifier.yaml", "kind: classifier", "name: tiny", $"output: {scratch["run"]}", $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}",
            $"data: {{path: {scratch["labelled.jsonl"]}, label_column: label, held_out_rows: 10}}", "labels: [A, B]", "training: {rows_per_step: 8, warm_up_steps: 2}");
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
