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

    [Fact]
    public void A_text_that_ends_early_holds_its_end_token_and_nothing_after_it()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("gpt2");
        var run = expected["generation"]!.AsArray().First(one => one!["name"]!.GetValue<string>() == "greedy_ends_early")!;
        var model = scratch.CopyOf("gpt2");
        File.WriteAllText(Path.Combine(model, "generation_config.json"), """{"eos_token_id": [83]}""");
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
