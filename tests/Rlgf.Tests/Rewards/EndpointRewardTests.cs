using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Remote;
using Rlgf.Rewards;
using Rlgf.Rewards.Remote;

namespace Rlgf.Tests.Rewards;

/// <summary>Rewards that are asked for over HTTP, of a server on this machine: whatever it answers is a score or one line, and no row is lost.</summary>
public sealed class EndpointRewardTests
{
    [Fact]
    public async Task Rows_are_sent_in_batches_and_scores_come_back_in_their_order()
    {
        using var server = new LoopbackServer((body, _) => (200, Scores(body, row => (string)row["response"]! + ".5")));
        using var reward = Reward(server, batchRows: 2, inFlight: 2);
        var scores = await reward.ScoreAsync([.. Enumerable.Range(1, 7).Select(i => Rows.Of(i, $"{i}", [$"r{i}"], ("answer", i)))], CancellationToken.None);
        Assert.Equal([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5], scores.Select(score => score.Total));
        Assert.Equal(4, server.Requests.Count);
        Assert.InRange(server.MostAtOnce, 1, 2);
        Assert.Contains("""{"rows":[{"prompt":"prompt 1","response":"1","ended":true,"references":["r1"],"row":{"answer":1}},""", string.Concat(server.Requests), StringComparison.Ordinal);
        Assert.All(server.Tokens, token => Assert.Equal("Bearer t0ken", token));
    }

