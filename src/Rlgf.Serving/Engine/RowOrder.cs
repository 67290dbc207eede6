using System.Threading.Channels;
using Rlgf.Models;
using Rlgf.Models.Generation;

namespace Rlgf.Serving.Engine;

/// <summary>A row to write.</summary>
/// <param name="Model">Who writes it: the engine's model, or one with an adapter on it.</param>
/// <param name="Prompt">Its prompt's ids.</param>
/// <param name="MaxNewTokens">The most tokens to write; 0 where only the prompt is scored.</param>
/// <param name="Settings">How tokens are chosen.</param>
/// <param name="Seed">With <paramref name="Stream"/>, names the row's random numbers.</param>
/// <param name="Stream">Its number among the rows of a request.</param>
internal sealed record RowOrder(ILanguageModel Model, int[] Prompt, int MaxNewTokens, SamplingSettings Settings, ulong Seed, ulong Stream)
{
    /// <summary>Texts that end it; null for none.</summary>
    public StopTexts? Stop { get; init; }

    /// <summary>How many of the most likely tokens are noted at each place.</summary>
    public int Alternatives { get; init; }

    /// <summary>Whether the prompt's own tokens are scored first.</summary>
    public bool ScoresPrompt { get; init; }
}

/// <summary>Something that happened to a row of a request.</summary>
/// <param name="Row">Its number in the request.</param>
internal abstract record RowEvent(int Row);

/// <summary>The prompt was scored.</summary>
/// <param name="Row">Its number in the request.</param>
/// <param name="Scores">All tokens but the first.</param>
internal sealed record PromptScored(int Row, IReadOnlyList<WrittenToken> Scores) : RowEvent(Row);

/// <summary>A token was written.</summary>
/// <param name="Row">Its number in the request.</param>
/// <param name="Token">The token.</param>
internal sealed record TokenWritten(int Row, WrittenToken Token) : RowEvent(Row);

/// <summary>Nothing more comes.</summary>
/// <param name="Row">Its number in the request.</param>
/// <param name="Ended">Whether an end token or a stop text ended it, rather than its limit.</param>
internal sealed record RowDone(int Row, bool Ended) : RowEvent(Row);

/// <summary>The rows of a request while they are written. Disposing it gives up what isn't written yet.</summary>
internal sealed class Writing : IDisposable
{
    private readonly Channel<RowEvent> _events = Channel.CreateUnbounded<RowEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private int _unfinished;
    private volatile bool _isGivenUp;

    public Writing(int rows) => _unfinished = rows;

    /// <summary>Whether nobody waits for the rows any more.</summary>
    public bool IsGivenUp => _isGivenUp;

    /// <summary>What happens to the rows, until all are done.</summary>
    public IAsyncEnumerable<RowEvent> ReadAllAsync(CancellationToken cancellationToken) => _events.Reader.ReadAllAsync(cancellationToken);

    /// <summary>Tells who waits. Called by the engine's thread only.</summary>
    public void Tell(RowEvent happened)
    {
        _events.Writer.TryWrite(happened);
        if (happened is RowDone && --_unfinished == 0) _events.Writer.TryComplete();
    }

    /// <summary>Ends all rows with an error.</summary>
    public void Fail(Exception failure) => _events.Writer.TryComplete(failure);

    public void Dispose() => _isGivenUp = true;
}
