using Rlgf.Base;
using static TorchSharp.torch;

namespace Rlgf.Models.Generation;

/// <summary>A token as it was written.</summary>
/// <param name="Id">Its id; an end token is one too.</param>
/// <param name="RawLogProb">Its log-probability under the model's own distribution (softmax of the raw logits), nats.</param>
/// <param name="Alternatives">The most likely tokens at its place, the most likely first; as many as were asked for.</param>
public readonly record struct WrittenToken(int Id, float RawLogProb, IReadOnlyList<TokenLogProb> Alternatives);

/// <summary>A row of a <see cref="ContinuousBatch"/>.</summary>
public sealed class BatchRow
{
    internal BatchRow(ResponseInProgress response) => Response = response;

    internal ResponseInProgress Response { get; }

    /// <summary>Number of tokens written.</summary>
    public int Written => Response.Written;

    /// <summary>Whether nothing more will be written.</summary>
    public bool IsDone => Response.IsDone;

    /// <summary>Whether an end token was written.</summary>
    public bool Ended => Response.Ended;

    /// <summary>Whether a stop text ended the row.</summary>
    public bool Stopped => Response.Stopped;

    /// <summary>A token that was written.</summary>
    /// <param name="place">Which, from 0.</param>
    public WrittenToken this[int place] => Response.At(place);

    /// <summary>Ends the row: it leaves the batch at the next step.</summary>
    public void Cancel() => Response.Cancel();
}

/// <summary>
/// Rows that come and go while others are being written, each with settings and a seed of its own. What is written for a row is what <see cref="TextGenerator"/> writes for it alone with the same settings,
/// seed and stream, but for rounding inside the model. Used by one thread.
/// </summary>
/// <param name="model">The model, in evaluation mode.</param>
public sealed class ContinuousBatch(IDecodingModel model) : IDisposable
{
    private readonly List<ResponseInProgress> _waiting = [];

    /// <summary>Usually one; more where the model's decoders can't take each other's rows.</summary>
    private readonly List<Group> _groups = [];

    /// <summary>Whether there is nothing to write.</summary>
    public bool IsEmpty => _waiting.Count == 0 && _groups.Count == 0;

    /// <summary>Adds a row, which the next step begins to write.</summary>
    /// <param name="request">The row.</param>
    /// <param name="settings">How its tokens are chosen; not by a beam search. Rows with the same object are handled together.</param>
    /// <param name="seed">With the request's stream, names the row's random numbers.</param>
    /// <param name="stop">Texts that end it; null for none.</param>
    /// <param name="alternatives">How many of the most likely tokens are noted at each step.</param>
    /// <exception cref="InputException">A setting is out of range, or the row doesn't fit the model's context.</exception>
    public BatchRow Add(GenerationRequest request, SamplingSettings settings, ulong seed, StopTexts? stop = null, int alternatives = 0)
    {
        ArgumentNullException.ThrowIfNull(settings);
        settings.Validate(model.Shape.Vocabulary);
        if (settings.Beams is not null) throw new ArgumentException("Beams are not searched for token by token.", nameof(settings));
        var response = new ResponseInProgress(request, settings, model.Shape, seed, stop) { Alternatives = alternatives };
        TextGenerator.RequireRoom([response], model.Shape);
        if (!response.IsDone) _waiting.Add(response);
        return new BatchRow(response);
    }

    /// <summary>Reads the rows that were added since the last step, and writes one token in each row.</summary>
    /// <exception cref="InputException">The model's logits are not numbers.</exception>
    public void Step()
    {
        using var noGradient = no_grad();
        foreach (var group in _groups.ToArray()) GoOn(group);
        ReadWaiting();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var group in _groups) group.Decoder.Dispose();
        _groups.Clear();
    }

    private void GoOn(Group group)
    {
        if (group.Rows.TrueForAll(row => row.IsDone))
        {
            group.Decoder.Dispose();
            _groups.Remove(group);
            return;
        }

        DropFinished(group);
        group.Decoder.Append(group.Rows.Select(row => row.LastToken).ToArray());
        TokenChoice.Choose(group.Decoder.NextLogits, group.Rows);
    }

    private void ReadWaiting()
    {
        var rows = _waiting.FindAll(row => !row.IsDone);
        _waiting.Clear();
        if (rows.Count == 0) return;
        var group = new Group(TextGenerator.ReadBeginnings(model, rows), rows);
        TokenChoice.Choose(group.Decoder.NextLogits, rows);
        foreach (var other in _groups)
        {
            if (!other.Decoder.TryJoin(group.Decoder)) continue;
            other.Rows.AddRange(rows);
            return;
        }

        _groups.Add(group);
    }

    /// <summary>At once: others come all the time, so that a row that went on unread could outgrow the model's context.</summary>
    private static void DropFinished(Group group)
    {
        if (!group.Rows.Exists(row => row.IsDone)) return;
        group.Decoder.Select(Enumerable.Range(0, group.Rows.Count).Where(i => !group.Rows[i].IsDone).ToArray());
        group.Rows.RemoveAll(row => row.IsDone);
    }

    private sealed record Group(IDecoder Decoder, List<ResponseInProgress> Rows);
}
