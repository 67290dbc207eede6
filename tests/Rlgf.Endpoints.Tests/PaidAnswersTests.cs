using Rlgf.Endpoints.Asking;
using Rlgf.Endpoints.Budgets;
using Rlgf.Endpoints.Caching;
using Rlgf.Endpoints.Protocol;

namespace Rlgf.Endpoints.Tests;

/// <summary>Who asks the same at the same time, and samples that are bought together.</summary>
public sealed class PaidAnswersTests
{
    private static readonly Decoding Greedy = new() { MaxTokens = 4 };
    private static readonly Decoding Sampling = Greedy with { Temperature = 1 };

    [Fact]
    public async Task Who_no_longer_waits_stops_nobody_else()
    {
        var endpoint = new HeldEndpoint();
        using var answers = Answers(endpoint);
        using var impatient = new CancellationTokenSource();
        var first = answers.GetAsync(Question.OfText("m", "a", Greedy, 1), impatient.Token);
        var second = answers.GetAsync(Question.OfText("m", "a", Greedy, 2), CancellationToken.None);
        await endpoint.Asked.WaitAsync(CancellationToken.None);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        endpoint.Answer.SetResult();
        Assert.Equal("0", (await second).Text);
        Assert.Equal(1, endpoint.Count);
    }

    [Fact]
    public async Task What_nobody_waits_for_is_stopped_and_asked_anew_by_the_next()
    {
        var endpoint = new HeldEndpoint();
        using var answers = Answers(endpoint);
        using var stop = new CancellationTokenSource();
        var question = Question.OfText("m", "a", Greedy, 1);
        Task<CachedAnswer>[] asked = [answers.GetAsync(question, stop.Token), answers.GetAsync(question, stop.Token)];
        await endpoint.Asked.WaitAsync(CancellationToken.None);
        await stop.CancelAsync();
        foreach (var one in asked) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one);
        // Who asked knows when it is over that nothing goes on behind it.
        Assert.Equal(1, endpoint.Stopped);
        endpoint.Answer.SetResult();
        Assert.Equal("0", (await answers.GetAsync(question, CancellationToken.None)).Text);
        Assert.Equal(2, endpoint.Count);
    }

    [Fact]
    public async Task A_question_is_bought_once_whenever_it_is_asked()
    {
        using var scratch = new Scratch();
        using var cache = AnswerCache.Open(scratch["c.db"]);
        var endpoint = new HeldEndpoint();
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint, cache);
        // Between an answer's arrival and its being in the cache there is no moment at which neither is known.
        for (var round = 0; round < 40; round++)
            await Task.WhenAll(Enumerable.Range(0, 8).Select(asker => Task.Run(() => answers.GetAsync(Question.OfText("m", $"question {round}", Greedy, asker), CancellationToken.None))));
        Assert.Equal(40, endpoint.Count);
    }

    [Fact]
    public async Task Samples_of_a_question_are_bought_together_and_kept_each_by_itself()
    {
        using var scratch = new Scratch();
        using var cache = AnswerCache.Open(scratch["c.db"]);
        var (endpoint, ledger) = (new HeldEndpoint { Usage = (10, 24) }, new Ledger(new Limits(), null));
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint, cache, ledger);
        (answers.MostChoices, answers.CountsAllChoices) = (4, true);
        Question[] samples = [.. Enumerable.Range(1, 6).Select(sample => Question.OfText("m", "a", Sampling, sample)), Question.OfText("m", "b", Sampling, 1), Question.OfText("m", "a", Greedy, 9)];
        var first = await Task.WhenAll(answers.Get(samples, CancellationToken.None));
        // Six samples are four and two; what else is asked is asked alone.
        Assert.Equal([1, 1, 2, 4], endpoint.Choices.Order());
        Assert.Equal(["0", "0", "0", "0", "1", "1", "2", "3"], first.Select(answer => answer.Text).Order(StringComparer.Ordinal));
        // All is counted: what was read once a request, and what was written, which is divided over the answers.
        Assert.Equal(new Spending(8, 40, 4 * 24), ledger.Spent);
        Assert.Equal((40, 96), (first.Sum(answer => answer.PromptTokens), first.Sum(answer => answer.CompletionTokens)));
        var again = await Task.WhenAll(answers.Get(samples, CancellationToken.None));
        Assert.Equal(first.Select(answer => answer.Number), again.Select(answer => answer.Number));
        Assert.Equal((4, 8), (endpoint.Count, answers.FromCache));
    }

    [Fact]
    public async Task Where_figures_are_of_one_answer_the_others_are_counted_here()
    {
        var (endpoint, ledger) = (new HeldEndpoint { Usage = (10, 1) }, new Ledger(new Limits(), null));
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint, ledger: ledger);
        answers.MostChoices = 4;
        await Task.WhenAll(answers.Get([.. Enumerable.Range(1, 4).Select(sample => Question.OfText("m", "a", Sampling, sample))], CancellationToken.None));
        // Four texts of one character.
        Assert.Equal(new Spending(4, 10, 4), ledger.Spent);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(4, true)]
    public async Task What_does_not_come_together_is_asked_for_one_by_one(int given, bool refuses)
    {
        var endpoint = new HeldEndpoint { MostGiven = given, RefusesSeveral = refuses };
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint);
        answers.MostChoices = 4;
        var got = await Task.WhenAll(answers.Get([.. Enumerable.Range(1, 4).Select(sample => Question.OfText("m", "a", Sampling, sample))], CancellationToken.None));
        Assert.Equal([1, 2, 3, 4], got.Select(answer => answer.Sample));
        Assert.Equal(refuses ? 5 : 1 + 4 - given, endpoint.Count);
    }

    [Fact]
    public async Task A_budget_that_is_too_small_for_all_samples_buys_some()
    {
        var (endpoint, ledger) = (new HeldEndpoint(), new Ledger(new Limits(Requests: 3), null));
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint, ledger: ledger);
        answers.MostChoices = 4;
        var got = answers.Get([.. Enumerable.Range(1, 4).Select(sample => Question.OfText("m", "a", Sampling, sample))], CancellationToken.None);
        await Assert.ThrowsAsync<BudgetSpentException>(() => Task.WhenAll(got));
        Assert.Equal(3, got.Count(answer => answer.IsCompletedSuccessfully));
        Assert.Equal(3, ledger.Spent.Requests);
    }

    [Fact]
    public async Task What_a_run_buys_after_it_went_on_is_not_counted_again_when_it_is_found()
    {
        using var scratch = new Scratch();
        using var cache = AnswerCache.Open(scratch["c.db"]);
        var (before, ledger) = (new Ledger(new Limits(), null), new Ledger(new Limits(), null));
        ledger.Restore(before.Save());
        var endpoint = new HeldEndpoint { Usage = (10, 1) };
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint, cache, ledger);
        var question = Question.OfText("m", "a", Greedy, 1);
        for (var i = 0; i < 2; i++) await answers.GetAsync(question, CancellationToken.None);
        Assert.Equal(new Spending(1, 10, 1), ledger.Spent);
    }

    [Fact]
    public async Task A_state_that_is_saved_while_answers_come_has_counted_all_up_to_its_number()
    {
        using var scratch = new Scratch();
        using var cache = AnswerCache.Open(scratch["c.db"]);
        var (endpoint, ledger) = (new HeldEndpoint { Usage = (10, 1) }, new Ledger(new Limits(), null));
        endpoint.Answer.SetResult();
        using var answers = Answers(endpoint, cache, ledger);
        var bought = Task.WhenAll(answers.Get([.. Enumerable.Range(0, 40).Select(i => Question.OfText("m", $"{i}", Greedy, 1))], CancellationToken.None));
        var saved = 0;
        while (!bought.IsCompleted || saved == 0)
        {
            var state = System.Text.Json.Nodes.JsonNode.Parse(ledger.Save())!;
            // The cache is this run's alone, so that its numbers are 1, 2, 3…
            Assert.Equal((long)state["Through"]!, (long)state["Requests"]!);
            saved++;
            await Task.Delay(1);
        }

        await bought;
        Assert.Equal((40, 40), (ledger.Spent.Requests, ledger.Through));
    }

    private static PaidAnswers Answers(HeldEndpoint endpoint, AnswerCache? cache = null, Ledger? ledger = null) =>
        new(("e", "m"), endpoint.AskAsync, cache, ledger ?? new Ledger(new Limits(), null), text => text.Length, 8);

    /// <summary>An endpoint that answers when it is let: the answers' texts are their places in the request.</summary>
    private sealed class HeldEndpoint
    {
        private int _count;
        private int _stopped;

        public SemaphoreSlim Asked { get; } = new(0);

        public TaskCompletionSource Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public (long Read, long Written)? Usage { get; init; }

        public int MostGiven { get; init; } = int.MaxValue;

        public bool RefusesSeveral { get; init; }

        public System.Collections.Concurrent.ConcurrentBag<int> Choices { get; } = [];

        public int Count => _count;

        public int Stopped => _stopped;

        public async Task<Completion> AskAsync(Question question, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _count);
            Choices.Add(question.Choices);
            Asked.Release();
            try
            {
                await Answer.Task.WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                Interlocked.Increment(ref _stopped);
                throw;
            }

            if (RefusesSeveral && question.Choices > 1) throw new EndpointRefusal("n is too large", System.Net.HttpStatusCode.BadRequest);
            return new Completion([.. Enumerable.Range(0, Math.Min(MostGiven, question.Choices)).Select(i => new Choice($"{i}", Choice.Stop))], Usage is var (read, written) ? new Usage(read, written) : null, IsStreamed: true);
        }
    }
}
