using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Polly;
using Polly.Retry;
using Polly.Timeout;
using Rlgf.Base;

namespace Rlgf.Rewards.Remote;

/// <summary>Where a reward is asked for over HTTP, and how patiently.</summary>
public sealed record EndpointSettings
{
    /// <summary>The address.</summary>
    public required Uri Address { get; init; }

    /// <summary>Sent as a bearer token; null for none.</summary>
    public string? Token { get; init; }

    /// <summary>The longest time for one attempt.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often a request is repeated that failed in a way that may pass.</summary>
    public int Retries { get; init; } = 3;

    /// <summary>The wait before the first repetition; it doubles each time, and a server may ask for another.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How many requests are on their way at once.</summary>
    public int InFlight { get; init; } = 4;
}

/// <summary>Posts JSON and gets JSON, with time limits, repetitions and a limit of requests at once.</summary>
internal sealed class JsonEndpoint : IDisposable
{
    private const long LongestAnswer = 16 << 20;
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    private readonly EndpointSettings _settings;
    private readonly HttpClient _http;
    private readonly ResiliencePipeline<(HttpStatusCode Status, string Text, TimeSpan? Wait)> _pipeline;
    private readonly SemaphoreSlim _places;

    public JsonEndpoint(EndpointSettings settings)
    {
        _settings = settings;
        _places = new SemaphoreSlim(settings.InFlight);
        // A redirect could send the token to another host.
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = LongestAnswer };
        var builder = new ResiliencePipelineBuilder<(HttpStatusCode Status, string Text, TimeSpan? Wait)>();
        if (settings.Retries > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<(HttpStatusCode Status, string Text, TimeSpan? Wait)>
            {
                MaxRetryAttempts = settings.Retries,
                BackoffType = DelayBackoffType.Exponential,
                Delay = settings.FirstWait,
                MaxDelay = LongestWait,
                UseJitter = true,
                ShouldHandle = arguments => ValueTask.FromResult(MayPass(arguments.Outcome)),
                DelayGenerator = arguments => ValueTask.FromResult(arguments.Outcome.Result.Wait is { } wait ? (wait < LongestWait ? wait : LongestWait) : (TimeSpan?)null),
            });
        }

        _pipeline = builder.AddTimeout(settings.Timeout).Build();
    }

    /// <summary>Posts a document.</summary>
    /// <returns>The answer, to be disposed.</returns>
    /// <exception cref="RowFailure">There is no answer, a refusal, or no JSON.</exception>
    public async Task<JsonDocument> PostAsync(string json, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var (status, text, _) = await _pipeline.ExecuteAsync(async stop => await SendAsync(json, stop).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
            if ((int)status is < 200 or >= 300) throw new RowFailure(string.Create(CultureInfo.InvariantCulture, $"{_settings.Address}: the server refused with {(int)status}: {RowJson.Short(text.Trim())}"));
            return JsonDocument.Parse(text);
        }
        catch (JsonException failure)
        {
            throw new RowFailure($"{_settings.Address}: the answer is {JsonFault.Words(failure)}");
        }
        catch (TimeoutRejectedException)
        {
            throw new RowFailure(FormattableString.Invariant($"{_settings.Address}: no answer within {_settings.Timeout.TotalSeconds} seconds"));
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            throw new RowFailure($"{_settings.Address}: no answer: {failure.Message}");
        }
        finally
        {
            _places.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _http.Dispose();
        _places.Dispose();
    }

    private async Task<(HttpStatusCode Status, string Text, TimeSpan? Wait)> SendAsync(string json, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _settings.Address) { Content = new StringContent(json, Encoding.UTF8, "application/json") };
        if (_settings.Token is { } token) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var text = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        return (response.StatusCode, text, response.Headers.RetryAfter?.Delta);
    }

    private static bool MayPass(Outcome<(HttpStatusCode Status, string Text, TimeSpan? Wait)> outcome) => outcome.Exception is { } failure
        ? failure is HttpRequestException or IOException or TimeoutRejectedException
        : outcome.Result.Status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError;
}