    [Fact]
    public async Task What_may_pass_is_asked_again()
    {
        using var server = new LoopbackServer((body, number) => number switch { 1 => (503, "busy"), 2 => (408, ""), 3 => (429, "slowly"), _ => (200, Scores(body, _ => "1")) });
        using var reward = Reward(server);
        Assert.Equal(1, Assert.Single(await reward.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None)).Total);
        Assert.Equal(4, server.Requests.Count);
    }

    [Theory]
    [InlineData(200, "not json", "the answer is not valid JSON", 1)]
    [InlineData(200, "", "the answer is not valid JSON", 1)]
    [InlineData(200, "[1, 2]", "the server answered '[1, 2]', which has no list \"scores\"", 1)]
    [InlineData(200, """{"scores": [1]}""", "the server answered 1 scores to 2 rows", 1)]
    [InlineData(200, """{"scores": [1, 2, 3]}""", "the server answered 3 scores to 2 rows", 1)]
    [InlineData(401, "no token", "the server refused with 401: 'no token'", 1)]
    [InlineData(301, "", "the server refused with 301: nothing", 1)]
    [InlineData(500, "broken", "the server refused with 500: 'broken'", 3)]
    [InlineData(400, "two\nlines\u001b[31m", "the server refused with 400: 'two lines [31m'", 1)]
    [InlineData(200, """{"scores": [{"score": 1, "parts": {"\ud83d": 1}}, {"score": 1, "\ud83d": 1}]}""", "it answered '{\"score\": 1, \"parts\": {\"\\ud83d\": 1}}', which holds half of a surrogate pair", 1)]
    public async Task A_wrong_answer_costs_the_rows_of_its_request(int status, string body, string said, int requests)
    {
        using var server = new LoopbackServer((asked, _) => asked.Contains("bad", StringComparison.Ordinal) ? (status, body) : (200, Scores(asked, _ => "1")));
        using var reward = Reward(server, batchRows: 2, retries: 2, failures: new FailureRule(-1));
        var scores = await reward.ScoreAsync([Rows.Of(1, "good"), Rows.Of(2, "good"), Rows.Of(3, "bad"), Rows.Of(4, "good")], CancellationToken.None);
        Assert.Equal([1, 1, -1, -1], scores.Select(score => score.Total));
        Assert.StartsWith($"{server.Address}: {said}", scores[2].Problem, StringComparison.Ordinal);
        Assert.Equal(requests + 1, server.Requests.Count);
    }

    [Theory]
    [InlineData("\"1\"", "it answered '\"1\"', which is neither a number nor")]
    [InlineData("null", "it answered 'null', which is neither a number nor")]
    [InlineData("1e99", "it answered '1e99', which is neither a number nor")]
    [InlineData("{\"score\": 1, \"parts\": {\"style\": true}}", "its part 'style' is 'true', which is no number")]
    [InlineData("{\"score\": 1, \"parts\": {\"stile\": 1}}", "it answered the parts stile, and the recipe names style")]
    [InlineData("1", "it answered no parts, and the recipe names style")]
    public async Task A_wrong_score_costs_its_own_row(string score, string said)
    {
        const string Right = """{"score": 2, "parts": {"style": 0.5}}""";
        using var server = new LoopbackServer((body, _) => (200, Scores(body, row => (string)row["response"]! == "bad" ? score : Right)));
        using var reward = Reward(server, failures: new FailureRule(-1, ["style"]));
        var scores = await CheckedScores.OfAsync(reward, [Rows.Of(1, "good"), Rows.Of(2, "bad")], CancellationToken.None);
        Assert.Equal([2, -1], scores.Select(one => one.Total));
        Assert.Contains(said, scores[1].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_answer_in_time_and_nobody_there_are_one_line()
    {
        using var never = new ManualResetEventSlim();
        using var server = new LoopbackServer((_, _) =>
        {
            never.Wait(TimeSpan.FromSeconds(20));
            return (200, "");
        });
        using (var reward = Reward(server, timeout: 0.2, retries: 1))
        {
            var refusal = await Assert.ThrowsAsync<InputException>(() => reward.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None));
            Assert.Equal($"the reward 'h': data.jsonl, row 1: {server.Address}: no answer within 0.2 seconds; to go on with a score for such rows, set failure_score", refusal.Message);
        }

        never.Set();
        Assert.Equal(2, server.Requests.Count);
        server.Dispose();
        using var nobody = Reward(server, retries: 0, failures: new FailureRule(0));
        Assert.Contains("no answer: ", Assert.Single(await nobody.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None)).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_judge_is_asked_by_the_template_and_its_number_is_the_score()
    {
        using var server = new LoopbackServer((_, _) => (200, Completion(" 7.5\n")));
        using var judge = Judge(server, "Rate {response} to {prompt} by {reference} for {row.topic}. Say {\"score\"} 0-10.");
        var score = Assert.Single(await judge.ScoreAsync([Rows.Of(1, "{reference} x", ["gold", "other"], ("topic", "birds"))], CancellationToken.None));
        Assert.Equal(7.5, score.Total);
        // What a response says in braces stands for nothing.
        Assert.Equal(
            """{"model":"m","messages":[{"role":"system","content":"Be fair."},{"role":"user","content":"Rate {reference} x to prompt 1 by gold for birds. Say {\"score\"} 0-10."}],"temperature":0,"max_tokens":16}""",
            Assert.Single(server.Requests));
    }

    [Theory]
    [InlineData("Score: 7", "the judge answered 'Score: 7', which is not a number alone")]
    [InlineData("7/10", "the judge answered '7/10', which is not a number alone")]
    [InlineData("", "the judge answered nothing, which is not a number alone")]
    [InlineData("11", "the judge answered '11', which is not within 0 and 10")]
    [InlineData("NaN", "the judge answered 'NaN', which is not a number alone")]
    [InlineData("1e1", "the judge answered '1e1', which is not a number alone")]
    public async Task A_judge_that_says_more_than_a_number_has_not_scored(string said, string problem)
    {
        using var server = new LoopbackServer((body, _) => (200, Completion(body.Contains("bad", StringComparison.Ordinal) ? said : "3")));
        using var judge = Judge(server, "{response}", new FailureRule(0));
        var scores = await judge.ScoreAsync([Rows.Of(1, "good"), Rows.Of(2, "bad"), Rows.Of(3, "good")], CancellationToken.None);
        Assert.Equal([3, 0, 3], scores.Select(score => score.Total));
        Assert.Equal($"{server.Address}: {problem}", scores[1].Problem);
    }

    [Fact]
    public async Task What_is_no_completion_has_not_scored()
    {
        using var server = new LoopbackServer((_, _) => (200, """{"error": "x"}"""));
        using var judge = Judge(server, "{response}", new FailureRule(0));
        Assert.Contains("""the server answered '{"error": "x"}', which is no chat completion""", Assert.Single(await judge.ScoreAsync([Rows.Of(1, "a")], CancellationToken.None)).Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{respons}", "holds {respons}, which stands for nothing")]
    [InlineData("rate this", "holds no {response}")]
    [InlineData("{response} {\"a\": {prompt}}", null)]
    public void A_template_is_looked_at_before_the_run(string template, string? problem)
    {
        if (problem is null) Assert.Null(ModelJudgeReward.TemplateProblem(template));
        else Assert.StartsWith(problem, ModelJudgeReward.TemplateProblem(template), StringComparison.Ordinal);
    }

    private static HttpReward Reward(LoopbackServer server, int batchRows = 32, int inFlight = 4, double timeout = 20, int retries = 5, FailureRule? failures = null) =>
        new("h", Endpoint(server) with { InFlight = inFlight, Timeout = TimeSpan.FromSeconds(timeout), Retries = retries }, batchRows, failures ?? new FailureRule());

    private static ModelJudgeReward Judge(LoopbackServer server, string template, FailureRule? failures = null) =>
        new("j", Endpoint(server), new ModelJudgeSettings { Model = "m", Template = template, System = "Be fair." }, failures ?? new FailureRule());

    private static EndpointSettings Endpoint(LoopbackServer server) => new() { Address = server.Address, Token = "t0ken", FirstWait = TimeSpan.FromMilliseconds(1) };

    private static string Scores(string body, Func<JsonNode, string> score) => $$"""{"scores": [{{string.Join(',', JsonNode.Parse(body)!["rows"]!.AsArray().Select(row => score(row!)))}}]}""";

    private static string Completion(string text) => new JsonObject
    {
        ["choices"] = new JsonArray(new JsonObject { ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text } }),
    }.ToJsonString();
}
