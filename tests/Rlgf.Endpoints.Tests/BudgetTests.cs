using Rlgf.Endpoints.Budgets;

namespace Rlgf.Endpoints.Tests;

/// <summary>A budget is not passed, what is on its way included, and is kept across checkpoints.</summary>
public sealed class BudgetTests
{
    [Fact]
    public async Task What_is_on_its_way_is_set_aside()
    {
        var ledger = new Ledger(new Limits(Tokens: 100), null);
        var first = await ledger.SetAsideAsync(20, 30, CancellationToken.None);
        Assert.Equal(new Spending(1, 20, 30), first);
        // 50 more would do; 51 must wait for what the first costs.
        var waiting = ledger.SetAsideAsync(21, 30, CancellationToken.None);
        Assert.False(waiting.IsCompleted);
        ledger.End(first!.Value, new Spending(1, 20, 10), expectedPrompt: 20);
        var second = await waiting;
        Assert.Equal(new Spending(1, 21, 30), second);
        ledger.End(second!.Value, new Spending(1, 21, 30), expectedPrompt: 21);
        Assert.Equal(81, ledger.Spent.Tokens);
        Assert.Equal(0.19, ledger.Left!.Value, 12);
        Assert.Null(await ledger.SetAsideAsync(10, 10, CancellationToken.None));
        Assert.NotNull(await ledger.SetAsideAsync(9, 10, CancellationToken.None));
    }

    [Fact]
    public async Task A_server_that_counts_more_than_was_expected_is_expected_to_do_so_again()
    {
        var ledger = new Ledger(new Limits(Tokens: 1000), null);
        var first = await ledger.SetAsideAsync(10, 5, CancellationToken.None);
        ledger.End(first!.Value, new Spending(1, 30, 5), expectedPrompt: 10);
        Assert.Equal(new Spending(1, 60, 5), await ledger.SetAsideAsync(20, 5, CancellationToken.None));
    }

    [Fact]
    public void Cost_is_that_of_tokens_read_and_written()
    {
        var ledger = new Ledger(new Limits(Cost: 4), new Prices(0.5, 2, "USD"));
        ledger.Add(new Spending(3, 2_000_000, 500_000));
        Assert.Equal(2, ledger.Cost);
        Assert.Equal(0.5, ledger.Left);
    }

    [Fact]
    public void A_state_is_gone_on_from_and_nothing_is_counted_twice()
    {
        var before = new Ledger(new Limits(), null);
        before.Add(new Spending(4, 40, 4));
        before.End(default, default, numbers: [7]);
        var state = before.Save();
        // In the same process, as after an evaluation: what was spent since stays spent.
        before.Add(new Spending(1, 10, 1));
        before.Restore(state);
        Assert.Equal(new Spending(5, 50, 5), before.Spent);

        var after = new Ledger(new Limits(), null);
        after.Add(new Spending(1, 1, 1));
        after.Restore(state);
        Assert.Equal(new Spending(5, 41, 5), after.Spent);
        Assert.Equal(before.Run, after.Run);
        after.Recount(after.Run, 7, new Spending(1, 10, 1)); // Before the checkpoint.
        after.Recount("another", 8, new Spending(1, 10, 1)); // Another run's.
        Assert.Equal(new Spending(5, 41, 5), after.Spent);
        for (var times = 0; times < 2; times++) after.Recount(after.Run, 8, new Spending(1, 10, 1)); // Between checkpoint and kill.
        Assert.Equal(new Spending(6, 51, 6), after.Spent);
    }

    [Theory]
    [InlineData("tokens: 300", 300)]
    [InlineData("requests: 20", 20)]
    [InlineData("cost: 0.0003 EUR, prices: {input: 1, output: 1}", 300)]
    public void A_run_goes_on_without_the_guide_when_its_budget_is_spent(string budget, int limit)
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        var result = TestRun.Train(scratch, server, $"guide.budget={{{budget}}}", "guide.when_spent=continue_without", "iterations=6", "guide.in_flight=8");
        Assert.True(result.Code == 0, result.Error);
        var last = TestRun.Metrics(scratch)[^1];
        var spent = budget.StartsWith("requests", StringComparison.Ordinal) ? (double)last["guide/requests"]! : (double)last["guide/prompt_tokens"]! + (double)last["guide/completion_tokens"]!;
        Assert.InRange(spent, limit * 0.9, limit);
        // By the server's own count.
        if (!budget.StartsWith("requests", StringComparison.Ordinal)) Assert.InRange(server.TokensServed, limit * 0.9, limit);
        Assert.True((double)last["guide/unanswered"]! > 0);
        Assert.Contains("rows were left to the policy, as the budget is spent", result.Error, StringComparison.Ordinal);
        if (budget.Contains("EUR", StringComparison.Ordinal)) Assert.Matches(@"0\.000\d EUR; \d+ from the cache; \d+\.\d % of the budget is left", result.Error);
    }

    [Fact]
    public void A_budget_holds_where_every_answer_breaks_off_and_is_asked_for_again()
    {
        using var scratch = new Scratch();
        var begun = false;
        using var server = new OpenAiServer { FaultOf = (number, _) => begun || (begun = number > 4) ? Fault.Cut : Fault.None };
        var result = TestRun.Train(scratch, server, "guide.budget={tokens: 400}", "guide.when_spent=continue_without", "guide.when_unanswered=continue_without", "guide.retries=8", "guide.in_flight=4");
        Assert.True(result.Code == 0, result.Error);
        var last = TestRun.Metrics(scratch)[^1];
        // What is wasted is counted by this side; one answer may pass the limit, as it is known only when it has broken off.
        Assert.InRange((double)last["guide/prompt_tokens"]! + (double)last["guide/completion_tokens"]!, 200, 450);
    }

    [Fact]
    public void What_was_paid_for_is_said_of_a_run_that_stops_in_its_first_iteration_too()
    {
        using var scratch = new Scratch();
        using var server = new OpenAiServer();
        var stopped = TestRun.Train(scratch, server, "guide.budget={requests: 9}");
        Assert.Equal(1, stopped.Code);
        Assert.False(File.Exists(scratch["run/metrics.jsonl"]) && TestRun.Metrics(scratch).Length > 0);
        Assert.Contains("guide 'm': 9 answers bought", stopped.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_that_stops_when_its_budget_is_spent_goes_on_with_a_larger_one()
    {
        using var scratch = new Scratch();
        string[] set = [$"guide.cache={scratch["c.db"]}", "iterations=4", "guide.sampling.temperature=1"];
        using var sound = new OpenAiServer();
        Assert.Equal(0, TestRun.Train(scratch, sound, "iterations=4", "guide.sampling.temperature=1", $"output={scratch["sound"]}").Code);
        using var server = new OpenAiServer();
        var stopped = TestRun.Train(scratch, server, [.. set, "guide.budget={requests: 15}"]);
        Assert.Equal(1, stopped.Code);
        Assert.Contains("the guide 'm': its budget is spent; raise guide.budget and resume", stopped.Error, StringComparison.Ordinal);
        Assert.Matches("guide 'm': 1[0-5] answers bought", stopped.Error);
        Assert.InRange(server.Answered.Count, 1, 15);
        var resumed = TestRun.Run(default, ["train", scratch["run"], "--resume", "--set", "guide.budget.requests=1_000"]);
        Assert.True(resumed.Code == 0, resumed.Error);
        Assert.Equal(server.Answered.Count, server.Answered.Distinct().Count());
        Assert.Equal(TestRun.Numbers(scratch, "sound"), TestRun.Numbers(scratch, "run"));
    }
}
