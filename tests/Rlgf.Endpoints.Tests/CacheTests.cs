using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.Data.Sqlite;
using Rlgf.Base;
using Rlgf.Endpoints.Caching;

namespace Rlgf.Endpoints.Tests;

/// <summary>The cache: what is found again, by whom, and runs that ask nobody.</summary>
public sealed class CacheTests
{
    [Fact]
    public void An_answer_is_found_by_all_that_was_asked_and_by_nothing_else()
    {
        using var scratch = new Scratch();
        using (var cache = AnswerCache.Open(scratch["c.db"]))
        {
            var kept = cache.Add(Answer(1) with { Text = "a\u0000b 🙂 é", Finish = "length", IsStreamed = false, IsCounted = false, Run = "r" });
            Assert.Equal(1, kept.Number);
        }

        using var again = AnswerCache.Open(scratch["c.db"], mustExist: true);
        var found = again.Find("http://e/", Asked(1), 0)!;
        Assert.Equal(("a\u0000b 🙂 é", "length", 11, 3, false, false, "r"), (found.Text, found.Finish, found.PromptTokens, found.CompletionTokens, found.IsStreamed, found.IsCounted, found.Run));
        Assert.InRange(found.Written, DateTime.UtcNow.AddMinutes(-5), DateTime.UtcNow.AddMinutes(1));
        Assert.Null(again.Find("http://e/", Asked(1), 1));
        Assert.Null(again.Find("http://e/", Asked(2), 0));
        Assert.Null(again.Find("http://other/", Asked(1), 0));
        // The parts of a key don't run together.
        Assert.Null(again.Find("http://e/{", Asked(1)[1..], 0));
        // What is there stays.
        Assert.Equal("a\u0000b 🙂 é", again.Add(Answer(1) with { Text = "another" }).Text);
    }

