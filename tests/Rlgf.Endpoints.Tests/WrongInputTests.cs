using Microsoft.Data.Sqlite;
using Rlgf.Endpoints.Caching;

namespace Rlgf.Endpoints.Tests;

/// <summary>What is wrong is one line that names the place, before any training; a key is in no file and no output.</summary>
public sealed class WrongInputTests
{
    [Theory]
    [InlineData("guide.endpoint=http://me:CANARY@localhost/v1")]
    [InlineData("guide.endpoint=http://localhost/v1?key=CANARY")]
    [InlineData("guide.api_key=CANARY")]
    public void A_secret_where_it_does_not_belong_is_not_repeated(string change)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        var result = TestRun.Train(scratch, server, change);
        Assert.Equal(1, result.Code);
        Assert.DoesNotContain("CANARY", result.Error + result.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("guide.endpoint=nonsense", "guide.endpoint: is no address such as http://localhost:8000/v1")]
    [InlineData("guide.endpoint=http://me:secret@localhost/v1", "guide.endpoint: holds more than an address")]
    [InlineData("guide.endpoint=http://example.org/v1", "guide.endpoint: example.org would be asked without encryption")]
    [InlineData("guide.endpoint=${RLGF_NOT_SET}", "guide.endpoint: the environment has no variable RLGF_NOT_SET: set it to the endpoint's address")]
    [InlineData("guide.api_key=sk-in-the-recipe", "guide.api_key: a key stands in no file")]
    [InlineData("guide.api_key=${RLGF_NOT_SET}", "guide.api_key: the environment has no variable RLGF_NOT_SET: set it to the key")]
    [InlineData("guide.model=other", "guide.model: ADDRESS: the server refused with 404: 'The model `other` does not exist.'")]
    [InlineData("guide.mode=chat_with_prefill", "guide.mode: ADDRESS goes on with no beginning of an answer")]
    [InlineData("guide.chat_template=.", "guide.chat_template: .: has no chat template")]
    [InlineData("guide.budget={requests: 0}", "guide.budget.requests is 0; it must be at least 1")]
    [InlineData("guide.budget={tokens: 0}", "guide.budget.tokens is 0; it must be at least 1")]
    [InlineData("guide.budget={cost: 0 USD, prices: {input: 1, output: 1}}", "guide.budget.cost: is an amount above 0 with its currency, such as 5.00 USD")]
    [InlineData("guide.budget={cost: 5 USD}", "guide.budget.cost: is counted by the prices of tokens; set budget.prices")]
    [InlineData("guide.budget={cost: 5 USD, prices: {input: 0, output: 0}}", "guide.budget.prices: are 0 both, so that nothing costs anything and budget.cost is never reached")]
    [InlineData("guide.budget={requests: 1}", "guide.budget: is too small to find out what the endpoint can do")]
    [InlineData("guide.budget={}", "guide.budget.tokens: the budget has no limit")]
    [InlineData("guide_worth={every: 2}", "guide_worth.every: 2 in a run of 2 iterations is the first iteration alone")]
    [InlineData("guide.when_spent=continue_without", "guide.when_spent: is for when the budget is spent, and there is none")]
    [InlineData("guide.replay=only", "guide.replay: only the cache is to answer, and there is none; set cache")]
    public void A_wrong_setting_is_one_line(string set, string said)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        var line = TestRun.Train(scratch, server, set).OneErrorLine();
        Assert.Contains(said.Replace("ADDRESS", server.Address + "/", StringComparison.Ordinal), line, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-in-the-recipe", line, StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["run/metrics.jsonl"]));
    }

