namespace Rlgf.Cli.Tests;

public sealed class SupervisedTests
{
    [Fact]
    public void A_language_model_from_nothing_is_trained_and_generates()
    {
        using var scratch = new Scratch();
        var recipe = Sft(scratch);
        var result = Cli.Run("sft", recipe);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        foreach (var file in (string[])["config.json", "model.safetensors", "tokenizer.json", "recipe.yaml", "run.json", "environment.json", "inputs.json", "metrics.jsonl", "evaluation.jsonl", "events", "checkpoints", "result.json"])
        {
            Assert.True(Path.Exists(Path.Combine(scratch["model"], file)), file);
        }

        var (first, last) = FirstAndLast(scratch["model"]);
        Assert.True(last < first - 0.5, $"the held-out loss went from {first} to {last}");
        var generated = Cli.RunWith("""{"prompt": "the film"}""", default, "generate", "--model", scratch["model"], "--prompts", "-", "--output", "-", "--max-new-tokens", "4");
        Assert.True(generated.Code == ExitCode.Ok, generated.Error);
    }

    [Theory]
    [InlineData("question", 40, 2)]
    [InlineData("text", 2, 40)]
    public void A_row_that_is_too_long_gets_a_filter_that_would_leave_it_out(string column, int questionWords, int textWords)
    {
        using var scratch = new Scratch();
        static string Words(int count) => string.Join(' ', Enumerable.Repeat("wonderful", count));
        var data = scratch.Write("rows.jsonl", [.. Enumerable.Range(0, 12).Select(i => i == 5
            ? $$"""{"question": "{{Words(questionWords)}}", "text": "{{Words(textWords)}}"}"""
            : $$"""{"question": "why {{i}}", "text": "because {{i}}"}""")]);
        var recipe = scratch.Write("sft.yaml",
            "kind: sft", "name: tiny", $"output: {scratch["model"]}", $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}",
            $"data: {{path: {data}, prompt_column: question, held_out_rows: 2}}", "training: {max_steps: 1, rows_per_step: 2}");
        var line = Cli.Run("sft", recipe).OneErrorLine(ExitCode.Failed);
        Assert.StartsWith($"error: {recipe}:5: data", line, StringComparison.Ordinal);
        Assert.Contains($"{data}:6", line, StringComparison.Ordinal);
        var advice = System.Text.RegularExpressions.Regex.Match(line, @"filter such rows out, here with (length\((\w+)\) < (\d+))$");
        Assert.True(advice.Success, line);
        Assert.Equal(column, advice.Groups[2].Value);
        var result = Cli.Run("sft", recipe, "--set", $"data.filter={advice.Groups[1].Value}");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("distilbert_classifier")]
    [InlineData("t5")]
    public void A_classifier_is_trained_and_scores(string start)
    {
        using var scratch = new Scratch();
        scratch.Write("texts.jsonl", [.. Enumerable.Range(0, 60).Select(i => $$"""{"text": "{{(i % 2 == 0 ? "bad worse bad" : "good better good")}} {{i % 7}}", "label": {{i % 2}}}""")]);
        var recipe = scratch.Write("classifier.yaml",
            "kind: classifier",
            "name: tiny classifier",
            $"output: {scratch["classifier"]}",
            "model:",
            "  kind: folder",
            $"  path: {Fixtures.Model(start)}",
            "data:",
            $"  path: {scratch["texts.jsonl"]}",
            "  label_column: label",
            "  held_out_rows: 10",
            "labels: [NEGATIVE, POSITIVE]",
            "training:",
            "  epochs: 4",
            "  rows_per_step: 10",
            "  warm_up_steps: 2",
            "  learning_rate: 0.003");
        var result = Cli.Run("classifier", "train", recipe);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var scores = Cli.RunWith("{\"text\": \"good better good\"}\n{\"text\": \"bad worse bad\"}\n", default, "score", "--model", scratch["classifier"], "--input", "-", "--output", "-");
        Assert.True(scores.Code == ExitCode.Ok, scores.Error);
        var positive = scores.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => System.Text.Json.Nodes.JsonNode.Parse(line)!["probabilities"]![1]!.GetValue<double>()).ToArray();
        Assert.True(positive[0] > 0.7 && positive[1] < 0.5, $"{positive[0]} {positive[1]}");
        var rounded = Cli.RunWith("{\"text\": \"good better good\"}\n", default, "score", "--model", scratch["classifier"], "--input", "-", "--output", "-", "--precision", "bfloat16");
        Assert.Equal(positive[0], System.Text.Json.Nodes.JsonNode.Parse(rounded.Output)!["probabilities"]![1]!.GetValue<double>(), 0.1);
    }

    [Fact]
    public void First_rows_of_a_sorted_file_that_have_one_label_are_warned_of_and_a_sample_has_both()
    {
        using var scratch = new Scratch();
        scratch.Write("sorted.jsonl", [.. Enumerable.Range(0, 60).Select(i => $$"""{"text": "{{(i < 30 ? "bad worse bad" : "good better good")}} {{i % 7}}", "label": {{i / 30}}}""")]);
        scratch.Write("held.jsonl", """{"text": "bad worse bad", "label": 0}""", """{"text": "good better good", "label": 1}""");
        var recipe = scratch.Write("classifier.yaml",
            "kind: classifier",
            "name: tiny classifier",
            $"output: {scratch["classifier"]}",
            "model:",
            "  kind: folder",
            $"  path: {Fixtures.Model("gpt2")}",
            "data:",
            $"  path: {scratch["sorted.jsonl"]}",
            $"  evaluation_path: {scratch["held.jsonl"]}",
            "  label_column: label",
            "labels: [NEGATIVE, POSITIVE]",
            "training:",
            "  epochs: 1",
            "  rows_per_step: 10",
            "  warm_up_steps: 0",
            "  learning_rate: 0.003");
        const string Warned = "warning: all 20 rows to learn from have the label 'NEGATIVE', so that the classifier can learn nothing else; data.limit takes the first rows of a file that may be sorted; draw them with data.sample: 20";
        var first = Cli.Run("classifier", "train", recipe, "--set", "data.limit=20");
        Assert.True(first.Code == ExitCode.Ok, first.Error);
        Assert.Contains(Warned, first.Error, StringComparison.Ordinal);
        var drawn = Cli.Run("classifier", "train", recipe, "--set", "data.sample=20", "--set", $"output={scratch["drawn"]}");
        Assert.True(drawn.Code == ExitCode.Ok, drawn.Error);
        Assert.DoesNotContain("rows to learn from", drawn.Error, StringComparison.Ordinal);
        Assert.Contains("sample: draws rows, and limit takes the first ones", Cli.Run("classifier", "train", recipe, "--set", "data.sample=20", "--set", "data.limit=20").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void An_encoder_decoder_learns_responses_to_prompts()
    {
        using var scratch = new Scratch();
        scratch.Write("pairs.jsonl", [.. Enumerable.Range(0, 60).Select(i => $$"""{"question": "{{(i % 2 == 0 ? "good" : "bad")}} {{i % 7}}", "answer": "{{(i % 2 == 0 ? "yes it is" : "not at all")}}"}""")]);
        var recipe = scratch.Write("sft.yaml",
            "kind: sft",
            "name: tiny",
            $"output: {scratch["model"]}",
            "model:",
            "  kind: folder",
            $"  path: {Fixtures.Model("t5")}",
            "data:",
            $"  path: {scratch["pairs.jsonl"]}",
            "  column: answer",
            "  prompt_column: question",
            "  held_out_rows: 10",
            "training:",
            "  epochs: 6",
            "  rows_per_step: 5",
            "  warm_up_steps: 2",
            "  learning_rate: 0.02");
        var result = Cli.Run("sft", recipe);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var (first, last) = FirstAndLast(scratch["model"]);
        Assert.True(last < first - 2, $"the held-out loss went from {first} to {last}");

        // The end token was learned too.
        var generated = Cli.RunWith("""{"prompt": "good 3"}""", default, "generate", "--model", scratch["model"], "--prompts", "-", "--output", "-", "--greedy", "--max-new-tokens", "20");
        Assert.Equal("yes it is", (string?)System.Text.Json.Nodes.JsonNode.Parse(generated.Output)!["response"]);

        Assert.Contains("prompt_column", Cli.Run("sft", recipe, "--set", "data.prompt_column=null", "--set", $"output={scratch["other"]}").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("data.column=txt", "'txt'")]
    [InlineData("data.held_out_rows=60", "lower held_out_rows")]
    [InlineData("block_tokens=500", "context of 32")]
    [InlineData("model.width=31", "no multiple of heads")]
    [InlineData("training.learning_rat=1", "learning_rate")]
    public void Wrong_settings_are_one_line(string change, string hint)
    {
        using var scratch = new Scratch();
        Assert.Contains(hint, Cli.Run("sft", Sft(scratch), "--set", change).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Check_takes_recipes_of_every_kind_and_writes_nothing()
    {
        using var scratch = new Scratch();
        // One text over and over: each held-out block is learned too.
        var sft = Cli.Run("check", Sft(scratch));
        Assert.Equal(ExitCode.Ok, sft.Code);
        Assert.Matches(@"^warning: (\d+) of \1 held-out rows are among those to learn from, word for word: ", sft.Output);

        var recipe = scratch.Write("classifier.yaml", "kind: classifier", "name: tiny", $"output: {scratch["classifier"]}", $"model: {{kind: folder, path: {Fixtures.Model("gpt2")}}}",
            $"data: {{path: {scratch["labelled.jsonl"]}, label_column: label, held_out_rows: 4}}", "labels: [bad, good, odd]");
        void Write(Func<int, int> label) => scratch.Write("labelled.jsonl", [.. Enumerable.Range(0, 24).Select(i => $$"""{"text": "text number {{i}} of many", "label": {{label(i)}}}""")]);
        Write(i => i % 3);
        Assert.Equal((ExitCode.Ok, "tiny: nothing found\n"), (Cli.Run("check", recipe).Code, Cli.Run("check", recipe).Output));
        Write(i => i % 2);
        Assert.StartsWith("warning: no text to learn from has the label 'odd': ", Cli.Run("check", recipe).Output, StringComparison.Ordinal);
        Write(i => 1);
        var one = Cli.Run("check", recipe);
        Assert.Equal(ExitCode.Failed, one.Code);
        Assert.StartsWith("error: all 20 rows to learn from have the label 'good', so that ", one.Output, StringComparison.Ordinal);
        Assert.Contains("data.column", Cli.Run("check", recipe, "--set", "data.column=txt").OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.False(Path.Exists(scratch["classifier"]) || Path.Exists(scratch["model"]));
    }

    /// <summary>Held-out loss of the start and of the end.</summary>
    private static (double First, double Last) FirstAndLast(string folder)
    {
        var rows = Fixtures.Rows(Path.Combine(folder, "evaluation.jsonl"));
        return (rows[0]["loss"]!.GetValue<double>(), rows[^1]["loss"]!.GetValue<double>());
    }

    /// <summary>What a training's folder says was measured, row by row, without times.</summary>
    internal static string[] Log(string folder) =>
    [
        .. Fixtures.Rows(Path.Combine(folder, "metrics.jsonl")).Select(row => $"{row["step"]} {row["loss"]} {row["learning_rate"]} {row["gradient_norm"]}"),
        .. Fixtures.Rows(Path.Combine(folder, "evaluation.jsonl")).Select(row => row.ToJsonString()),
    ];

    internal static string Sft(Scratch scratch)
    {
        scratch.Write("texts.jsonl", [.. Enumerable.Repeat("""{"text": "the film is good and the end is better"}""", 60)]);
        return scratch.Write("sft.yaml",
            "kind: sft",
            "name: tiny",
            $"output: {scratch["model"]}",
            "model:",
            "  kind: gpt2",
            $"  tokenizer: {Fixtures.Model("gpt2")}",
            "  layers: 1",
            "  width: 32",
            "  heads: 2",
            "  context: 32",
            "data:",
            $"  path: {scratch["texts.jsonl"]}",
            "  held_out_rows: 20",
            "training:",
            "  epochs: 8",
            "  rows_per_step: 4",
            "  warm_up_steps: 2",
            "  learning_rate: 0.01");
    }
}
