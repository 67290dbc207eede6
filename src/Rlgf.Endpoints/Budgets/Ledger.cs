using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Endpoints.Budgets;

/// <summary>What was spent.</summary>
/// <param name="Requests">Answers that were bought.</param>
/// <param name="PromptTokens">Tokens that were read, those of answers that broke off included.</param>
/// <param name="CompletionTokens">Tokens that were written, those of answers that broke off included.</param>
internal readonly record struct Spending(long Requests, long PromptTokens, long CompletionTokens)
{
    /// <summary>Tokens read and written.</summary>
    public long Tokens => PromptTokens + CompletionTokens;

    /// <summary>Both together.</summary>
    public static Spending operator +(Spending one, Spending other) => new(one.Requests + other.Requests, one.PromptTokens + other.PromptTokens, one.CompletionTokens + other.CompletionTokens);

    /// <summary>One without the other.</summary>
    public static Spending operator -(Spending one, Spending other) => new(one.Requests - other.Requests, one.PromptTokens - other.PromptTokens, one.CompletionTokens - other.CompletionTokens);
}

/// <summary>
/// Holds spending to a budget. The most that a request may cost is set aside before it is sent, what is on its way included, so that the budget holds whatever comes back; where a server counts more tokens than were
/// expected, it expects as many more of the next ones.
/// </summary>
/// <param name="limits">What may be spent.</param>
/// <param name="prices">What tokens cost; null where nothing is known of it.</param>
internal sealed class Ledger(Limits limits, Prices? prices)
{
    private readonly Lock _lock = new();
    private Spending _spent;
    private Spending _setAside;
    private int _open;
    private double _promptFactor = 1;
    private TaskCompletionSource _changed = NewSource();

    /// <summary>Held while an answer is put into the cache and counted, so that what is saved has counted all answers up to a number.</summary>
    public Lock Booking { get; } = new();

    /// <summary>Names the run whose spending this is, in a cache that several share.</summary>
    public string Run { get; private set; } = Guid.NewGuid().ToString("N");

    /// <summary>The last of this run's answers in the cache that is counted here.</summary>
    public long Through { get; private set; }

    /// <summary>What was spent.</summary>
    public Spending Spent
    {
        get
        {
            lock (_lock) return _spent;
        }
    }

    /// <summary>What that cost; null without prices.</summary>
    public double? Cost => prices is null ? null : CostOf(Spent);

    /// <summary>The share of the budget that is left, of its tightest limit; null without limits.</summary>
    public double? Left => !limits.Any ? null : Math.Max(0, 1 - Shares(Spent).Max());

    /// <summary>Whether what was spent and what is set aside keep within the limits: if not, a request that broke off must not be repeated, since what it wrote in vain has used up what was set aside for it.</summary>
    public bool Holds
    {
        get
        {
            lock (_lock) return Shares(_spent + _setAside).All(share => share <= 1);
        }
    }

    /// <summary>Sets aside what a request may cost, after waiting where requests on their way decide whether there is enough.</summary>
    /// <param name="promptTokens">Tokens of what is asked, as expected.</param>
    /// <param name="mostTokens">The most tokens of the answer.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <param name="answers">How many answers.</param>
    /// <returns>What was set aside; null where the budget is spent.</returns>
    public async Task<Spending?> SetAsideAsync(long promptTokens, long mostTokens, CancellationToken cancellationToken, int answers = 1)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                var needed = new Spending(answers, (long)Math.Ceiling(promptTokens * _promptFactor), mostTokens);
                if (Shares(_spent + _setAside + needed).All(share => share <= 1))
                {
                    (_setAside, _open) = (_setAside + needed, _open + 1);
                    return needed;
                }

                if (_open == 0) return null;
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A request has ended: what was set aside for it is given back, and what it cost is spent.</summary>
    /// <param name="setAside">What was set aside.</param>
    /// <param name="spent">What it cost; nothing where there was no answer.</param>
    /// <param name="expectedPrompt">The tokens that were expected of what was asked.</param>
    /// <param name="numbers">The numbers of its answers in the cache; null where they are in none.</param>
    public void End(Spending setAside, Spending spent, long expectedPrompt = 0, IReadOnlyList<long>? numbers = null)
    {
        lock (_lock)
        {
            (_setAside, _open, _spent) = (_setAside - setAside, _open - 1, _spent + spent);
            // Counted now, so not again when they are found there.
            _recounted.UnionWith(numbers ?? []);
            Through = Math.Max(Through, (numbers ?? []).DefaultIfEmpty().Max());
            if (expectedPrompt > 0) _promptFactor = Math.Max(_promptFactor, spent.PromptTokens / (double)expectedPrompt);
            Change();
        }
    }

    /// <summary>Counts what was paid for otherwise: what a server wrote before it broke off.</summary>
    public void Add(Spending spent)
    {
        lock (_lock) _spent += spent;
    }

    /// <summary>Counts an answer of the cache that this run bought and has not counted, as a kill came before the next checkpoint.</summary>
    public void Recount(string run, long number, Spending spent)
    {
        lock (_lock)
        {
            if (run != Run || number <= _restoredThrough || !_recounted.Add(number)) return;
            _spent += spent;
            Through = Math.Max(Through, number);
        }
    }

    /// <summary>The state for a checkpoint.</summary>
    public byte[] Save()
    {
        lock (Booking)
        {
            lock (_lock) return JsonSerializer.SerializeToUtf8Bytes(new State(Run, Through, _spent.Requests, _spent.PromptTokens, _spent.CompletionTokens));
        }
    }

    /// <summary>Goes on from a state. What this process has spent is not forgotten: money that is gone stays gone.</summary>
    /// <exception cref="InputException">It is no state of a ledger.</exception>
    public void Restore(byte[] bytes)
    {
        State state;
        try
        {
            state = JsonSerializer.Deserialize<State>(bytes) ?? throw new JsonException("null");
        }
        catch (JsonException failure)
        {
            throw new InputException("the checkpoint's state of the guide is no ledger of an endpoint; resume with the recipe it was made with", failure);
        }

        lock (_lock)
        {
            // A state of this very process: it holds less than is known here.
            if (state.Run == Run) return;
            _spent += new Spending(state.Requests, state.PromptTokens, state.CompletionTokens);
            (Run, Through, _restoredThrough) = (state.Run, state.Through, state.Through);
            Change();
        }
    }

    private readonly HashSet<long> _recounted = [];
    private long _restoredThrough = long.MaxValue;

    private double CostOf(Spending spending) => prices?.Of(spending.PromptTokens, spending.CompletionTokens) ?? 0;

    /// <summary>The share of each limit that spending takes.</summary>
    private IEnumerable<double> Shares(Spending spending)
    {
        if (limits.Tokens is { } tokens) yield return spending.Tokens / (double)tokens;
        if (limits.Requests is { } requests) yield return spending.Requests / (double)requests;
        if (limits.Cost is { } cost) yield return CostOf(spending) / cost;
    }

    private void Change()
    {
        var changed = _changed;
        _changed = NewSource();
        changed.SetResult();
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed record State(string Run, long Through, long Requests, long PromptTokens, long CompletionTokens);
}