    [Theory]
    [InlineData("""{"error": {"message": "Incorrect API key provided.", "type": "invalid_request_error", "code": "invalid_api_key"}}""", "the server refused with 401: 'Incorrect API key provided.'", 1)] // @dwmkerr/mock-llm
    [InlineData("""{"error": {"message": "no model m", "type": "NotFoundError", "code": 404}}""", "the server refused with 404: 'no model m'", 1)] // vLLM
    [InlineData("""{"error": {"message": "out of memory", "type": "server_error", "code": 500}}""", "the server said: out of memory", 3)] // llama.cpp
    [InlineData("""{"error": {"message": "who knows"}}""", "the server said: who knows", 3)]
    public void A_refusal_that_comes_as_a_stream_is_a_refusal_and_only_what_may_pass_is_asked_again(string error, string said, int asked)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { ErrorInStream = error };
        Assert.Contains(said, TestRun.Train(scratch, server, "guide.retries=2", "guide.retry_wait_seconds=0.01", "guide.mode=completion").OneErrorLine(), StringComparison.Ordinal);
        Assert.Equal(asked, server.Requests.Count);
    }

    [Theory]
    [InlineData("CANARY\n", "a line end"), InlineData("CAN\r\nX-Evil: ARY", "a line end"), InlineData(" CANARY ", "a blank"), InlineData("CAN\u00C1RY", "a character that is not ASCII"), InlineData("CAN\u0001ARY", "a control character")]
    public void A_key_that_no_header_can_hold_is_one_line(string key, string said)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        using var variable = new Variable(key);
        var line = TestRun.Train(scratch, server, $"guide.api_key=${{{variable.Name}}}").OneErrorLine();
        Assert.Contains($"guide.api_key: the variable {variable.Name} of the environment holds {said}: set it to the key alone", line, StringComparison.Ordinal);
        Assert.DoesNotContain("CAN", line.Replace(variable.Name, "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Empty(server.Requests);
    }

    [Fact]
    public void What_a_section_leaves_out_is_said_at_the_section_whatever_else_of_it_was_set()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { Key = "k" };
        var line = TestRun.Train(scratch, server, "guide.retries=1").OneErrorLine();
        Assert.Contains("recipe.yaml:", line, StringComparison.Ordinal);
        Assert.Contains(": guide.api_key: ", line, StringComparison.Ordinal);
        Assert.DoesNotContain("--set guide.retries", line, StringComparison.Ordinal);
    }

    [Fact]
    public void An_endpoint_without_the_chats_that_a_mode_needs_is_not_said_to_lack_what_nobody_asked_for()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { HasChat = false };
        Assert.Contains("guide.mode: ADDRESS has no chat completions there; use mode: auto (the server refused with 404".Replace("ADDRESS", server.Address + "/", StringComparison.Ordinal),
            TestRun.Train(scratch, server, "guide.mode=chat_without_prefill").OneErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_endpoint_that_takes_no_question_says_why()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer { HasCompletions = false, HasChat = false };
        Assert.Contains("has neither completions nor chat completions there; it usually ends in /v1 (the server refused with 404: 'File Not Found')", TestRun.Train(scratch, server).OneErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public void Nobody_there_is_one_line()
    {
        using var scratch = new Scratch();
        var server = new OpenAiServer();
        server.Dispose();
        Assert.Contains($"guide.endpoint: {server.Address}/: no answer: Connection refused", TestRun.Train(scratch, server, "guide.retries=1").OneErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_is_in_no_file_and_no_output()
    {
        const string Canary = "sk-canary-5f1d2c";
        using var scratch = new Scratch();
        using var key = new Variable(Canary);
        using var server = new OpenAiServer { Key = Canary };
        string[] set = [$"guide.api_key=${{{key.Name}}}", $"guide.cache={scratch["cache.db"]}"];
        var result = TestRun.Train(scratch, server, set);
        Assert.True(result.Code == 0, result.Error);
        // What the endpoint can do is remembered, and whether it takes the key is found out again.
        using (var old = new Variable("sk-old"))
            Assert.Contains("guide.api_key: ", TestRun.Train(scratch, server, $"guide.api_key=${{{old.Name}}}", set[1], $"output={scratch["old"]}").OneErrorLine(), StringComparison.Ordinal);
        // A server that refuses a key may say which; here it does.
        using var wrong = new OpenAiServer { Key = "sk-another" };
        var refused = TestRun.Train(scratch, wrong, [.. set, $"output={scratch["other"]}"]);
        Assert.Contains("guide.api_key: ", refused.OneErrorLine(), StringComparison.Ordinal);
        Assert.Contains("the server refused with 401: 'Incorrect API key provided: Bearer ***'", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(Canary, result.Error + result.Output + refused.Error + refused.Output, StringComparison.Ordinal);
        var files = Directory.GetFiles(scratch[""], "*", SearchOption.AllDirectories);
        Assert.InRange(files.Length, 10, int.MaxValue);
        Assert.All(files, file => Assert.True(File.ReadAllBytes(file).AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(Canary)) < 0, file));
        Assert.Contains(key.Name, File.ReadAllText(scratch["run/recipe.yaml"]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_cache_that_is_none_or_another_or_cut_off_is_one_line()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        var file = scratch["cache.db"];
        string Line() => TestRun.Train(scratch, server, $"guide.cache={file}").OneErrorLine();

        File.WriteAllText(file, new string('x', 4096));
        Assert.Contains($"guide.cache: {file}: is no cache of answers", Line(), StringComparison.Ordinal);
        File.Delete(file);
        Execute(file, "CREATE TABLE other (x)");
        Assert.Contains($"guide.cache: {file}: is a database of something else", Line(), StringComparison.Ordinal);
        File.Delete(file);
        AnswerCache.Open(file).Dispose();
        Execute(file, "PRAGMA user_version = 7");
        Assert.Contains($"guide.cache: {file}: is a cache of version 7, and this program has version 1", Line(), StringComparison.Ordinal);
        File.Delete(file);
        using (var cache = AnswerCache.Open(file))
            for (var i = 0; i < 200; i++) cache.Add(CacheTests.Answer(i));
        var whole = new FileInfo(file).Length;
        using (var stream = File.OpenWrite(file)) stream.SetLength(whole / 2);
        Assert.Contains($"guide.cache: {file}: is cut off", Line(), StringComparison.Ordinal);
        Assert.Contains("guide.cache: ", TestRun.Train(scratch, server, $"guide.cache={scratch["no/such/folder.db"]}").OneErrorLine(), StringComparison.Ordinal);
    }

    private static void Execute(string file, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