    [Fact]
    public async Task Several_may_write_at_once()
    {
        using var scratch = new Scratch();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(() =>
        {
            using var cache = AnswerCache.Open(scratch["c.db"]);
            // Half of them everybody writes.
            for (var i = 0; i < 30; i++) cache.Add(Answer(i % 2 == 0 ? i : writer * 1000 + i));
        })));
        using var all = AnswerCache.Open(scratch["c.db"]);
        Assert.Equal(15 + 4 * 15, all.All().Count());
        Assert.Equal(75, Assert.Single(all.Count()).Answers);
    }

    [Fact]
    public void A_run_is_repeated_from_its_cache_with_nobody_there()
    {
        using var scratch = new Scratch();
        string[] set = [$"guide.cache={scratch["c.db"]}", "guide.sampling.temperature=1"];
        using var server = new OpenAiServer();
        Assert.Equal(0, TestRun.Train(scratch, server, set).Code);
        var asked = server.Requests.Count;
        Assert.Equal(0, TestRun.Train(scratch, server, [.. set, $"output={scratch["again"]}"]).Code);
        Assert.Equal(asked, server.Requests.Count);
        server.Dispose();
        var replayed = TestRun.Train(scratch, server, [.. set, $"output={scratch["replayed"]}", "guide.replay=only"]);
        Assert.True(replayed.Code == 0, replayed.Error);
        Assert.Equal(TestRun.Numbers(scratch, "run"), TestRun.Numbers(scratch, "replayed"));
        Assert.Equal(0, (double)TestRun.Metrics(scratch, "replayed")[^1]["guide/requests"]!);

        // Another seed asks other samples.
        var line = TestRun.Train(scratch, server, [.. set, $"output={scratch["other"]}", "guide.replay=only", "seed=1"]).Error;
        Assert.Contains("the cache has no answer to '", line, StringComparison.Ordinal);
        Assert.Contains("of 'm', and replay: only asks nobody", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UPDATE answers SET written = 'whenever'", "train", "is damaged; copy it again, or delete it and pay for its answers again")]
    [InlineData("UPDATE answers SET written = 'whenever'", "stats", "is damaged; copy it again, or delete it and pay for its answers again")]
    [InlineData("UPDATE answers SET text = 'x' WHERE question LIKE 'cap%'", "train", "guide.cache: the cache is damaged: what it holds of")]
    [InlineData("UPDATE answers SET text = 'null' WHERE question LIKE 'cap%'", "train", "guide.cache: the cache is damaged: what it holds of")]
    [InlineData("UPDATE answers SET question = '{x' WHERE question LIKE '{%'", "export", "is damaged: the question of answer")]
    public void What_another_wrote_into_a_cache_is_one_line(string change, string command, string said)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        string[] set = [$"guide.cache={scratch["c.db"]}", "guide.sampling.temperature=1"];
        Assert.Equal(0, TestRun.Train(scratch, server, set).Code);
        using (var connection = new SqliteConnection($"Data Source={scratch["c.db"]};Pooling=False"))
        {
            connection.Open();
            using var sql = connection.CreateCommand();
            sql.CommandText = change;
            Assert.True(sql.ExecuteNonQuery() > 0);
        }

        var line = (command switch
        {
            "train" => TestRun.Train(scratch, server, [.. set, $"output={scratch["again"]}"]),
            "stats" => TestRun.Run(default, "cache", "stats", scratch["c.db"]),
            _ => TestRun.Run(default, "cache", "export", scratch["c.db"], "--output", "-"),
        }).OneErrorLine();
        Assert.Contains(said, line, StringComparison.Ordinal);
        Assert.DoesNotContain("unexpected", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("700001", 2), InlineData("1000000", 2), InlineData("700000", 0)]
    public void An_age_that_no_calendar_has_is_refused(string days, int code)
    {
        using var scratch = new Scratch();
        AnswerCache.Open(scratch["c.db"]).Dispose();
        Assert.Equal(code, TestRun.Run(default, "cache", "prune", scratch["c.db"], "--older-than-days", days).Code);
    }

    [Fact]
    public void The_commands_count_export_and_remove()
    {
        using var scratch = new Scratch();
        var file = scratch["c.db"];
        using (var cache = AnswerCache.Open(file))
        {
            // What was found out of the endpoint is no answer, and stays as long as there are any.
            foreach (var model in (string[])["a", "b"]) cache.Add(Answer(0) with { Model = model, Question = $"capabilities of {model}", PromptTokens = 0 });
            for (var i = 0; i < 300; i++) cache.Add(Answer(i) with { Model = i < 100 ? "a" : "b", Question = $$"""{"prompt":"{{i}}"}""" });
        }

        Assert.Matches("^a at http://e/: 100 answers, 1,100 tokens read, 300 written, .*\nb at http://e/: 200 answers", TestRun.Run(default, "cache", "stats", file).Output);
        Assert.Equal(0, TestRun.Run(default, "cache", "export", file, "--output", scratch["rows.jsonl"]).Code);
        var rows = File.ReadLines(scratch["rows.jsonl"]).Select(line => JsonNode.Parse(line)!).ToArray();
        Assert.Equal(Enumerable.Range(0, 300).Select(i => $"{i}"), rows.Select(row => (string)row["question"]!["prompt"]!));
        Assert.Equal("text 299", (string)rows[^1]["text"]!);
        Assert.Equal("0 answers removed\n", TestRun.Run(default, "cache", "prune", file, "--older-than-days", "1").Output);
        Assert.Equal("100 answers removed\n", TestRun.Run(default, "cache", "prune", file, "--model", "a").Output);
        using (var cache = AnswerCache.Open(file))
        {
            Assert.Null(cache.Find("http://e/", "capabilities of a", 0));
            Assert.NotNull(cache.Find("http://e/", "capabilities of b", 0));
        }

        Assert.Equal(2, TestRun.Run(default, "cache", "prune", file).Code);
        Assert.Equal("200 answers removed\n", TestRun.Run(default, "cache", "prune", file, "--all").Output);
        Assert.Equal("no answers\n", TestRun.Run(default, "cache", "stats", file).Output);
        Assert.Contains("there is no such cache", TestRun.Run(default, "cache", "stats", scratch["none.db"]).OneErrorLine(), StringComparison.Ordinal);
    }

    private static string Asked(int i) => $$"""{"prompt":"question {{i}}"}""";

    internal static CachedAnswer Answer(int i) => new() { Endpoint = "http://e/", Model = "m", Question = Asked(i), Sample = 0, Text = $"text {i}", Finish = "stop", PromptTokens = 11, CompletionTokens = 3 };
}
