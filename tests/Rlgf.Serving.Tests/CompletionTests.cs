using System.Text.Json.Nodes;
using Rlgf.Models;
using Rlgf.Models.Generation;

namespace Rlgf.Serving.Tests;

/// <summary><c>/v1/completions</c> against transformers' numbers of the same model, and against the generator in this process.</summary>
public sealed class CompletionTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Path = "/v1/completions";

    private static int[] Ids(JsonNode? node) => [.. node!.AsArray().Select(id => (int)id!)];

    private static float?[] LogProbs(JsonNode? node) => [.. node!.AsArray().Select(value => (float?)value)];

    private static int[][] GreedyOfTransformers()
    {
        var columns = TestServer.Expected["left_padded"]!["input_ids"]![0]!.AsArray().Count;
        var greedy = TestServer.Expected["generation"]!.AsArray().First(item => (string)item!["name"]! == "greedy")!;
        // The end token of these is 2, after which there is padding.
        return [.. greedy["sequences"]!.AsArray().Select(row => Ids(row)[columns..]).Select(row => Array.IndexOf(row, 2) is var end and >= 0 ? row[..(end + 1)] : row)];
    }

    [Fact]
    public async Task Greedy_ids_of_a_list_of_id_lists_equal_those_of_transformers()
    {
        var answer = await server.AskAsync(Path, new { prompt = TestServer.PromptIds, max_tokens = 20, temperature = 0, return_token_ids = true });
        var expected = GreedyOfTransformers();
        for (var row = 0; row < expected.Length; row++)
        {
            var choice = answer["choices"]![row]!;
            Assert.Equal(row, (int)choice["index"]!);
            Assert.Equal(expected[row], Ids(choice["token_ids"]));
            Assert.Equal(TestServer.PromptIds[row], Ids(choice["prompt_token_ids"]));
            Assert.Equal(ResponseText.Decode(server.Model.Tokenizer, server.Model.Model.Shape, expected[row]), (string)choice["text"]!);
        }

        var usage = answer["usage"]!;
        Assert.Equal((TestServer.PromptIds.Sum(ids => ids.Length), expected.Sum(ids => ids.Length)), ((int)usage["prompt_tokens"]!, (int)usage["completion_tokens"]!));
    }

    [Fact]
    public async Task Scores_of_a_prompt_equal_those_of_transformers_and_the_last_entry_is_the_generated_token()
    {
        var continuation = TestServer.Expected["continuation"]!;
        var first = (int)continuation["first_continuation_column"]!;
        var rows = TestServer.Rows(continuation);
        // As the harness asks.
        var answer = await server.AskAsync(Path, new { model = "llama", prompt = rows, echo = true, logprobs = 1, max_tokens = 1, temperature = 0, seed = 1234 });
        for (var row = 0; row < rows.Length; row++)
        {
            var logProbs = answer["choices"]![row]!["logprobs"]!;
            var (values, tops) = (LogProbs(logProbs["token_logprobs"]), logProbs["top_logprobs"]!.AsArray());
            Assert.Equal([rows[row].Length + 1, rows[row].Length + 1, rows[row].Length + 1, rows[row].Length + 1], [values.Length, tops.Count, logProbs["tokens"]!.AsArray().Count, logProbs["text_offset"]!.AsArray().Count]);
            Assert.Null(values[0]);
            var scored = continuation["log_probs"]![row]!.AsArray().Select(value => (float)value!).ToArray();
            var begin = TestServer.PromptIds[row].Length;
            for (var t = 0; begin + t < rows[row].Length; t++) Assert.Equal(scored[t], values[begin + t]!.Value, 1e-4);
            for (var t = 1; t < values.Length; t++)
            {
                var best = tops[t]!.AsObject().Max(pair => (float)pair.Value!);
                Assert.True(best >= values[t], "the most likely is no less likely than the one that stands there");
            }

            // Greedy: the generated token is the best, to the last digit.
            Assert.Equal(tops[^1]!.AsObject().Max(pair => (float)pair.Value!), values[^1]);
            var written = TextGenerator.Generate(server.Model.Model, [new(new TokenRow(rows[row], []), 0)], new SamplingSettings { MaxNewTokens = 1, Greedy = true }, 0)[0];
            Assert.Equal(written.RawLogProbs[0], values[^1]!.Value, 1e-5);
        }
    }

    [Fact]
    public async Task Echo_alone_scores_and_writes_nothing()
    {
        var answer = await server.AskAsync(Path, new { prompt = "I don't", echo = true, logprobs = 0, max_tokens = 0 });
        var choice = answer["choices"]![0]!;
        Assert.Equal("I don't", (string)choice["text"]!);
        Assert.Equal("length", (string)choice["finish_reason"]!);
        Assert.Equal(TestServer.PromptIds[1].Length, choice["logprobs"]!["tokens"]!.AsArray().Count);
        Assert.Equal(0, (int)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Sampled_answers_are_those_of_the_generator_with_the_same_seed()
    {
        var answer = await server.AskAsync(Path, new { prompt = "The acting is bad", max_tokens = 12, temperature = 0.8, top_p = 0.9, seed = 7, n = 3, logprobs = 2, return_token_ids = true });
        var settings = new SamplingSettings { MaxNewTokens = 12, Temperature = 0.8, TopP = 0.9, EndTokens = server.Model.EndTokens };
        var expected = TextGenerator.Generate(server.Model.Model, [.. Enumerable.Range(0, 3).Select(n => new GenerationRequest(new TokenRow(TestServer.PromptIds[2], []), (ulong)n))], settings, seed: 7);
        for (var n = 0; n < 3; n++)
        {
            var choice = answer["choices"]![n]!;
            Assert.Equal(expected[n].Tokens, Ids(choice["token_ids"]));
            // Raw: before temperature and top-p.
            foreach (var (raw, value) in expected[n].RawLogProbs.Zip(LogProbs(choice["logprobs"]!["token_logprobs"]))) Assert.Equal(raw, value!.Value, 1e-4);
        }
    }

    [Fact]
    public async Task A_seeds_answer_does_not_depend_on_who_else_is_in_the_batch()
    {
        object Asked(int seed) => new { prompt = "This movie", max_tokens = 16, seed, return_token_ids = true, ignore_eos = true };
        var alone = await server.AskAsync(Path, Asked(11));
        var others = Enumerable.Range(0, 6).Select(other => server.AskAsync(Path, Asked(100 + other))).ToArray();
        var among = await server.AskAsync(Path, Asked(11));
        await Task.WhenAll(others);
        Assert.Equal(Ids(alone["choices"]![0]!["token_ids"]), Ids(among["choices"]![0]!["token_ids"]));
        Assert.NotEqual(Ids(alone["choices"]![0]!["token_ids"]), Ids((await others[0])["choices"]![0]!["token_ids"]));
    }

    [Fact]
    public async Task A_stop_text_is_cut_off_wherever_in_a_token_it_begins()
    {
        var whole = (string)(await server.AskAsync(Path, new { prompt = "I don't", max_tokens = 20, temperature = 0 }))["choices"]![0]!["text"]!;
        for (var at = 1; at < whole.Length - 2; at++)
        {
            var stop = whole.Substring(at, 2);
            if (stop.Contains('\uFFFD', StringComparison.Ordinal)) continue;
            var choice = (await server.AskAsync(Path, new { prompt = "I don't", max_tokens = 20, temperature = 0, stop = new[] { "XYZ", stop } }))["choices"]![0]!;
            Assert.Equal(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], (string)choice["text"]!);
            Assert.Equal(("stop", stop), ((string)choice["finish_reason"]!, (string)choice["stop_reason"]!));
        }
    }

    [Theory]
    [InlineData(null, false), InlineData(" the", false), InlineData(null, true)]
    public async Task Streamed_parts_together_are_the_whole_answer(string? stop, bool echo)
    {
        object Asked(bool stream) => new
        {
            prompt = new[] { "I don't", "This movie" },
            max_tokens = 20,
            seed = 3,
            stop,
            echo,
            stream,
            logprobs = 1,
            return_token_ids = true,
            stream_options = new { include_usage = true },
        };
        var whole = await server.AskAsync(Path, Asked(false));
        var parts = await server.StreamAsync(Path, Asked(true));
        Assert.Empty(parts[^1]["choices"]!.AsArray());
        Assert.Equal(whole["usage"]!.ToJsonString(), parts[^1]["usage"]!.ToJsonString());
        for (var row = 0; row < 2; row++)
        {
            var choice = whole["choices"]![row]!;
            var own = parts[..^1].Select(part => part["choices"]![0]!).Where(part => (int)part["index"]! == row).ToArray();
            Assert.Equal((string)choice["text"]!, string.Concat(own.Select(part => (string)part["text"]!)));
            Assert.Equal(Ids(choice["token_ids"]), own.SelectMany(part => Ids(part["token_ids"])));
            foreach (var list in (string[])["token_logprobs", "text_offset", "tokens"])
                Assert.Equal(choice["logprobs"]![list]!.AsArray().Select(value => value?.ToJsonString()), own.SelectMany(part => part["logprobs"]![list]!.AsArray()).Select(value => value?.ToJsonString()));
            Assert.All(own[..^1], part => Assert.Null(part["finish_reason"]));
            Assert.Equal((string)choice["finish_reason"]!, (string)own[^1]["finish_reason"]!);
            // Characters of several tokens come whole.
            if (!((string)choice["text"]!).Contains('\uFFFD', StringComparison.Ordinal)) Assert.All(own, part => Assert.DoesNotContain("\uFFFD", (string)part["text"]!, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Text_prompts_are_read_with_the_tokenizers_begin_token_and_fields_may_be_null()
    {
        var body = """{"model":null,"prompt":"I don't","max_tokens":3,"temperature":0,"logprobs":null,"seed":null,"n":1,"top_p":1,"presence_penalty":0,"frequency_penalty":0.0,"stop":null,"user":"u","frobnicate":{"a":1},"return_token_ids":true}""";
        var (status, answer) = await server.PostAsync(Path, body);
        Assert.Equal(200, status);
        Assert.Equal(TestServer.PromptIds[1], Ids(answer["choices"]![0]!["prompt_token_ids"]));
        Assert.Null(answer["choices"]![0]!["logprobs"]);
        Assert.Equal("llama", (string)answer["model"]!);
    }

    [Theory]
    [InlineData("""{"prompt":"a","temperature":"hot"}""", "temperature")]
    [InlineData("""{"prompt":"a","max_tokens":-5}""", "max_tokens")]
    [InlineData("""{"prompt":"a","n":0}""", "n")]
    [InlineData("""{"prompt":"a","best_of":2}""", "best_of")]
    [InlineData("""{"prompt":"a","logit_bias":{"7":-100}}""", "logit_bias")]
    [InlineData("""{"prompt":"a","presence_penalty":1}""", "presence_penalty")]
    [InlineData("""{"prompt":[1,"a"]}""", "prompt")]
    [InlineData("""{}""", "prompt")]
    [InlineData("""{"prompt":[[7,600]]}""", "prompt")]
    [InlineData("""{"prompt":[[]]}""", "prompt")]
    [InlineData("""{"prompt":"a\ud800"}""", "prompt")]
    [InlineData("""{"prompt":["a","a"],"n":1,"stop":["x","\udc00"]}""", "stop")]
    [InlineData("""{"prompt":"a","stop":[""]}""", "stop")]
    [InlineData("""{"prompt":"a","n":100}""", "n")]
    [InlineData("""{"prompt":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]}""", "prompt")]
    [InlineData("""{"prompt":"a","temperature":1e-30}""", "temperature")]
    [InlineData("""{"prompt":"a","temperature":-1}""", "temperature")]
    [InlineData("""{"prompt":"a","top_p":0}""", "top_p")]
    [InlineData("""{"prompt":"a","typical_p":0}""", "typical_p")]
    [InlineData("""{"prompt":"a","min_p":2}""", "min_p")]
    [InlineData("""{"prompt":"a","repetition_penalty":0}""", "repetition_penalty")]
    [InlineData("""{"prompt":"a","stop_token_ids":[600]}""", "stop_token_ids")]
    [InlineData("""{"prompt":"a","min_tokens":9,"max_tokens":8}""", "min_tokens")]
    [InlineData("""{"prompt":"a","max_tokens":500}""", "prompt")]
    [InlineData("""{"prompt":"a","stream_options":5}""", "stream_options")]
    [InlineData("""{"prompt":"a","stream_options":{"include_usage":5}}""", "stream_options.include_usage")]
    [InlineData("""{"prompt":""", null)]
    [InlineData("""[1]""", null)]
    [InlineData("", null)]
    public async Task What_is_wrong_is_said_in_one_line_with_its_field(string body, string? field)
    {
        var (status, answer) = await server.PostAsync(Path, body);
        Assert.Equal((400, "invalid_request_error", field), (status, (string)answer["error"]!["type"]!, (string?)answer["error"]!["param"]));
        Assert.DoesNotContain('\n', (string)answer["error"]!["message"]!);
        Assert.DoesNotContain("Exception", (string)answer["error"]!["message"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prompt_that_is_too_long_is_refused_streamed_or_not()
    {
        foreach (var stream in (bool[])[false, true])
        {
            var (status, answer) = await server.PostAsync(Path, $$"""{"prompt":{{System.Text.Json.JsonSerializer.Serialize(new int[129])}},"max_tokens":1,"stream":{{(stream ? "true" : "false")}}}""");
            Assert.Equal((400, "context_length_exceeded"), (status, (string)answer["error"]!["code"]!));
        }
    }

    [Fact]
    public async Task Another_models_name_is_not_found()
    {
        var (status, answer) = await server.PostAsync(Path, """{"prompt":"a","model":"gpt-9"}""");
        Assert.Equal((404, "model_not_found"), (status, (string)answer["error"]!["code"]!));
    }
}
