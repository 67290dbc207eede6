using System.Net;
using Rlgf.Base;
using Rlgf.Endpoints.Budgets;
using Rlgf.Endpoints.Caching;
using Rlgf.Endpoints.Protocol;

namespace Rlgf.Endpoints.Asking;

/// <summary>Who answers a question: an endpoint, or a client of somebody's own.</summary>
/// <param name="question">What is asked.</param>
/// <param name="cancellationToken">Stops it.</param>
internal delegate Task<Completion> Ask(Question question, CancellationToken cancellationToken);

/// <summary>The budget is spent.</summary>
internal sealed class BudgetSpentException() : Exception("the budget is spent");

/// <summary>The way to an answer: from the cache where it is there, else bought within the budget and kept. A question that is on its way already is not asked a second time.</summary>
/// <param name="who">Names the answers in the cache: endpoint and model.</param>
/// <param name="ask">Asks; null where nothing may be asked, so that the cache must have it.</param>
/// <param name="cache">The cache; null for none.</param>
/// <param name="ledger">Counts what is spent.</param>
/// <param name="count">Counts the tokens of a text, for what the server doesn't count and for what is set aside.</param>
/// <param name="inFlight">How many questions are on their way at once.</param>
internal sealed class PaidAnswers((string Endpoint, string Model) who, Ask? ask, AnswerCache? cache, Ledger ledger, Func<string, int> count, int inFlight) : IDisposable
{
    private readonly Dictionary<(string Question, long Sample), (Purchase Purchase, int Place)> _open = [];
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _places = new(inFlight);
    private long _fromCache;

    /// <summary>Answers that the cache had.</summary>
    public long FromCache => Interlocked.Read(ref _fromCache);

    /// <summary>How many samples of one question are asked for in one request, at most.</summary>
    public int MostChoices { get; set; } = 1;

    /// <summary>Whether usage figures count all answers of such a request.</summary>
    public bool CountsAllChoices { get; set; }

    /// <summary>Gets an answer, as <see cref="Get"/>.</summary>
    public async Task<CachedAnswer> GetAsync(Question question, CancellationToken cancellationToken) => await Get([question], cancellationToken)[0].ConfigureAwait(false);

    /// <summary>
    /// Gets answers: a task for each question, which fails by a <see cref="BudgetSpentException"/> where the answer would have to be bought and the budget is spent, by an <see cref="EndpointRefusal"/> where the
    /// endpoint gave none, and by an <see cref="InputException"/> where the cache has none and nothing may be asked.
    /// </summary>
    /// <param name="questions">The questions. Those that differ in the sample alone are asked for together, where the endpoint can do that.</param>
    /// <param name="cancellationToken">Stops waiting; what nobody waits for any more is stopped.</param>
    /// <exception cref="InputException">The cache can't be used.</exception>
    public IReadOnlyList<Task<CachedAnswer>> Get(IReadOnlyList<Question> questions, CancellationToken cancellationToken)
    {
        var answers = new Task<CachedAnswer>?[questions.Count];
        List<(int Index, Purchase Purchase, int Place)> awaited = [];

        // What is neither on its way nor in the cache is begun before another looks: an answer is in the cache before it is on its way no more.
        lock (_lock)
        {
            Dictionary<string, (Purchase Purchase, List<Question> Questions)> begun = [];
            for (var i = 0; i < questions.Count; i++)
            {
                var key = KeyOf(questions[i]);
                if (!_open.TryGetValue(key, out var open))
                {
                    if (Known(questions[i], key) is { } known)
                    {
                        answers[i] = known;
                        continue;
                    }

                    _open[key] = open = Begin(begun, questions[i]);
                    open.Purchase.Keys.Add(key);
                }

                open.Purchase.Askers++;
                awaited.Add((i, open.Purchase, open.Place));
            }
        }

        foreach (var (index, purchase, place) in awaited) answers[index] = WaitAsync(purchase, place, cancellationToken);
        return answers!;
    }

    /// <summary>Asks what finds out about the endpoint: within the budget, and kept by nobody, as a later answer may be another.</summary>
    public Task<Completion> ProbeAsync(Question question, CancellationToken cancellationToken) => BuyAsync(question, (completion, _) => (completion, Array.Empty<long>()), cancellationToken);

    /// <summary>Counts what an endpoint wrote in vain.</summary>
    /// <exception cref="BudgetSpentException">There is nothing left to repeat the request with.</exception>
    public void Waste(Question question, string text)
    {
        ledger.Add(new Spending(0, count(question.Text), count(text)));
        if (!ledger.Holds) throw new BudgetSpentException();
    }

    /// <inheritdoc/>
    public void Dispose() => _places.Dispose();

    // The likeliest text is the same in every sample.
    private static (string Question, long Sample) KeyOf(Question question) => (question.ToJson(), question.Decoding.Temperature == 0 ? 0 : question.Sample);

    /// <summary>What the cache says, or that nobody else may be asked; null where the answer has to be bought.</summary>
    private Task<CachedAnswer>? Known(Question question, (string Json, long Sample) key)
    {
        if (cache?.Find(who.Endpoint, key.Json, key.Sample) is { } found)
        {
            Interlocked.Increment(ref _fromCache);
            ledger.Recount(found.Run, found.Number, new Spending(1, found.PromptTokens, found.CompletionTokens));
            return Task.FromResult(found);
        }

        return ask is not null ? null : Task.FromException<CachedAnswer>(new InputException(
            $"the cache has no answer to {Rewards.Remote.RowJson.Short(question.Text)}, sample {key.Sample} of '{who.Model}', and replay: only asks nobody; use the cache of the whole run, or set replay: off"));
    }

