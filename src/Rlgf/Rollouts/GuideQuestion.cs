using Rlgf.Guides;
using Rlgf.Rewards;

namespace Rlgf.Rollouts;

/// <summary>Requests that a guide works on, on another thread, while something else is computed here.</summary>
internal sealed class GuideQuestion : IDisposable
{
    private readonly CancellationTokenSource _cancellation;
    private readonly Task<IReadOnlyList<GuideContinuation?>> _answers;

    /// <summary>Asks.</summary>
    /// <param name="ask">Asks the guide; called at once, on another thread, so that a guide that blocks blocks nobody.</param>
    /// <param name="cancellationToken">Stops the guide, as <see cref="Dispose"/> does.</param>
    public GuideQuestion(Func<CancellationToken, Task<IReadOnlyList<GuideContinuation?>>> ask, CancellationToken cancellationToken)
    {
        _cancellation = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var token = _cancellation.Token;
        _answers = Task.Run(() => ask(token), CancellationToken.None);
    }

    /// <summary>Waits for the answers.</summary>
    /// <exception cref="Base.InputException">The guide failed.</exception>
    public IReadOnlyList<GuideContinuation?> Answers() => OwnCode.Wait(() => _answers);

    /// <summary>Stops the guide and waits until it has stopped: nothing of it goes on when a run has ended.</summary>
    public void Dispose()
    {
        _cancellation.Cancel();
        // What comes of an answer that nobody needs any more is of no interest, an error included: it comes again where the answer is needed.
        OwnCode.Wait(() => _answers.ContinueWith(task => task.Exception is null, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default));
        _cancellation.Dispose();
    }
}
