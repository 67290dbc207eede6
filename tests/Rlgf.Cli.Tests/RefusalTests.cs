using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>Settings that can't work are refused where they are read, with the key, and what is said about files is in words of this project.</summary>
public sealed class RefusalTests
{
    [Theory]
    [InlineData("--beams", "100000000", "from 2 to 1024")]
    [InlineData("--temperature", "1e-45", "above 0, from 1E-06 to 1000000")]
    [InlineData("--temperature", "1e300", "above 0, from 1E-06 to 1000000")]
    [InlineData("--repetition-penalty", "1e-45", "above 0, from 1E-06 to 1000000")]
    [InlineData("--repetition-penalty", "1e39", "above 0, from 1E-06 to 1000000")]
    public void Numbers_that_no_model_can_work_with_are_wrong_use(string option, string value, string range)
    {
        using var scratch = new Scratch();
        Assert.Contains(range, Cli.Run("generate", "--model", scratch["nowhere"], "--prompt", "a", option, value).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--temperature", "1e-6")]
    [InlineData("--temperature", "1e6")]
    [InlineData("--repetition-penalty", "1e-6")]
    [InlineData("--repetition-penalty", "1e6")]
    public void Numbers_at_the_limits_work(string option, string value)
    {
        var result = Cli.Run("generate", "--model", Fixtures.Model("gpt2"), "--prompt", "the film", "--max-new-tokens", "3", "--min-new-tokens", "1", option, value);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
    }

    [Theory]
    [InlineData("generation.temperature", "1e-45", "is 1e-45; it must be at least 1E-06")]
    [InlineData("generation.repetition_penalty", "1e-45", "must be at least 1E-06")]
    [InlineData("evaluation.decoding", "{max_new_tokens: 4, beams: {width: 100000000}}", "must be at most 1024")]
    [InlineData("evaluation.decoding", "{max_new_tokens: 4, beams: {width: 2, length_penalty: 1e300}}", "must be at most 8")]
    [InlineData("rows_per_iteration", "2000000000", "must be at most 1048576")]
    [InlineData("update.adam_epsilon", "1e-300", "must be at least 1E-20")]
    [InlineData("kl.coefficient", "1e300", "must be at most 1000000")]
    [InlineData("seed", "'3'", "'3' is in quotes, which makes it text; write 3 without them")]
    [InlineData("update.whiten_advantages", "'true'", "'true' is in quotes, which makes it text")]
    [InlineData("kl.horizon", "50", "it belongs to an adaptive coefficient")]
    [InlineData("algorithm", "{name: grpo, group_size: 4, gamma: 0.9}", "relative to a group")]
    [InlineData("algorithm", "{name: rloo, group_size: 4, lambda: 0.5}", "relative to a group")]
    [InlineData("reward", "{kind: regex, pattern: (a}", "no regular expression at character 3: insufficient closing parentheses")]
    [InlineData("reward", "{kind: regex, pattern: (?=a)}", "look-around, back-references, conditions and atomic groups are not taken")]
    [InlineData("data.filter", "lable == 1", "the filter 'lable == 1' can't be asked")]
    public void A_setting_that_can_not_be_is_refused_with_its_key(string key, string value, string said)
    {
        using var scratch = new Scratch();
        var line = Cli.Run("train", TrainTests.Recipe(scratch, "run"), "--set", $"{key}={value}").OneErrorLine(ExitCode.Failed);
        Assert.StartsWith($"error: --set {key}={value}: {key}", line, StringComparison.Ordinal);
        Assert.Contains(said, line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("critic.sharing: 'grpo' has no critic", "critic.sharing=separate", "algorithm={name: grpo, group_size: 4}")]
    [InlineData("critic.bootstrap_cut_rows: 'rloo' has no critic", "critic.bootstrap_cut_rows=true", "algorithm={name: rloo, group_size: 4}")]
    [InlineData("update.critic_learning_rate: 'grpo' has no critic", "update.critic_learning_rate=0.5", "algorithm={name: grpo, group_size: 4}")]
    [InlineData("update.value_coefficient: 'dapo' has no critic", "update.value_coefficient=0.1", "algorithm={name: dapo, group_size: 4}")]
    [InlineData("update.value_clip_range: 'reinforce_plus_plus' has no critic", "update.value_clip_range=0.1", "algorithm={name: reinforce_plus_plus}")]
    [InlineData("algorithm.groups: the advantages of 'ppo' are not relative to a group", "algorithm={name: ppo, groups: {equal: leave_out}}")]
    [InlineData("algorithm.groups.epsilon: it is added to the deviation", "algorithm={name: dr_grpo, groups: {epsilon: 1e-6}}")]
    [InlineData("algorithm.lambda: the advantages of 'reinforce_plus_plus' are whole returns", "algorithm={name: reinforce_plus_plus, lambda: 0.9}")]
    [InlineData("update.clip_range: cispo bounds the ratio from above only", "update={surrogate: cispo, clip_range: 0.1}")]
    [InlineData("update.dual_clip: cispo bounds every ratio", "update={surrogate: cispo, dual_clip: 3}")]
    [InlineData("update.dual_clip: it must be above 1.28", "update={dual_clip: 1.25}", "algorithm={name: dapo, group_size: 4}")]
    [InlineData("kl: with the advantage 'gae' the penalty goes into the reward where kl.placement does not say otherwise: it is of the KL as a term of the loss", "kl.importance_weighted=true")]
    [InlineData("kl.reduction: it is of the KL as a term of the loss", "kl={placement: reward, reduction: row_mean}")]
    [InlineData("kl: with 'dapo' the coefficient is 0 where kl.coefficient does not say otherwise: there is no penalty", "kl.importance_weighted=true", "algorithm={name: dapo, group_size: 4}")]
    [InlineData("kl.reduction: there is no penalty", "kl={placement: loss, coefficient: 0, reduction: row_mean}")]
    [InlineData("kl: with 'dapo' the coefficient is 0 where kl.coefficient does not say otherwise: an adaptive coefficient that starts at 0 stays there", "kl.target=3", "algorithm={name: dapo, group_size: 4}")]
    [InlineData("supervised.source: the guide writes whole answers where it rolls in, and in 'ppo' it never does", "supervised={source: guide}", "algorithm={name: ppo}")]
    [InlineData("supervised.column: it is of the data, and source is guide", "supervised={source: guide, column: a}")]
    [InlineData("supervised.final_coefficient: a constant schedule has no other end", "supervised={final_coefficient: 0.5}")]
    [InlineData("supervised.iterations: a constant schedule has no end", "supervised={iterations: 5}")]
    [InlineData("supervised.coefficient: with blend the other losses count 1 − coefficient", "supervised={coefficient: 2, blend: true}")]
    [InlineData("judge: it judges the answers to held-out prompts", "data.evaluation_path=null", "judge={kind: length, target_tokens: 3}")]
    public void A_setting_that_is_not_used_is_refused(string said, params string[] changes)
    {
        using var scratch = new Scratch();
        Assert.Contains(said, Cli.Run(["train", TrainTests.Recipe(scratch, "run"), .. changes.SelectMany(change => (string[])["--set", change])]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void What_check_finds_has_the_place_of_the_key()
    {
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        var result = Cli.Run("check", recipe, "--set", "kl.estimator=k3", "--set", "reward={kind: regex, pattern: no such text}", "--set", "algorithm={name: d2lols, switch_iteration: 9}", "--set", $"guide={{kind: model, path: {Fixtures.Model("gpt2")}}}");
        Assert.Contains("warning: --set kl.estimator=k3: kl.estimator: the KL is in the reward by the estimator k3, of which the expected gradient is not that of the KL", result.Output, StringComparison.Ordinal);
        Assert.Contains("warning: --set reward={kind: regex, pattern: no such text}: reward: the reward is 0 for each", result.Output, StringComparison.Ordinal);
        Assert.Contains("warning: --set algorithm={name: d2lols, switch_iteration: 9}: algorithm", result.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("estimator", Cli.Run("check", recipe, "--set", "kl.estimator=k3", "--set", "kl.placement=loss").Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("generation_config.json")]
    [InlineData("tokenizer.json")]
    [InlineData("tokenizer_config.json")]
    public void A_model_s_file_that_is_no_json_is_named_with_the_line(string file)
    {
        using var scratch = new Scratch();
        var path = Path.Combine(scratch.CopyOf("gpt2"), file);
        File.WriteAllText(path, "{\n  \"a\": 1,\n  \"b\": }\n");
        var line = Cli.Run("generate", "--model", scratch["gpt2"], "--prompt", "a").OneErrorLine(ExitCode.Failed);
        Assert.Contains($"{path}:3: not valid JSON at byte 8: ", line, StringComparison.Ordinal);
        NoDotNet(line);
    }

    [Fact]
    public void Files_of_a_run_that_are_no_json_are_named_with_the_line()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("train", TrainTests.Recipe(scratch, "run")).Code);
        foreach (var (file, content, said) in new[]
        {
            ("run.json", "{\n\"recipe\": }", "run.json:2: not valid JSON at byte 11: "),
            ("run.json", "{\"nam\": \"a\"}", "unknown key 'nam'"),
            ("run.json", "{\"recipe\": 3, \"algorithm\": \"ppo\", \"seed\": 1, \"guide\": null}", "run.json:1: 'recipe' has another type than is expected"),
            ("run.json", "{\"recipe\": \"a\"}", "missing key 'algorithm'"),
            ("metrics.jsonl", "{\"iteration\": }\n", "metrics.jsonl:1: not valid JSON at byte 15: "),
        })
        {
            var before = File.ReadAllText(Path.Combine(scratch["run"], file));
            File.WriteAllText(Path.Combine(scratch["run"], file), content);
            var line = Cli.Run("compare", scratch["run"]).OneErrorLine(ExitCode.Failed);
            Assert.Contains(said, line, StringComparison.Ordinal);
            NoDotNet(line);
            File.WriteAllText(Path.Combine(scratch["run"], file), before);
        }
    }

    [Fact]
    public void Rows_that_are_not_well_formed_are_named_without_a_library_s_words()
    {
        using var scratch = new Scratch();
        foreach (var (name, content, said) in new[]
        {
            ("rows.csv", "text,other\n\"a\"b,c\nd,e\n", "rows.csv:2: the line is not well formed"),
            ("rows.jsonl", "{\"text\": \"a\"}\n{\"text\": }\n", "rows.jsonl:2: not valid JSON at byte 10: "),
        })
        {
            var line = Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", scratch.Write(name, content), "--output", scratch["out.jsonl"]).OneErrorLine(ExitCode.Failed);
            Assert.Contains(said, line, StringComparison.Ordinal);
            NoDotNet(line);
        }
    }

    [Fact]
    public void A_file_in_the_place_of_a_folder_is_said_to_be_one()
    {
        using var scratch = new Scratch();
        var file = scratch.Write("file", "x");
        var rows = scratch.Write("rows.jsonl", """{"text": "a"}""");
        foreach (var command in (string[][])[["generate", "--model", file, "--prompt", "a"], ["score", "--model", file, "--input", rows, "--output", "-"], ["tokenize", "--tokenizer", file, "--input", rows, "--output", "-"], ["compare", file],
            ["convert", file, scratch["out"]]])
        {
            Assert.Contains($"{file}: is a file, and a folder is needed", Cli.Run(command).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
            Assert.Contains("there is no such folder", Cli.Run([.. command.Select(word => word == file ? scratch["nowhere"] : word)]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Inspect_says_that_weights_are_a_pointer_and_no_number_of_parameters()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        File.WriteAllText(Path.Combine(model, "model.safetensors"), "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n");
        var text = Cli.Run("inspect", model);
        Assert.Equal(ExitCode.Ok, text.Code);
        Assert.Matches(@"parameters\s+not known: the weights can't be read", text.Output);
        Assert.Contains("it is a git-LFS pointer", text.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("memory", text.Output, StringComparison.Ordinal);
        var json = JsonNode.Parse(Cli.Run("inspect", model, "--json").Output)!.AsObject();
        Assert.True(json.ContainsKey("parameters") && json["parameters"] is null && json["memory"] is null);
    }

    [Fact]
    public void A_tokenizer_can_be_given_where_the_model_has_none()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        foreach (var file in (string[])["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"]) File.Delete(Path.Combine(model, file));
        string[] score = ["score", "--input", scratch.Write("rows.jsonl", """{"text": "the film is good"}"""), "--output", "-"];
        Assert.Equal(ExitCode.Failed, Cli.Run([.. score, "--model", model]).Code);
        var given = Cli.Run([.. score, "--model", model, "--tokenizer", Fixtures.Model("gpt2")]);
        Assert.Equal((ExitCode.Ok, Cli.Run([.. score, "--model", Fixtures.Model("gpt2")]).Output), (given.Code, given.Output));
        string[] generate = ["generate", "--prompt", "the film", "--max-new-tokens", "3"];
        Assert.Equal(Cli.Run([.. generate, "--model", Fixtures.Model("gpt2")]).Output, Cli.Run([.. generate, "--model", model, "--tokenizer", Fixtures.Model("gpt2")]).Output);
    }

    [Fact]
    public void A_shard_of_more_megabytes_than_there_are_is_wrong_use() =>
        Assert.Contains("from 1 to 1000000000", Cli.Run("convert", "a", "b", "--shard-size", "9223372036854775807").OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    private static void NoDotNet(string line) => Assert.DoesNotMatch("LineNumber|BytePosition|Path: |System\\.|Malformed|\\.NET", line);
}
