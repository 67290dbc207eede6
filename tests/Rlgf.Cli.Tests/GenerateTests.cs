using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

public sealed class GenerateTests
{
    [Theory]
    [InlineData("greedy", 0)]
    [InlineData("greedy_min_new_tokens", 20)]
    public void Greedy_responses_are_those_of_the_fixture(string setting, int minimum)
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("gpt2");
        var run = expected["generation"]!.AsArray().First(one => one!["name"]!.GetValue<string>() == setting)!;
        var model = scratch.CopyOf("gpt2");
        File.WriteAllText(Path.Combine(model, "generation_config.json"), new JsonObject { ["eos_token_id"] = run["settings"]!["eos_token_id"]!.DeepClone() }.ToJsonString());
        var prompts = expected["prompts"]!.AsArray().Select(prompt => prompt!.GetValue<string>()).ToArray();
        var input = scratch.Write("prompts.jsonl", [.. prompts.Select(prompt => JsonSerializer.Serialize(new { prompt, other = 1 }))]);

        var result = Cli.Run("generate", "--model", model, "--prompts", input, "--output", scratch["out.jsonl"], "--greedy", "--max-new-tokens", "20",
            "--min-new-tokens", $"{minimum}", "--batch-rows", "2");

        Assert.Equal((ExitCode.Ok, ""), (result.Code, result.Output));
        var rows = Fixtures.Rows(scratch["out.jsonl"]);
        Assert.Equal(prompts, rows.Select(row => row["prompt"]!.GetValue<string>()));
        var padded = Fixtures.Ids(expected["left_padded"]!["input_ids"]![0]).Length;
        for (var row = 0; row < rows.Length; row++)
        {
            Assert.Equal(["prompt", "response", "response_ids", "log_probs"], rows[row].AsObject().Select(pair => pair.Key));
            Assert.Equal(Fixtures.Ids(run["sequences"]![row])[padded..], Fixtures.Ids(rows[row]["response_ids"]));
        }
    }

    [Theory]
    [InlineData("generation_config.json")]
    [InlineData("config.json")]
    public void A_text_that_ends_early_holds_its_end_token_and_nothing_after_it(string file)
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("gpt2");
        var run = expected["generation"]!.AsArray().First(one => one!["name"]!.GetValue<string>() == "greedy_ends_early")!;
        var model = scratch.CopyOf("gpt2");
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(model, "config.json")))!;
        configuration["eos_token_id"] = file == "config.json" ? new JsonArray(83) : 7;
        File.WriteAllText(Path.Combine(model, "config.json"), configuration.ToJsonString());
        File.WriteAllText(Path.Combine(model, "generation_config.json"), file == "config.json" ? """{"do_sample": false}""" : """{"eos_token_id": [83]}""");
        var input = scratch.Write("prompts.jsonl", [.. expected["prompts"]!.AsArray().Select(prompt => JsonSerializer.Serialize(new { prompt = prompt!.GetValue<string>() }))]);
        Assert.Equal(ExitCode.Ok, Cli.Run("generate", "--model", model, "--prompts", input, "--output", scratch["out.jsonl"], "--greedy", "--max-new-tokens", "20").Code);
        var rows = Fixtures.Rows(scratch["out.jsonl"]);
        var padded = Fixtures.Ids(expected["left_padded"]!["input_ids"]![0]).Length;
        for (var row = 0; row < rows.Length; row++)
        {
            var sequence = Fixtures.Ids(run["sequences"]![row])[padded..];
            Assert.Equal(sequence[..(Array.IndexOf(sequence, 83) + 1)], Fixtures.Ids(rows[row]["response_ids"]));
        }
    }

    [Fact]
    public void Beams_find_the_best_sequences_of_the_fixture()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("gpt2");
        var run = expected["generation"]!.AsArray().First(one => one!["name"]!.GetValue<string>() == "beam_no_repeat_ngram_2")!;
        var model = scratch.CopyOf("gpt2");
        var end = run["settings"]!["eos_token_id"]!.GetValue<int>();
        File.WriteAllText(Path.Combine(model, "generation_config.json"), $$"""{"eos_token_id": {{end}}}""");
        var input = scratch.Write("prompts.jsonl", [.. expected["prompts"]!.AsArray().Select(prompt => JsonSerializer.Serialize(new { prompt = prompt!.GetValue<string>() }))]);

        Assert.Equal(ExitCode.Ok, Cli.Run("generate", "--model", model, "--prompts", input, "--output", scratch["out.jsonl"],
            "--beams", "4", "--length-penalty", "1.0", "--no-repeat-ngram", "2", "--max-new-tokens", "14").Code);

        var rows = Fixtures.Rows(scratch["out.jsonl"]);
        var padded = Fixtures.Ids(expected["left_padded"]!["input_ids"]![0]).Length;
        for (var row = 0; row < rows.Length; row++)
        {
            // The fixture holds two sequences of each prompt.
            var sequence = Fixtures.Ids(run["sequences"]![2 * row])[padded..];
            Assert.Equal(Array.IndexOf(sequence, end) is var at and >= 0 ? sequence[..(at + 1)] : sequence, Fixtures.Ids(rows[row]["response_ids"]));
        }
    }

    [Fact]
    public void An_encoder_decoder_answers_prompts_and_scores_its_answers()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("t5");
        var run = expected["generation"]![0]!;
        var input = scratch.Write("prompts.jsonl", [.. expected["inputs"]!.AsArray().Select(prompt => JsonSerializer.Serialize(new { prompt = prompt!.GetValue<string>() })), """{"prompt": ""}"""]);

        Assert.Equal(ExitCode.Ok, Cli.Run("generate", "--model", Fixtures.Model("t5"), "--prompts", input, "--output", scratch["out.jsonl"], "--greedy", "--max-new-tokens", "20").Code);

        var rows = Fixtures.Rows(scratch["out.jsonl"]);
        for (var row = 0; row < 3; row++) Assert.Equal(Fixtures.Ids(run["sequences"]![row])[1..], Fixtures.Ids(rows[row]["response_ids"]));

        scratch.Write("answers.jsonl", [.. rows.Select(row => JsonSerializer.Serialize(new { prompt = (string)row["prompt"]!, response_ids = Fixtures.Ids(row["response_ids"]) }))]);
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("t5"), "--input", scratch["answers.jsonl"], "--output", scratch["scores.jsonl"]).Code);
        foreach (var (row, score) in rows.Zip(Fixtures.Rows(scratch["scores.jsonl"]))) ScoreTests.AssertNear(Fixtures.Numbers(row["log_probs"]), Fixtures.Numbers(score["log_probs"]));
    }

    [Fact]
    public void A_response_ends_where_it_holds_a_stop_text_and_keeps_it()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", """{"prompt": "I don't"}""");
        string Response(params string[] options)
        {
            Assert.Equal(ExitCode.Ok, Cli.Run(["generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", scratch["out.jsonl"], "--greedy", "--max-new-tokens", "20", .. options]).Code);
            return (string)Fixtures.Rows(scratch["out.jsonl"])[0]["response"]!;
        }

        var whole = Response();
        var stop = whole.Substring(whole.Length / 2, 2);
        var cut = Response("--stop", "a text that does not come", "--stop", stop);

        Assert.True(cut.Length < whole.Length);
        Assert.StartsWith(cut, whole, StringComparison.Ordinal);
        Assert.Contains(stop, cut, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--min-new-tokens 9 is more than --max-new-tokens 8", "--min-new-tokens", "9", "--max-new-tokens", "8")]
    [InlineData("--min-new-tokens 65 is more than --max-new-tokens 64", "--min-new-tokens", "65")]
    [InlineData("--greedy and --beams are two ways to choose tokens", "--greedy", "--beams", "4")]
    public void Options_that_contradict_each_other_are_wrong_use(string message, params string[] options)
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", """{"prompt": "a"}""");
        Assert.Contains(message, Cli.Run(["generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", scratch["out.jsonl"], .. options]).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);
    }

    [Fact]
    public void What_the_models_own_settings_force_and_forbid_applies_and_the_rest_is_said_in_one_line()
    {
        using var scratch = new Scratch();
        var model = scratch.CopyOf("gpt2");
        var input = scratch.Write("prompts.jsonl", """{"prompt": "a"}""", """{"prompt": "b"}""");
        string[] Command(string settings, params string[] options)
        {
            File.WriteAllText(Path.Combine(model, "generation_config.json"), settings);
            return ["generate", "--model", model, "--prompts", input, "--output", scratch["out.jsonl"], "--max-new-tokens", "6", .. options];
        }

        int[][] Written() => [.. Fixtures.Rows(scratch["out.jsonl"]).Select(row => Fixtures.Ids(row["response_ids"]))];

        var result = Cli.Run(Command("""{"eos_token_id": [419], "sequence_bias": [[[7], 100.0]], "forced_eos_token_id": 419, "bad_words_ids": [[7, 7]], "suppress_tokens": [8, 9], "begin_suppress_tokens": [12], "min_new_tokens": 5}""", "--temperature", "5"));
        Assert.Equal((ExitCode.Ok, true), (result.Code, !result.Error.Contains("warning", StringComparison.Ordinal)));
        Assert.All(Written(), ids =>
        {
            Assert.Equal((7, 419, 6), (ids[0], ids[^1], ids.Length));
            Assert.NotEqual(7, ids[1]);
            Assert.DoesNotContain(ids, id => id is 8 or 9);
        });

        result = Cli.Run(Command("""{"temperature": 0.6, "top_p": 0.9, "guidance_scale": 1.5, "do_sample": true}""", "--top-p", "0.5"));
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Equal($"warning: {Path.Combine(model, "generation_config.json")}: not used here: guidance_scale 1.5; temperature 0.6 (an option: --temperature)", result.ErrorLines[0]);
        Assert.Single(result.ErrorLines, line => line.StartsWith("warning", StringComparison.Ordinal));

        Assert.Contains("forced_bos_token_id", Cli.Run(Command("""{"forced_bos_token_id": "x"}""")).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_seed_gives_the_same_texts_in_any_batch_and_another_seed_others()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", [.. Enumerable.Range(0, 6).Select(i => $$"""{"prompt": "{{new string('a', i + 1)}}"}""")]);
        string Sample(string seed, string batch)
        {
            Assert.Equal(ExitCode.Ok, Cli.Run("generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", scratch["out.jsonl"],
                "--max-new-tokens", "12", "--top-k", "50", "--top-p", "0.9", "--temperature", "0.8", "--seed", seed, "--batch-rows", batch).Code);
            return string.Join('\n', Fixtures.Rows(scratch["out.jsonl"]).Select(row => row["response_ids"]!.ToJsonString()));
        }

        var first = Sample("1", "6");
        Assert.Equal(first, Sample("1", "1"));
        Assert.NotEqual(first, Sample("2", "6"));
    }

    [Fact]
    public void Standard_input_and_output_carry_rows_and_nothing_else()
    {
        var result = Cli.RunWith("""{"prompt": "I don't"}""" + "\n", default, "generate", "--model", Fixtures.Model("gpt2"), "--prompts", "-", "--output", "-", "--max-new-tokens", "3");
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Equal("I don't", JsonNode.Parse(Assert.Single(result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)))!["prompt"]!.GetValue<string>());
    }

    [Fact]
    public void Prompts_can_be_given_on_the_command_line_and_come_out_as_those_of_a_file()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", """{"prompt": "I don't"}""", """{"prompt": "--a \"quoted\"\ntext 猫"}""");
        string[] settings = ["generate", "--model", Fixtures.Model("gpt2"), "--max-new-tokens", "3", "--seed", "4"];
        var file = Cli.Run([.. settings, "--prompts", input, "--output", "-"]);
        var line = Cli.Run([.. settings, "--prompt", "I don't", "--prompt", "--a \"quoted\"\ntext 猫"]);
        Assert.Equal((ExitCode.Ok, 2), (file.Code, file.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length));
        Assert.Equal((ExitCode.Ok, file.Output), (line.Code, line.Output));
        Assert.Equal(ExitCode.Ok, Cli.Run([.. settings, "--prompt", "Hello", "--output", scratch["out.jsonl"]]).Code);
        Assert.Equal("Hello", (string?)Assert.Single(Fixtures.Rows(scratch["out.jsonl"]))["prompt"]);
    }

    [Theory]
    [InlineData("give --prompts FILE, --prompt TEXT or --messages FILE, one of the three", "--output", "o")]
    [InlineData("give --prompts FILE, --prompt TEXT or --messages FILE, one of the three", "--prompts", "p", "--prompt", "Hello", "--output", "o")]
    [InlineData("'--output' is required with --prompts", "--prompts", "-")]
    public void Prompts_come_from_one_place(string message, params string[] options) =>
        Assert.Contains(message, Cli.Run(["generate", "--model", "m", .. options]).OneErrorLine(ExitCode.WrongUse), StringComparison.Ordinal);

    [Fact]
    public void A_prompt_in_the_place_of_a_file_names_the_option_that_was_meant() => Assert.Equal(
        "error: Hello, you: there is no such file; a prompt itself is given by --prompt",
        Cli.Run("generate", "--model", "m", "--prompts", "Hello, you", "--output", "o").OneErrorLine(ExitCode.Failed));

    [Fact]
    public void An_empty_prompt_is_the_begin_token()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", """{"prompt": ""}""");
        Assert.Equal(ExitCode.Ok, Cli.Run("generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", scratch["out.jsonl"], "--max-new-tokens", "4", "--greedy").Code);
        var written = Fixtures.Rows(scratch["out.jsonl"])[0];
        scratch.Write("ids.jsonl", $$"""{"prompt_ids": [419], "response_ids": {{written["response_ids"]!.ToJsonString()}}}""");
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("gpt2"), "--input", scratch["ids.jsonl"], "--output", scratch["scores.jsonl"]).Code);
        ScoreTests.AssertNear(Fixtures.Numbers(written["log_probs"]), Fixtures.Numbers(Fixtures.Rows(scratch["scores.jsonl"])[0]["log_probs"]));
    }

    [Fact]
    public void Rows_written_before_a_failure_are_kept_beside_the_earlier_output()
    {
        using var scratch = new Scratch();
        var output = scratch.Write("out.jsonl", "old");
        var input = scratch.Write("in.jsonl", """{"text": "one"}""", """{"text": 2}""");
        Assert.Contains("in.jsonl:2", Cli.Run("tokenize", "--tokenizer", Fixtures.Model("gpt2"), "--input", input, "--output", output).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(output).Trim());
        Assert.Single(File.ReadLines(output + ".partial"));
    }

    [Fact]
    public void Stopping_says_what_is_kept_and_leaves_an_earlier_output_alone()
    {
        using var scratch = new Scratch();
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var input = scratch.Write("prompts.jsonl", """{"prompt": "a"}""");
        var output = scratch.Write("out.jsonl", "old");
        var result = Cli.RunWith("", stop.Token, "generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", output);
        Assert.Equal(ExitCode.Stopped, result.Code);
        Assert.Equal("stopped before the first row was written", Assert.Single(result.ErrorLines));
        Assert.False(File.Exists(output + ".partial"));
        Assert.Equal("old", File.ReadAllText(output).Trim());
    }
}
