using System.Collections.Concurrent;
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
    private readonly ConcurrentDictionary<(string Question, long Sample), Lazy<Task<CachedAnswer>>> _open = new();
    private readonly SemaphoreSlim _places = new(inFlight);
    private long _fromCache;

    /// <summary>Answers that the cache had.</summary>
    public long FromCache => Interlocked.Read(ref _fromCache);

    /// <summary>Gets an answer.</summary>
    /// <exception cref="BudgetSpentException">It would have to be bought, and the budget is spent.</exception>
    /// <exception cref="EndpointRefusal">The endpoint gave none.</exception>
    /// <exception cref="InputException">The cache can't be used, or has no answer where nothing may be asked.</exception>
    public async Task<CachedAnswer> GetAsync(Question question, CancellationToken cancellationToken)
    {
        // The likeliest text is the same in every sample.
        var (json, sample) = (question.ToJson(), question.Decoding.Temperature == 0 ? 0 : question.Sample);
        if (cache?.Find(who.Endpoint, json, sample) is { } found)
        {
            Interlocked.Increment(ref _fromCache);
            ledger.Recount(found.Run, found.Number, new Spending(1, found.PromptTokens, found.CompletionTokens));
            return found;
        }

        if (ask is null) throw new InputException($"the cache has no answer to {Rewards.Remote.RowJson.Short(question.Text)}, sample {sample} of '{who.Model}', and replay: only asks nobody; use the cache of the whole run, or set replay: off");
        // One that is cancelled is no answer to another who asks the same: each asker waits for itself.
        var asked = _open.GetOrAdd((json, sample), _ => new(() => BuyAsync(question, (completion, spent) => Keep(json, sample, completion, spent), cancellationToken)));
        try
        {
            return await asked.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (asked.Value.IsCompleted) _open.TryRemove(KeyValuePair.Create((json, sample), asked));
        }
    }

    /// <summary>Asks what finds out about the endpoint: within the budget, and kept by nobody, as a later answer may be another.</summary>
    public Task<Completion> ProbeAsync(Question question, CancellationToken cancellationToken) => BuyAsync(question, (completion, _) => (completion, 0), cancellationToken);

    /// <summary>Counts what an endpoint wrote in vain.</summary>
    /// <exception cref="BudgetSpentException">There is nothing left to repeat the request with.</exception>
    public void Waste(Question question, string text)
    {
        ledger.Add(new Spending(0, count(question.Text), count(text)));
        if (!ledger.Holds) throw new BudgetSpentException();
    }

    /// <inheritdoc/>
    public void Dispose() => _places.Dispose();

    private async Task<T> BuyAsync<T>(Question question, Func<Completion, Spending, (T Kept, long Number)> keep, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var expected = count(question.Text);
            var setAside = await ledger.SetAsideAsync(expected, question.Decoding.MaxTokens, cancellationToken).ConfigureAwait(false) ?? throw new BudgetSpentException();
            var (spent, number) = (default(Spending), 0L);
            try
            {
                var completion = await ask!(question, cancellationToken).ConfigureAwait(false);
                spent = new(1, completion.Usage?.PromptTokens ?? expected, completion.Usage?.CompletionTokens ?? count(completion.Choices[0].Text));
                (var kept, number) = keep(completion, spent);
                return kept;
            }
            finally
            {
                ledger.End(setAside, spent, spent.Requests > 0 ? expected : 0, number);
            }
        }
        finally
        {
            _places.Release();
        }
    }

    /// <summary>Keeps an answer: it is on disk before it is used.</summary>
    private (CachedAnswer Kept, long Number) Keep(string json, long sample, Completion completion, Spending spent)
    {
        var answer = new CachedAnswer
        {
            Endpoint = who.Endpoint, Model = who.Model, Question = json, Sample = sample, Text = completion.Choices[0].Text, Finish = completion.Choices[0].Finish,
            PromptTokens = spent.PromptTokens, CompletionTokens = spent.CompletionTokens, IsStreamed = completion.IsStreamed, IsCounted = completion.Usage is not null, Run = ledger.Run,
        };
        if (cache is null) return (answer, 0);
        var kept = cache.Add(answer);
        return (kept, kept.Run == ledger.Run ? kept.Number : 0);
    }
}
