using System.Text.Json.Nodes;
using Rlgf.Models.Loading;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf reward train</c>: from pairs to a reward that a recipe names, and what it prints is what the reward says.</summary>
public sealed class RewardTrainTests
{
    private const double Tolerance = 1e-5;

    [Theory]
    [InlineData("gpt2", null)]
    [InlineData("gpt2", "{rank: 4, alpha: 8}")]
    [InlineData("distilbert_classifier", null)]
    [InlineData("deberta_v3_reward", null)]
    [InlineData("deberta_v3_reward", "{rank: 4, alpha: 8}")]
    [InlineData("modernbert_reward", null)]
    [InlineData("t5", null)]
    public void A_reward_model_is_trained_and_scores_what_training_printed(string start, string? lora)
    {
        using var scratch = new Scratch();
        var result = Cli.Run("reward", "train", Recipe(scratch, start, lora));
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var folder = scratch["reward"];
        foreach (var file in (string[])["config.json", "model.safetensors", "tokenizer.json", "recipe.yaml", "result.json", "assessment.json", "held-out-scores.jsonl"])
            Assert.True(File.Exists(Path.Combine(folder, file)), file);
        Assert.False(File.Exists(Path.Combine(folder, "adapter_config.json")));

        // As transformers has such folders.
        var configuration = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        Assert.EndsWith("ForSequenceClassification", configuration["architectures"]![0]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal("""{"0":"reward"}""", configuration["id2label"]!.ToJsonString());
        Assert.Equal("regression", configuration["problem_type"]!.GetValue<string>());
        Assert.NotNull(configuration["pad_token_id"]);

        var assessment = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "assessment.json")))!;
        Assert.InRange(assessment["accuracy"]!["mean"]!.GetValue<double>(), 0.9, 1);
        Assert.Contains("held-out pairs", result.Error, StringComparison.Ordinal);

        var pairs = Fixtures.Rows(Path.Combine(folder, "held-out-scores.jsonl"));
        Assert.Equal(10, pairs.Length);
        double[] printed = [.. pairs.SelectMany(pair => new[] { pair["chosen_score"]!.GetValue<double>(), pair["rejected_score"]!.GetValue<double>() })];
        var answers = pairs.SelectMany(pair => new (string Prompt, string Answer)[] { (Text(pair, "prompt"), Text(pair, "chosen")), (Text(pair, "prompt"), Text(pair, "rejected")) }).ToArray();
        var rows = scratch.Write("rows.jsonl", [.. answers.Select(answer => new JsonObject { ["prompt"] = answer.Prompt, ["response"] = answer.Answer }.ToJsonString())]);

        var scored = Cli.Run("score", "--model", folder, "--input", rows, "--output", scratch["scores.jsonl"]);
        Assert.True(scored.Code == ExitCode.Ok, scored.Error);
        var scores = Fixtures.Rows(scratch["scores.jsonl"]);
        var (mean, deviation) = (configuration["score_normalisation"]!["mean"]!.GetValue<double>(), configuration["score_normalisation"]!["deviation"]!.GetValue<double>());
        for (var row = 0; row < printed.Length; row++)
        {
            Assert.Equal(printed[row], scores[row]["score"]!.GetValue<double>(), Tolerance);
            Assert.Equal(printed[row], (scores[row]["logits"]![0]!.GetValue<double>() - mean) / deviation, Tolerance);
        }

        var rewarded = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", rows, "--output", scratch["rewards.jsonl"], "--set", $"reward={{kind: classifier, path: '{folder}'}}");
        Assert.True(rewarded.Code == ExitCode.Ok, rewarded.Error);
        Assert.Equal(printed, Fixtures.Rows(scratch["rewards.jsonl"]).Select(row => row["reward"]!.GetValue<double>()), (one, other) => Math.Abs(one - other) <= Tolerance);
    }

    [Fact]
    public void By_a_chat_template_training_and_reward_score_the_text_that_the_template_writes()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "llama3_rope", null);
        // A text is the user's message; messages have a system's before it.
        static bool IsText(int i) => i % 4 < 2;
        scratch.Write("pairs.jsonl", [.. Enumerable.Range(0, 60).Select(i => $$"""
            {"prompt": {{(IsText(i) ? $"\"film {i}\"" : $$"""[{"role": "system", "content": "Be short."}, {"role": "user", "content": "film {{i}}"}]""")}}, "chosen": "good better", "rejected": "bad {{i % 7}}"}
            """.Trim())]);
        var result = Cli.Run("reward", "train", recipe, "--set", "chat={}", "--set", "training.max_steps=4");
        Assert.True(result.Code == ExitCode.Ok, result.Error);

        var normalisation = JsonNode.Parse(File.ReadAllText(scratch["reward/config.json"]))!["score_normalisation"]!;
        using var loaded = TextClassifier.Load(scratch["reward"]);
        double ByHand(string prompt, string answer, bool isText)
        {
            using var scope = TorchSharp.torch.NewDisposeScope();
            static string Turn(string role, string content) => $"<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>";
            var ids = loaded.Tokenizer.Encode($"<|begin_of_text|>{(isText ? "" : Turn("system", "Be short."))}{Turn("user", prompt)}{Turn("assistant", answer)}");
            return (loaded.Model.Logits([ids]).cpu().item<float>() - normalisation["mean"]!.GetValue<double>()) / normalisation["deviation"]!.GetValue<double>();
        }

        var pairs = Fixtures.Rows(scratch["reward/held-out-scores.jsonl"]);
        bool IsTextRow(JsonNode pair) => IsText(int.Parse(Text(pair, "prompt")["film ".Length..], System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal([false, true], pairs.Select(IsTextRow).Distinct().Order());
        foreach (var pair in pairs)
        {
            Assert.Equal(ByHand(Text(pair, "prompt"), Text(pair, "chosen"), IsTextRow(pair)), pair["chosen_score"]!.GetValue<double>(), 1e-4);
            Assert.Equal(ByHand(Text(pair, "prompt"), Text(pair, "rejected"), IsTextRow(pair)), pair["rejected_score"]!.GetValue<double>(), 1e-4);
        }

        JsonNode[] texts = [.. pairs.Where(IsTextRow)];
        var rows = scratch.Write("rows.jsonl", [.. texts.Select(pair => new JsonObject { ["prompt"] = Text(pair, "prompt"), ["response"] = Text(pair, "rejected") }.ToJsonString())]);
        double[] Rewards(string chat)
        {
            var rewarded = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", rows, "--output", scratch["rewards.jsonl"], "--set", $"reward={{kind: classifier, path: '{scratch["reward"]}'{chat}}}");
            Assert.True(rewarded.Code == ExitCode.Ok, rewarded.Error);
            double[] rewards = [.. Fixtures.Rows(scratch["rewards.jsonl"]).Select(row => row["reward"]!.GetValue<double>())];
            File.Delete(scratch["rewards.jsonl"]);
            return rewards;
        }

        double[] printed = [.. texts.Select(pair => pair["rejected_score"]!.GetValue<double>())];
        Assert.Equal(printed, Rewards(", chat: {}"), (one, other) => Math.Abs(one - other) <= Tolerance);
        Assert.NotEqual(printed, Rewards(""), (one, other) => Math.Abs(one - other) <= 1e-3);
    }

    [Fact]
    public void The_answers_to_the_training_prompts_have_mean_0_and_deviation_1()
    {
        using var scratch = new Scratch();
        Assert.Equal(ExitCode.Ok, Cli.Run("reward", "train", Recipe(scratch, "gpt2", null), "--set", "training.max_steps=3").Code);
        var held = Fixtures.Rows(scratch["reward/held-out-scores.jsonl"]).Select(row => Text(row, "row")).ToHashSet();
        var texts = File.ReadLines(scratch["pairs.jsonl"]).Where((_, line) => !held.Contains($"{scratch["pairs.jsonl"]}:{line + 1}")).Select(line => JsonNode.Parse(line)!)
            .SelectMany(pair => new[] { Text(pair, "prompt") + Text(pair, "chosen"), Text(pair, "prompt") + Text(pair, "rejected") }).ToArray();
        Assert.Equal(100, texts.Length);
        var result = Cli.RunWith(string.Join('\n', texts.Select(text => new JsonObject { ["text"] = text }.ToJsonString())), default, "score", "--model", scratch["reward"], "--input", "-", "--output", "-");
        double[] scores = [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!["score"]!.GetValue<double>())];
        Assert.Equal(0, scores.Average(), 1e-4);
        Assert.Equal(1, Math.Sqrt(scores.Sum(score => score * score) / (scores.Length - 1)), 1e-4);
    }

    [Fact]
    public void An_adapter_can_be_kept_apart_and_scores_as_the_merged_model()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "gpt2", "{rank: 4, alpha: 8}");
        Assert.Equal(ExitCode.Ok, Cli.Run("reward", "train", recipe).Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("reward", "train", recipe, "--set", "merge_adapter=false", "--set", $"output={scratch["adapter"]}").Code);
        Assert.True(File.Exists(scratch["adapter/adapter_config.json"]));
        var (merged, apart) = (Printed(scratch["reward"]), Printed(scratch["adapter"]));
        Assert.Equal(merged, apart, (one, other) => Math.Abs(one - other) <= 1e-3);
        using var loaded = TextClassifier.Load(scratch["adapter"]);
        Assert.NotNull(ClassifierHead.Of(loaded.Model).Normalisation);
    }

    [Fact]
    public void Several_seeds_make_an_ensemble_whose_scores_are_made_of_its_members()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "gpt2", null);
        string[] train = ["reward", "train", recipe, "--set", "members=2", "--set", "training.max_steps=6"];
        var result = Cli.Run(train);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        Assert.Contains("members are right on", result.Error, StringComparison.Ordinal);
        double[] one = Printed(scratch["reward/member-1"]), other = Printed(scratch["reward/member-2"]);
        Assert.NotEqual(one[0], other[0], 1e-4);
        Assert.Contains("seed: 2", File.ReadAllText(scratch["reward/member-2/recipe.yaml"]), StringComparison.Ordinal);
        // A second command goes on where all is done: nothing changes.
        var weights = File.ReadAllBytes(scratch["reward/member-2/model.safetensors"]);
        Assert.Equal(ExitCode.Ok, Cli.Run([.. train, "--resume"]).Code);
        Assert.Equal(weights, File.ReadAllBytes(scratch["reward/member-2/model.safetensors"]));

        var pairs = Fixtures.Rows(scratch["reward/member-1/held-out-scores.jsonl"]);
        var rows = scratch.Write("rows.jsonl", [.. pairs.Select(pair => new JsonObject { ["prompt"] = Text(pair, "prompt"), ["response"] = Text(pair, "chosen") }.ToJsonString())]);
        foreach (var (score, expected) in new (string, Func<double, double, double>)[]
        {
            ("score: mean", (a, b) => (a + b) / 2), ("score: minimum", Math.Min), ("score: mean_minus_deviations, deviations: 2", (a, b) => ((a + b) / 2) - (2 * Math.Abs(a - b) / Math.Sqrt(2))),
        })
        {
            var rewarded = Cli.Run("reward", "score", "--recipe", TrainTests.Recipe(scratch, "run"), "--rows", rows, "--output", scratch["rewards.jsonl"], "--set",
                $"reward={{kind: ensemble, {score}, members: [{{kind: classifier, path: '{scratch["reward/member-1"]}'}}, {{kind: classifier, path: '{scratch["reward/member-2"]}'}}]}}");
            Assert.True(rewarded.Code == ExitCode.Ok, rewarded.Error);
            var rewards = Fixtures.Rows(scratch["rewards.jsonl"]);
            for (var pair = 0; pair < pairs.Length; pair++)
            {
                Assert.Equal(expected(one[2 * pair], other[2 * pair]), rewards[pair]["reward"]!.GetValue<double>(), 1e-4);
                Assert.Equal(one[2 * pair], rewards[pair]["parts"]!["member_1"]!.GetValue<double>(), Tolerance);
            }

            File.Delete(scratch["rewards.jsonl"]);
        }
    }

    [Theory]
    [InlineData("{\"prompt\": \"a\", \"chosen\": \"b\"}", "no column 'rejected'")]
    [InlineData("{\"prompt\": \"a\", \"chosen\": null, \"rejected\": \"c\"}", "column 'chosen': expected an answer")]
    [InlineData("{\"chosen\": [{\"role\": \"user\", \"content\": \"a\"}], \"rejected\": \"c\"}", "column 'chosen': it ends with the user's turn")]
    [InlineData("{\"prompt\": [{\"role\": \"human\", \"content\": \"a\"}], \"chosen\": \"b\", \"rejected\": \"c\"}", "the role 'human' is none of")]
    [InlineData("{\"chosen\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}], \"rejected\": [{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": \"c\"}]}", "its prompt differs from that of chosen at message 1")]
    [InlineData("{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}, {\"role\": \"user\", \"content\": \"c\"}], \"chosen\": \"b\", \"rejected\": \"c\"}", "the prompt has 3 messages")]
    public void A_row_that_can_not_be_read_is_one_line(string row, string said)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "gpt2", null);
        File.WriteAllLines(scratch["pairs.jsonl"], [.. File.ReadLines(scratch["pairs.jsonl"]).Take(4), row]);
        var line = Cli.Run("reward", "train", recipe, "--set", "data.held_out_rows=1").OneErrorLine(ExitCode.Failed);
        Assert.Contains($"{scratch["pairs.jsonl"]}:5", line, StringComparison.Ordinal);
        Assert.Contains(said, line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("NaN", "column 'm': holds NaN, which isn't read")]
    [InlineData("1e30", "column 'm': the margin is 1E+30; it is by how much")]
    [InlineData("-1", "column 'm': the margin is -1, below 0")]
    public void A_margin_that_can_not_be_is_one_line(string margin, string said)
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "gpt2", null);
        File.WriteAllLines(scratch["pairs.jsonl"], [.. Enumerable.Range(0, 5).Select(i => $$"""{"prompt": "film {{i}}", "chosen": " good", "rejected": " bad", "m": {{(i == 4 ? margin : "0.5")}}}""")]);
        var line = Cli.Run("reward", "train", recipe, "--set", "data.held_out_rows=1", "--set", "data.margin_column=m").OneErrorLine(ExitCode.Failed);
        Assert.Contains($"{scratch["pairs.jsonl"]}:5: {said}", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_that_are_left_out_are_counted_by_reason()
    {
        using var scratch = new Scratch();
        var recipe = Recipe(scratch, "gpt2", null);
        File.AppendAllLines(scratch["pairs.jsonl"],
        [
            """{"prompt": "a", "chosen": "b", "rejected": "b"}""", """{"prompt": "a", "chosen": " ", "rejected": "b"}""", $$"""{"prompt": "a", "chosen": "{{string.Join(' ', Enumerable.Repeat("wonderful", 200))}}", "rejected": "b"}""",
        ]);
        var result = Cli.Run("check", recipe);
        Assert.Equal(ExitCode.Ok, result.Code);
        Assert.Contains("warning: ", result.Output, StringComparison.Ordinal);
        Assert.Contains("3 of 63 rows are left out", result.Output, StringComparison.Ordinal);
        Assert.Contains("chosen and rejected are the same", result.Output, StringComparison.Ordinal);
        Assert.Contains("an answer is empty", result.Output, StringComparison.Ordinal);
        Assert.Contains("prompt and answer have more than the model's 128 tokens", result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("merge_adapter=false", "merge_adapter: there is no adapter to be kept apart")]
    [InlineData("members=0", "members is 0; it must be")]
    [InlineData("data.held_out_rows=60", "none is left to learn from; lower held_out_rows")]
    [InlineData("data.margin_column=chosen", "names the column 'chosen', as chosen_column does")]
    [InlineData("training.recompute_activations=true", "training.recompute_activations: it is for language models")]
    public void Settings_that_can_not_be_are_refused_with_their_key(string setting, string said)
    {
        using var scratch = new Scratch();
        Assert.Contains(said, Cli.Run("reward", "train", Recipe(scratch, "gpt2", null), "--set", setting).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    private static double[] Printed(string folder) => [.. Fixtures.Rows(Path.Combine(folder, "held-out-scores.jsonl")).SelectMany(pair => new[] { pair["chosen_score"]!.GetValue<double>(), pair["rejected_score"]!.GetValue<double>() })];

    private static string Text(JsonNode row, string key) => row[key]!.GetValue<string>();

    private static string Recipe(Scratch scratch, string start, string? lora)
    {
        scratch.Write("pairs.jsonl", [.. Enumerable.Range(0, 60).Select(i => $$"""{"prompt": "film {{i}}", "chosen": " good better good", "rejected": " bad worse bad{{(i % 3 == 0 ? " bad" : "")}}"}""")]);
        return scratch.Write("reward.yaml",
        [
            "kind: reward_model",
            "name: tiny reward",
            "seed: 1",
            $"output: {scratch["reward"]}",
            $"model: {{kind: folder, path: {Fixtures.Model(start)}{(lora is null ? "" : $", lora: {lora}")}}}",
            $"data: {{path: {scratch["pairs.jsonl"]}, held_out_rows: 10}}",
            "center_rewards_coefficient: 0.01",
            "training: {epochs: 4, rows_per_step: 10, warm_up_steps: 2, learning_rate: 0.003}",
        ]);
    }
}
