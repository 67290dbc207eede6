using System.Diagnostics;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Generation;

namespace Rlgf.Serving.Engine;

/// <summary>
/// Writes the rows of many requests with a model and with adapters on it, on a thread of its own: whoever comes joins the batch that is being written, and leaves it when his rows are done or nobody waits for them.
/// </summary>
internal sealed class ModelEngine : IDisposable
{
    private readonly EngineSettings _settings;
    private readonly EngineMetrics _metrics;
    private readonly Thread _thread;

    /// <summary>Guards the fields below it, which other threads reach too; its pulse says that something has come.</summary>
    private readonly object _gate = new();
    private readonly LinkedList<Waiting> _queue = new();
    private readonly HashSet<ILanguageModel> _retired = [];
    private bool _isDisposed;

    // The thread's own.
    private readonly Dictionary<ILanguageModel, ContinuousBatch> _batches = [];
    private readonly List<Running> _running = [];

    /// <summary>Starts the thread.</summary>
    /// <param name="settings">What bounds it.</param>
    /// <param name="metrics">What is counted.</param>
    public ModelEngine(EngineSettings settings, EngineMetrics metrics)
    {
        (_settings, _metrics) = (settings, metrics);
        _thread = new Thread(Work) { IsBackground = true, Name = "rlgf serving" };
        _thread.Start();
        metrics.Observe(() => (_running.Count, WaitingRows));
    }

    /// <summary>The bounds.</summary>
    public EngineSettings Settings => _settings;

    private int WaitingRows
    {
        get
        {
            lock (_gate) return _queue.Count;
        }
    }

    /// <summary>Puts a request's rows into the queue.</summary>
    /// <param name="orders">The rows.</param>
    /// <returns>What becomes of them.</returns>
    /// <exception cref="QueueFullException">There is no room in the queue.</exception>
    public Writing Write(IReadOnlyList<RowOrder> orders)
    {
        var writing = new Writing(orders.Count);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            // Whoever has gone leaves the queue when his turn comes, and takes nobody's place until then.
            var waiting = _queue.Count(one => !one.Writing.IsGivenUp);
            if (waiting + orders.Count > _settings.QueueRows + Math.Max(0, _settings.BatchRows - _running.Count))
                throw new QueueFullException($"{waiting} rows are waiting and at most {_settings.QueueRows} may wait: try again later");
            for (var row = 0; row < orders.Count; row++) _queue.AddLast(new Waiting(orders[row], writing, row, Stopwatch.GetTimestamp()));
            Monitor.Pulse(_gate);
        }

        return writing;
    }

    /// <summary>Gives a model up once no row is written with it any more.</summary>
    public void Retire(ILanguageModel model)
    {
        lock (_gate)
        {
            _retired.Add(model);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Ends the thread; who still waits is told.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
        foreach (var model in _retired) model.Dispose();
    }

    private void Work()
    {
        while (WaitForWork())
        {
            foreach (var given in _running.Where(row => row.Waiting.Writing.IsGivenUp)) given.Row.Cancel();
            Admit();
            foreach (var (model, batch) in _batches.ToArray()) Step(model, batch);
            Publish();
            DisposeRetired();
        }

        var stopped = new OperationCanceledException("the server was stopped");
        foreach (var row in _running) row.Waiting.Writing.Fail(stopped);
        foreach (var row in _queue) row.Writing.Fail(stopped);
        foreach (var batch in _batches.Values) batch.Dispose();
    }

    /// <summary>Waits until there is something to do.</summary>
    /// <returns>False when the engine was disposed.</returns>
    private bool WaitForWork()
    {
        lock (_gate)
        {
            while (!_isDisposed && _running.Count == 0 && _queue.Count == 0 && _retired.Count == 0) Monitor.Wait(_gate);
            return !_isDisposed;
        }
    }

    /// <summary>Takes rows from the queue as far as there is room, but one whose prompt is scored only once a step, so that the others go on meanwhile.</summary>
    private void Admit()
    {
        while (TakeNext() is { } next)
        {
            try
            {
                if (next.Order.ScoresPrompt) next.Writing.Tell(new PromptScored(next.Row, TokenScoring.Score(next.Order.Model, next.Order.Prompt, next.Order.Alternatives)));
                if (next.Order.MaxNewTokens == 0) next.Writing.Tell(new RowDone(next.Row, Ended: false));
                else _running.Add(new Running(next, Add(next.Order)));
            }
#pragma warning disable CA1031 // One row's failure is not the others'.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                next.Writing.Fail(failure);
            }

            if (next.Order.ScoresPrompt) return;
        }
    }

    private BatchRow Add(RowOrder order)
    {
        if (!_batches.TryGetValue(order.Model, out var batch)) _batches[order.Model] = batch = new ContinuousBatch(order.Model);
        return batch.Add(new GenerationRequest(new TokenRow(order.Prompt, []), order.Stream, order.MaxNewTokens), order.Settings, order.Seed, order.Stop, order.Alternatives);
    }

    private Waiting? TakeNext()
    {
        lock (_gate)
        {
            while (_queue.First is { } first)
            {
                if (!first.Value.Writing.IsGivenUp && !HasRoomFor(first.Value.Order)) return null;
                _queue.RemoveFirst();
                if (first.Value.Writing.IsGivenUp) continue;
                _metrics.Admitted(Stopwatch.GetElapsedTime(first.Value.Since));
                return first.Value;
            }

            return null;
        }
    }

    private bool HasRoomFor(RowOrder order)
    {
        if (_running.Count == 0) return true;
        var longest = _running.Select(row => row.Waiting.Order).Append(order).Max(each => (long)each.Prompt.Length + each.MaxNewTokens);
        return _running.Count < _settings.BatchRows && longest * (_running.Count + 1) <= _settings.BatchTokens;
    }

    private void Step(ILanguageModel model, ContinuousBatch batch)
    {
        try
        {
            batch.Step();
        }
#pragma warning disable CA1031 // Whatever happened (no memory left, weights that are damaged), those who wait for these rows are told, and the others go on.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            foreach (var row in _running.Where(row => row.Waiting.Order.Model == model)) row.Waiting.Writing.Fail(failure);
            _running.RemoveAll(row => row.Waiting.Order.Model == model);
            batch.Dispose();
            _batches.Remove(model);
        }
    }

    private void Publish()
    {
        foreach (var running in _running)
        {
            for (; running.Published < running.Row.Written; running.Published++)
            {
                _metrics.Wrote(running.Published == 0 ? Stopwatch.GetElapsedTime(running.Waiting.Since) : null);
                running.Waiting.Writing.Tell(new TokenWritten(running.Waiting.Row, running.Row[running.Published]));
            }

            if (running.Row.IsDone) running.Waiting.Writing.Tell(new RowDone(running.Waiting.Row, running.Row.Ended || running.Row.Stopped));
        }

        _running.RemoveAll(row => row.Row.IsDone);
    }

    private void DisposeRetired()
    {
        ILanguageModel[] unused;
        lock (_gate)
        {
            unused = [.. _retired.Where(model => !_running.Exists(row => row.Waiting.Order.Model == model) && !_queue.Any(row => row.Order.Model == model))];
            _retired.ExceptWith(unused);
        }

        foreach (var model in unused)
        {
            if (_batches.Remove(model, out var batch)) batch.Dispose();
            model.Dispose();
        }
    }

    private sealed record Waiting(RowOrder Order, Writing Writing, int Row, long Since);

    private sealed record Running(Waiting Waiting, BatchRow Row)
    {
        public int Published { get; set; }
    }
}
