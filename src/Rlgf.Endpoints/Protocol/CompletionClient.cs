using System.Globalization;
using System.Net;
using System.Text;
using Polly.CircuitBreaker;
using Polly.Timeout;
using Rlgf.Remote;
using Rlgf.Rewards.Remote;

namespace Rlgf.Endpoints.Protocol;

/// <summary>What became of a question that got no answer.</summary>
/// <param name="problem">What, as part of a sentence, after the address.</param>
/// <param name="status">The status of a refusal; null where there was no answer.</param>
internal sealed class EndpointRefusal(string problem, HttpStatusCode? status) : Exception(problem)
{
    /// <summary>The status of a refusal; null where there was no answer.</summary>
    public HttpStatusCode? Status { get; } = status;
}

/// <summary>Asks an endpoint.</summary>
internal sealed class CompletionClient : IDisposable
{
    private const long LongestText = 1 << 20;
    private const long BytesOfToken = 4096;

    /// <summary>Of one that is written as an escape.</summary>
    private const long BytesOfCharacter = 6;
    private static readonly HttpRequestOptionsKey<Exchange> ExchangeKey = new(nameof(Exchange));

    private readonly EndpointSettings _settings;
    private readonly HttpClient _http;
    private readonly Action<string> _failed;
    private readonly Action<Question, string> _wasted;

    /// <summary>Asks nothing yet.</summary>
    /// <param name="settings">The endpoint, such as <c>http://localhost:8000/v1/</c>.</param>
    /// <param name="failed">Told of each attempt that failed: its kind.</param>
    /// <param name="wasted">Told of what was written of an answer that broke off or was none.</param>
    public CompletionClient(EndpointSettings settings, Action<string> failed, Action<Question, string> wasted)
    {
        (_settings, _failed, _wasted) = (settings, failed, wasted);
        _http = PatientHttp.Create(settings, ReadAsync, attempt =>
        {
            failed(KindOf(attempt.Response, attempt.Failure));
            Repeated?.Invoke(Words(attempt));
        });
    }

    /// <summary>Whether usage figures are asked for at the end of a stream.</summary>
    public bool AsksUsage { get; set; } = true;

    /// <summary>Told in words of each attempt that is repeated; null for nobody.</summary>
    public Action<string>? Repeated { get; set; }

    /// <summary>Asks, again where that may help.</summary>
    /// <exception cref="EndpointRefusal">There is no answer.</exception>
    public async Task<Completion> AskAsync(Question question, CancellationToken cancellationToken)
    {
        var exchange = new Exchange(question);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_settings.Address, question.Path)) { Content = new StringContent(question.ToBody(AsksUsage), Encoding.UTF8, "application/json") };
        request.Options.Set(ExchangeKey, exchange);
        if (question.Retries is { } retries) request.Options.Set(PatientHttp.MostRetries, retries);
        try
        {
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            if (response.IsSuccessStatusCode) return exchange.Answer!;
            _failed(KindOf(response, null));
            throw await RefusalOfAsync(response, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is not EndpointRefusal && PatientHttp.Problem(failure, _settings) is { } problem)
        {
            _failed(KindOf(null, failure));
            throw new EndpointRefusal(failure is CompletionFault ? _settings.WithoutToken(failure.Message) : problem, null);
        }
    }

    /// <summary>Makes sure that the endpoint is there and takes the key, by a request that costs nothing: whether it lists models is of no interest.</summary>
    /// <exception cref="EndpointRefusal">It isn't, or doesn't.</exception>
    public async Task RequireThereAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _http.GetAsync(new Uri(_settings.Address, "models"), cancellationToken).ConfigureAwait(false);
            if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden) throw await RefusalOfAsync(response, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is not EndpointRefusal && PatientHttp.Problem(failure, _settings) is { } problem)
        {
            throw new EndpointRefusal(problem, null);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>What a status is counted as.</summary>
    public static string KindOf(HttpStatusCode status) => FormattableString.Invariant($"status {(int)status}");

    private async Task<EndpointRefusal> RefusalOfAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var said = ErrorText.Of(await PatientHttp.TextAsync(response.Content, cancellationToken).ConfigureAwait(false));
        return new EndpointRefusal(PatientHttp.Refusal((int)response.StatusCode, RowJson.Short(_settings.WithoutToken(said))), response.StatusCode);
    }

    private async Task ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (!response.IsSuccessStatusCode || !response.RequestMessage!.Options.TryGetValue(ExchangeKey, out var exchange))
        {
            await response.Content.LoadIntoBufferAsync(LongestText, cancellationToken).ConfigureAwait(false);
            return;
        }

        var reader = new CompletionReader(MostBytes(exchange.Question));
        try
        {
            exchange.Answer = Checked(await reader.ReadAsync(response.Content, cancellationToken).ConfigureAwait(false), exchange.Question);
        }
        catch (Exception failure)
        {
            if (reader.TextSoFar is { Length: > 0 } text) _wasted(exchange.Question, text);
            // What would be refused again is not asked again.
            if (failure is CompletionFault { Refusal: var (status, said) } && !PatientHttp.MayPass(status))
            {
                _failed(KindOf(status));
                throw new EndpointRefusal(PatientHttp.Refusal((int)status, RowJson.Short(_settings.WithoutToken(said))), status);
            }

            throw;
        }
    }

    /// <summary>Much more than an answer has: each token in an event of its own, what was given at its beginning, and figures of whatever kind.</summary>
    private static long MostBytes(Question question) => LongestText + (BytesOfToken * question.Decoding.MaxTokens * question.Choices) + (BytesOfCharacter * question.Text.Length);

    private static Completion Checked(Completion answer, Question question)
    {
        // Fewer than several are as good as they are: some servers give one whatever is asked.
        if (answer.Choices.Count > question.Choices)
            throw new CompletionFault(CompletionFault.ChoiceCount, $"the answer has {answer.Choices.Count} choices, and {(question.Choices == 1 ? "one was" : $"{question.Choices} were")} asked for");
        var most = (long)question.Decoding.MaxTokens * question.Choices;
        return answer.Usage is { CompletionTokens: var written } && written > most
            ? throw new CompletionFault(CompletionFault.TooLong, $"the answer has {written} tokens, and {most} at most were asked for")
            : answer;
    }

    private string Words(FailedAttempt attempt)
    {
        var what = attempt.Failure is null ? KindOf(attempt.Response!.StatusCode) : PatientHttp.Problem(attempt.Failure, _settings) ?? KindOf(null, attempt.Failure);
        return string.Create(CultureInfo.InvariantCulture,
            $"{_settings.Address}: {what}; asked again in {Seconds(attempt.Wait)}, {attempt.RetriesLeft} more {(attempt.RetriesLeft == 1 ? "time" : "times")} at most, about {Seconds(attempt.TimeLeft)} in all");
    }

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.#} s");

    private static string KindOf(HttpResponseMessage? response, Exception? failure) => failure switch
    {
        null => KindOf(response!.StatusCode),
        CompletionFault { Refusal: var (status, _) } => KindOf(status),
        CompletionFault fault => fault.Kind,
        TimeoutRejectedException => CompletionFault.TimedOut,
        BrokenCircuitException => CompletionFault.Broken,
        HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } or IOException => CompletionFault.Unfinished,
        _ => CompletionFault.Connection,
    };

    /// <summary>A question with what is answered.</summary>
    private sealed class Exchange(Question question)
    {
        public Question Question { get; } = question;

        public Completion? Answer { get; set; }
    }
}
