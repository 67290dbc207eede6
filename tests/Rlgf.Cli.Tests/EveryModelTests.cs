using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Models.Tests;

namespace Rlgf.Cli.Tests;

/// <summary>The commands on every model of the whole set of fixtures, with its own tokenizer, where that set is there.</summary>
public sealed class EveryModelTests
{
    public static TheoryData<string> LanguageModels =>
    [
        "bart", "gemma", "gpt2", "gpt_neox", "gpt_neox_sequential", "gptj", "llama", "llama3_rope", "mistral", "opt", "phi3", "qwen2", "qwen3", "t5", "t5_v1_1",
    ];

    public static TheoryData<string> Classifiers => ["bert_classifier", "distilbert_classifier", "gpt2_reward", "llama_reward", "roberta_classifier"];

    [Theory, MemberData(nameof(LanguageModels))]
    public void Generate_continues_the_prompts_as_transformers_does(string name)
    {
        var (folder, expected) = Find(name);
        var isEncoderDecoder = (string)expected["kind"]! == "seq2seq_lm";
        var prompts = (expected["prompts"] ?? expected["inputs"])!.AsArray().Select(prompt => JsonSerializer.Serialize(new { prompt = (string)prompt! }));
        var generation = expected["generation"]!.AsArray().Single(item => (string)item!["name"]! == "greedy")!;
        var end = (int)generation["settings"]!["eos_token_id"]!;
        var maximum = (int)generation["settings"]!["max_new_tokens"]!;

        var result = Cli.RunWith(string.Join('\n', prompts), default, "generate", "--model", folder, "--prompts", "-", "--output", "-", "--greedy", "--max-new-tokens", $"{maximum}");

        Assert.True(result.Code == ExitCode.Ok, result.Error);
        var first = isEncoderDecoder ? 1 : expected["left_padded"]!["input_ids"]![0]!.AsArray().Count;
        var rows = result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Fixtures.Ids(JsonNode.Parse(line)!["response_ids"])).ToArray();
        Assert.Equal(generation["sequences"]!.AsArray().Select(sequence => UpTo(end, Fixtures.Ids(sequence)[first..])), rows);
    }

    [Theory, MemberData(nameof(LanguageModels))]
    public void Score_gives_the_log_probabilities_of_transformers(string name)
    {
        var (folder, expected) = Find(name);
        string[] lines;
        JsonNode logProbs;
        if ((string)expected["kind"]! == "seq2seq_lm")
        {
            logProbs = expected["target_log_probs"]!;
            lines = [.. Enumerable.Range(0, logProbs.AsArray().Count).Select(row => JsonSerializer.Serialize(new { prompt_ids = Fixtures.Unpadded(expected["right_padded"]!, row), response_ids = Fixtures.Ids(expected["labels"]![row]).TakeWhile(id => id >= 0) }))];
        }
        else
        {
            var continuation = expected["continuation"]!;
            logProbs = continuation["log_probs"]!;
            var first = (int)continuation["first_continuation_column"]!;
            lines = [.. Enumerable.Range(0, logProbs.AsArray().Count).Select(row =>
            {
                var prompt = continuation["attention_mask"]![row]!.AsArray().Take(first).Sum(bit => (int)bit!);
                var ids = Fixtures.Unpadded(continuation, row);
                return JsonSerializer.Serialize(new { prompt_ids = ids[..prompt], response_ids = ids[prompt..] });
            })];
        }

        var rows = Score(folder, lines);
        for (var row = 0; row < rows.Length; row++)
        {
            var scored = Fixtures.Numbers(rows[row]["log_probs"]);
            Assert.All(Fixtures.Numbers(logProbs[row]).Zip(scored), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
        }
    }

    [Theory, MemberData(nameof(Classifiers))]
    public void Score_gives_the_logits_of_texts_and_for_several_labels_their_probabilities(string name)
    {
        var (folder, expected) = Find(name);
        var rows = Score(folder, [.. expected["texts"]!.AsArray().Select(text => JsonSerializer.Serialize(new { text = (string)text! }))]);
        for (var row = 0; row < rows.Length; row++)
        {
            Assert.All(Fixtures.Numbers(expected["logits"]![row]).Zip(Fixtures.Numbers(rows[row]["logits"])), pair => Assert.Equal(pair.First, pair.Second, 5e-5));
            if (expected["probabilities"] is { } probabilities) Assert.All(Fixtures.Numbers(probabilities[row]).Zip(Fixtures.Numbers(rows[row]["probabilities"])), pair => Assert.Equal(pair.First, pair.Second, 5e-5));
        }
    }

    private static (string Folder, JsonNode Expected) Find(string name)
    {
        var folder = SharedFolder.Require("fixtures", "models", name);
        return (folder, JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "expected.json")))!);
    }

    private static JsonNode[] Score(string folder, string[] lines)
    {
        var result = Cli.RunWith(string.Join('\n', lines), default, "score", "--model", folder, "--input", "-", "--output", "-");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        JsonNode[] rows = [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(lines.Length, rows.Length);
        return rows;
    }

    private static int[] UpTo(int end, int[] ids)
    {
        var position = Array.IndexOf(ids, end);
        return position < 0 ? ids : ids[..(position + 1)];
    }
}
