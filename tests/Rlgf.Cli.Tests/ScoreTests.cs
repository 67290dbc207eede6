using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

public sealed class ScoreTests
{
    private const double Tolerance = 1e-4;

    [Fact]
    public void Log_probabilities_of_given_ids_are_those_of_the_fixture()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("gpt2")["continuation"]!;
        var first = expected["first_continuation_column"]!.GetValue<int>();
        var lines = Enumerable.Range(0, 3).Select(row =>
        {
            var prompt = expected["attention_mask"]![row]!.AsArray().Take(first).Sum(bit => bit!.GetValue<int>());
            var ids = Fixtures.Unpadded(expected, row);
            return JsonSerializer.Serialize(new { prompt_ids = ids[..prompt], response_ids = ids[prompt..] });
        });
        var rows = Score("gpt2", scratch, [.. lines]);
        for (var row = 0; row < 3; row++)
        {
            var logProbs = Fixtures.Numbers(expected["log_probs"]![row]);
            Assert.Equal(["log_probs", "sum", "perplexity"], rows[row].AsObject().Select(pair => pair.Key));
            AssertNear(logProbs, Fixtures.Numbers(rows[row]["log_probs"]));
            Assert.Equal(expected["sums"]![row]!.GetValue<double>(), rows[row]["sum"]!.GetValue<double>(), Tolerance * logProbs.Length);
            var perplexity = Math.Exp(-logProbs.Sum() / logProbs.Length);
            Assert.Equal(1, rows[row]["perplexity"]!.GetValue<double>() / perplexity, 1e-3);
        }
    }

    [Fact]
    public void Text_is_scored_from_its_second_token_on()
    {
        using var scratch = new Scratch();
        const string Text = "This movie was one of the best films";
        var ids = Fixtures.Unpadded(Fixtures.Expected("gpt2")["right_padded"]!, 0);
        var rows = Score("gpt2", scratch,
            JsonSerializer.Serialize(new { text = Text }), JsonSerializer.Serialize(new { prompt_ids = ids[..1], response_ids = ids[1..] }));
        Assert.Equal(ids.Length - 1, Fixtures.Numbers(rows[0]["log_probs"]).Length);
        AssertNear(Fixtures.Numbers(rows[1]["log_probs"]), Fixtures.Numbers(rows[0]["log_probs"]));
    }

    [Fact]
    public void A_text_of_one_token_or_none_has_no_scores_and_no_perplexity()
    {
        using var scratch = new Scratch();
        foreach (var row in Score("gpt2", scratch, """{"text": ""}""", """{"text": "A"}""", """{"prompt": "A", "response": ""}"""))
        {
            Assert.Equal("""{"log_probs":[],"sum":0,"perplexity":null}""", row.ToJsonString());
        }
    }

    [Fact]
    public void What_generate_wrote_scores_as_generate_said()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("prompts.jsonl", [.. Enumerable.Range(1, 5).Select(i => JsonSerializer.Serialize(new { prompt = new string('b', i) }))]);
        Assert.Equal(ExitCode.Ok, Cli.Run("generate", "--model", Fixtures.Model("gpt2"), "--prompts", input, "--output", scratch["out.jsonl"], "--top-k", "20", "--max-new-tokens", "15").Code);
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("gpt2"), "--input", scratch["out.jsonl"], "--output", scratch["scores.jsonl"]).Code);
        foreach (var (written, scored) in Fixtures.Rows(scratch["out.jsonl"]).Zip(Fixtures.Rows(scratch["scores.jsonl"])))
        {
            AssertNear(Fixtures.Numbers(written["log_probs"]), Fixtures.Numbers(scored["log_probs"]));
        }
    }

    [Fact]
    public void A_reward_model_gives_the_logits_of_the_fixture()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("gpt2_reward");
        var texts = expected["texts"]!.AsArray().Select(text => text!.GetValue<string>()).ToArray();
        var rows = Score("gpt2_reward", scratch,
        [
            .. texts.Select(text => JsonSerializer.Serialize(new { text })),
            JsonSerializer.Serialize(new { prompt = texts[0][..9], response = texts[0][9..] }),
            JsonSerializer.Serialize(new { prompt_ids = Fixtures.Unpadded(expected["right_padded"]!, 0)[..3], response_ids = Fixtures.Unpadded(expected["right_padded"]!, 0)[3..] }),
        ]);
        double[] logits = [.. expected["logits"]!.AsArray().Select(row => row![0]!.GetValue<double>())];
        logits = [.. logits, logits[0], logits[0]];
        for (var row = 0; row < rows.Length; row++)
        {
            Assert.Equal(["logits", "score"], rows[row].AsObject().Select(pair => pair.Key));
            AssertNear([logits[row]], Fixtures.Numbers(rows[row]["logits"]));
            Assert.Equal(logits[row], rows[row]["score"]!.GetValue<double>(), Tolerance);
        }
    }

    [Fact]
    public void An_encoder_classifies_as_the_fixture_says()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("distilbert_classifier");
        var rows = Score("distilbert_classifier", scratch, [.. expected["texts"]!.AsArray().Select(text => JsonSerializer.Serialize(new { text = text!.GetValue<string>() }))]);
        for (var row = 0; row < rows.Length; row++)
        {
            AssertNear(Fixtures.Numbers(expected["logits"]![row]), Fixtures.Numbers(rows[row]["logits"]));
            AssertNear(Fixtures.Numbers(expected["probabilities"]![row]), Fixtures.Numbers(rows[row]["probabilities"]));
            Assert.Null(rows[row]["score"]);
        }
    }

    [Fact]
    public void A_text_that_is_cut_keeps_the_special_tokens_around_it()
    {
        using var scratch = new Scratch();
        var text = string.Concat(Enumerable.Repeat("a good film ", 100));
        var ids = Rlgf.Tokenizers.TokenizerFolder.Load(Fixtures.Model("distilbert_classifier")).Encode(text, addSpecialTokens: true);
        var whole = scratch.Write("long.jsonl", JsonSerializer.Serialize(new { text }));
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("distilbert_classifier"), "--input", whole, "--output", scratch["cut.jsonl"], "--truncate").Code);
        var expected = Score("distilbert_classifier", scratch, JsonSerializer.Serialize(new { prompt_ids = ids[..127], response_ids = ids[^1..] }));
        AssertNear(Fixtures.Numbers(expected[0]["logits"]), Fixtures.Numbers(Fixtures.Rows(scratch["cut.jsonl"])[0]["logits"]));
    }

    [Fact]
    public void An_encoder_decoder_scores_responses_to_prompts_and_no_bare_texts()
    {
        using var scratch = new Scratch();
        var expected = Fixtures.Expected("t5");
        var rows = Score("t5", scratch, [.. Enumerable.Range(0, 3).Select(row => JsonSerializer.Serialize(new
        {
            prompt = expected["inputs"]![row]!.GetValue<string>(), response_ids = Fixtures.Unpadded(new JsonObject { ["input_ids"] = expected["labels"]!.DeepClone(), ["attention_mask"] = expected["decoder"]!["attention_mask"]!.DeepClone() }, row),
        }))]);
        for (var row = 0; row < rows.Length; row++) AssertNear(Fixtures.Numbers(expected["target_log_probs"]![row]), Fixtures.Numbers(rows[row]["log_probs"]));

        var input = scratch.Write("text.jsonl", """{"text": "a film"}""");
        Assert.Contains("encoder–decoder", Cli.Run("score", "--model", Fixtures.Model("t5"), "--input", input, "--output", scratch["out.jsonl"]).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_beyond_the_context_are_cut_only_if_asked()
    {
        using var scratch = new Scratch();
        var input = scratch.Write("long.jsonl", JsonSerializer.Serialize(new { text = string.Concat(Enumerable.Repeat("xyz ", 200)) }));
        var refused = Cli.Run("score", "--model", Fixtures.Model("gpt2"), "--input", input, "--output", scratch["out.jsonl"]).OneErrorLine(ExitCode.Failed);
        Assert.Contains("long.jsonl:1: ", refused, StringComparison.Ordinal);
        Assert.Contains("context of 128", refused, StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["out.jsonl"]));
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("gpt2"), "--input", input, "--output", scratch["out.jsonl"], "--truncate").Code);
        Assert.Equal(127, Fixtures.Numbers(Fixtures.Rows(scratch["out.jsonl"])[0]["log_probs"]).Length);
    }

    internal static void AssertNear(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, Tolerance));
    }

    private static JsonNode[] Score(string model, Scratch scratch, params string[] lines)
    {
        var result = Cli.Run("score", "--model", Fixtures.Model(model), "--input", scratch.Write("in.jsonl", lines), "--output", scratch["scores.jsonl"]);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        return Fixtures.Rows(scratch["scores.jsonl"]);
    }
}
