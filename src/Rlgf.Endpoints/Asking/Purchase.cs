using Rlgf.Endpoints.Caching;

namespace Rlgf.Endpoints.Asking;

/// <summary>Answers that are on their way, for whoever asks for one of them: who no longer waits stops nobody else, and when nobody waits any more it is stopped.</summary>
/// <param name="buy">Buys them: a task for each. Called once, when the first is waited for.</param>
internal sealed class Purchase(Func<CancellationToken, Task<IReadOnlyList<Task<CachedAnswer>>>> buy) : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private Task<IReadOnlyList<Task<CachedAnswer>>>? _bought;

    /// <summary>What it answers; changed, as the next, by whoever holds the lock of all purchases.</summary>
    public List<(string Question, long Sample)> Keys { get; } = [];

    /// <summary>How many wait for it.</summary>
    public int Askers { get; set; }

    /// <summary>One of the answers.</summary>
    /// <param name="place">Which.</param>
    /// <param name="cancellationToken">Stops waiting, and nothing else.</param>
    public async Task<CachedAnswer> AnswerAsync(int place, CancellationToken cancellationToken)
    {
        var answers = await Bought().WaitAsync(cancellationToken).ConfigureAwait(false);
        return await answers[place].WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops what is still on its way, and ends when nothing is.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        var bought = Bought();
        await ((Task)bought).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!bought.IsCompletedSuccessfully) return;
        foreach (var answer in await bought.ConfigureAwait(false)) await ((Task)answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <inheritdoc/>
    public void Dispose() => _stop.Dispose();

    private Task<IReadOnlyList<Task<CachedAnswer>>> Bought()
    {
        // On another thread: who buys counts tokens first, and nobody should wait for that under a lock.
        lock (_lock) return _bought ??= Task.Run(() => buy(_stop.Token));
    }
}