    /// <summary>Begins a purchase, or adds to one that was begun just now for the same question.</summary>
    private (Purchase Purchase, int Place) Begin(Dictionary<string, (Purchase Purchase, List<Question> Questions)> begun, Question question)
    {
        var anySample = MostChoices > 1 && question.Decoding.Temperature > 0 ? question.ToJsonOfAnySample() : null;
        if (anySample is not null && begun.TryGetValue(anySample, out var same) && same.Questions.Count < MostChoices)
        {
            same.Questions.Add(question);
            return (same.Purchase, same.Questions.Count - 1);
        }

        List<Question> questions = [question];
        var purchase = new Purchase(stop => BuyAsync(questions, stop));
        if (anySample is not null) begun[anySample] = (purchase, questions);
        return (purchase, 0);
    }

    private async Task<CachedAnswer> WaitAsync(Purchase purchase, int place, CancellationToken cancellationToken)
    {
        try
        {
            return await purchase.AnswerAsync(place, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await LeaveAsync(purchase).ConfigureAwait(false);
        }
    }

    /// <summary>One who asked waits no more. What is on its way for nobody is stopped; who asks for it now asks anew.</summary>
    private async Task LeaveAsync(Purchase purchase)
    {
        lock (_lock)
        {
            if (--purchase.Askers > 0) return;
            foreach (var key in purchase.Keys) _open.Remove(key);
        }

        await purchase.StopAsync().ConfigureAwait(false);
        purchase.Dispose();
    }

    /// <summary>Buys answers to samples of one question: in one request, and what that doesn't bring one by one.</summary>
    private async Task<IReadOnlyList<Task<CachedAnswer>>> BuyAsync(List<Question> questions, CancellationToken cancellationToken)
    {
        CachedAnswer[] together = [];
        if (questions.Count > 1)
        {
            try
            {
                together = await BuyAsync(questions[0].Times(questions.Count), (completion, spent) => Keep(questions, completion, spent), cancellationToken).ConfigureAwait(false);
            }
            catch (BudgetSpentException)
            {
                // What is left may do for some of them.
            }
            catch (EndpointRefusal refusal) when (refusal.Status is HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity)
            {
                // It took so many once, and doesn't now.
            }
        }

        return [.. together.Select(Task.FromResult), .. questions.Skip(together.Length).Select(BuyOneAsync)];

        async Task<CachedAnswer> BuyOneAsync(Question question) =>
            (await BuyAsync(question, (completion, spent) => Keep([question], completion, spent), cancellationToken).ConfigureAwait(false))[0];
    }

    private async Task<T> BuyAsync<T>(Question question, Func<Completion, Spending, (T Kept, IReadOnlyList<long> Numbers)> keep, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var expected = count(question.Text);
            var setAside = await ledger.SetAsideAsync(expected, (long)question.Decoding.MaxTokens * question.Choices, cancellationToken, question.Choices).ConfigureAwait(false) ?? throw new BudgetSpentException();
            Completion completion;
            try
            {
                completion = await ask!(question, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                ledger.End(setAside, default);
                throw;
            }

            var spent = new Spending(completion.Choices.Count, completion.Usage?.PromptTokens ?? expected, WrittenTokens(completion));
            lock (ledger.Booking)
            {
                IReadOnlyList<long> numbers = [];
                try
                {
                    (var kept, numbers) = keep(completion, spent);
                    return kept;
                }
                finally
                {
                    ledger.End(setAside, spent, expected, numbers);
                }
            }
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>Tokens of all answers. Where the figures are those of one alone, the others are counted here.</summary>
    private long WrittenTokens(Completion completion) => completion switch
    {
        { Usage: { } usage, Choices.Count: 1 } => usage.CompletionTokens,
        { Usage: { } usage } when CountsAllChoices => usage.CompletionTokens,
        _ => Math.Max(completion.Usage?.CompletionTokens ?? 0, completion.Choices.Sum(choice => (long)count(choice.Text))),
    };

    /// <summary>Keeps answers: they are on disk before they are used. What was read is counted with the first, what was written in proportion to the texts.</summary>
    private (CachedAnswer[] Kept, IReadOnlyList<long> Numbers) Keep(IReadOnlyList<Question> questions, Completion completion, Spending spent)
    {
        var written = completion.Choices.Count == 1 ? [spent.CompletionTokens] : Shares(spent.CompletionTokens, [.. completion.Choices.Select(choice => (long)count(choice.Text))]);
        var answers = completion.Choices.Zip(questions, (choice, question) => (Choice: choice, Key: KeyOf(question))).Select((answer, i) => new CachedAnswer
        {
            Endpoint = who.Endpoint, Model = who.Model, Question = answer.Key.Question, Sample = answer.Key.Sample, Text = answer.Choice.Text, Finish = answer.Choice.Finish,
            PromptTokens = i == 0 ? spent.PromptTokens : 0, CompletionTokens = written[i], IsStreamed = completion.IsStreamed, IsCounted = completion.Usage is not null, Run = ledger.Run,
        }).ToArray();
        if (cache is null) return (answers, []);
        answers = [.. cache.Add(answers)];
        return (answers, [.. answers.Where(kept => kept.Run == ledger.Run).Select(kept => kept.Number)]);
    }

    /// <summary>A sum of whole numbers divided in proportion to others, without a remainder.</summary>
    private static long[] Shares(long sum, long[] weights)
    {
        var (all, before) = (Math.Max(weights.Sum(), 1), 0L);
        return [.. weights.Select((weight, i) =>
        {
            var from = before;
            before = i == weights.Length - 1 ? all : before + weight;
            return (sum * before / all) - (sum * from / all);
        })];
    }
}
