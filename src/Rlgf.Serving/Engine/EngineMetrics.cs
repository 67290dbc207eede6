using System.Diagnostics.Metrics;

namespace Rlgf.Serving.Engine;

/// <summary>What an engine counts, as instruments that OpenTelemetry and <c>dotnet-counters</c> read; names as in OpenTelemetry's conventions for generative AI where these have one.</summary>
internal sealed class EngineMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Rlgf.Serving";

    private readonly Meter _meter = new(MeterName);
    private readonly Histogram<double> _queueTime;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<double> _duration;
    private readonly Counter<long> _written;
    private readonly Counter<long> _read;
    private readonly KeyValuePair<string, object?> _model;

    /// <summary>Makes the instruments.</summary>
    /// <param name="model">The model's name, a tag of each number.</param>
    public EngineMetrics(string model)
    {
        _model = new("gen_ai.request.model", model);
        _queueTime = _meter.CreateHistogram<double>("rlgf.serving.queue.duration", "s", "How long a row waited for its place in the batch.");
        _firstToken = _meter.CreateHistogram<double>("gen_ai.server.time_to_first_token", "s", "From a row's coming to its first token.");
        _duration = _meter.CreateHistogram<double>("gen_ai.server.request.duration", "s", "From a request's coming to the end of its answer.");
        _written = _meter.CreateCounter<long>("rlgf.serving.tokens.written", "{token}", "Tokens that were written.");
        _read = _meter.CreateCounter<long>("rlgf.serving.tokens.read", "{token}", "Tokens of prompts.");
    }

    /// <summary>Lets the instruments of rows ask.</summary>
    /// <param name="rows">Gives how many rows are being written and how many wait.</param>
    public void Observe(Func<(int Running, int Waiting)> rows)
    {
        _meter.CreateObservableGauge("rlgf.serving.rows.running", () => new Measurement<int>(rows().Running, _model), "{row}", "Rows that are being written.");
        _meter.CreateObservableGauge("rlgf.serving.rows.waiting", () => new Measurement<int>(rows().Waiting, _model), "{row}", "Rows that wait for a place in the batch.");
    }

    /// <summary>A row got its place.</summary>
    public void Admitted(TimeSpan waited) => _queueTime.Record(waited.TotalSeconds, _model);

    /// <summary>A token was written.</summary>
    /// <param name="sinceStart">For a row's first: since the row came.</param>
    public void Wrote(TimeSpan? sinceStart)
    {
        _written.Add(1, _model);
        if (sinceStart is { } time) _firstToken.Record(time.TotalSeconds, _model);
    }

    /// <summary>A request was answered, or not.</summary>
    /// <param name="operation">What was asked for.</param>
    /// <param name="status">HTTP's status.</param>
    /// <param name="duration">How long it took.</param>
    /// <param name="promptTokens">Tokens of its prompts.</param>
    public void Answered(string operation, int status, TimeSpan duration, int promptTokens)
    {
        _read.Add(promptTokens, _model);
        _duration.Record(duration.TotalSeconds, _model, new("gen_ai.operation.name", operation), new("http.response.status_code", status));
    }

    public void Dispose() => _meter.Dispose();
}
