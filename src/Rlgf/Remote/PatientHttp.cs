using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.Http.Resilience;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace Rlgf.Remote;

/// <summary>
/// The one way in which rewards and guides ask a server: each attempt has its time, one that failed in a way that may pass is repeated after a growing and somewhat random wait, or after the one that the server
/// asks for, and while nearly all fail nobody asks.
/// </summary>
internal static class PatientHttp
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    /// <summary>How often a request is repeated at most, where that is fewer times than for others.</summary>
    public static readonly HttpRequestOptionsKey<int> MostRetries = new("rlgf most retries");

    /// <summary>Makes a client. Its answers are whole, also those that were streamed: what goes wrong while one is read is a failure of the attempt as any other.</summary>
    /// <param name="settings">Where and how patiently.</param>
    /// <param name="readWhole">Reads all of an attempt's answer. A <see cref="HttpRequestException"/> or <see cref="IOException"/> says that it may be another time.</param>
    /// <param name="failed">Told of each attempt that is repeated; null for nobody.</param>
    public static HttpClient Create(EndpointSettings settings, Func<HttpResponseMessage, CancellationToken, Task> readWhole, Action<FailedAttempt>? failed = null)
    {
        var builder = new ResiliencePipelineBuilder<HttpResponseMessage>();
        if (settings.Retries > 0)
        {
            builder.AddRetry(new HttpRetryStrategyOptions
            {
                MaxRetryAttempts = settings.Retries,
                BackoffType = DelayBackoffType.Exponential,
                Delay = settings.FirstWait,
                MaxDelay = LongestWait,
                UseJitter = true,
                ShouldHandle = arguments => ValueTask.FromResult(
                    (HttpClientResiliencePredicates.IsTransient(arguments.Outcome) || arguments.Outcome.Exception is IOException or BrokenCircuitException)
                    && arguments.AttemptNumber < RetriesOf(arguments.Context, settings)),
                // As the server asks, but within bounds: the package's own way has none.
                DelayGenerator = arguments => ValueTask.FromResult(AskedWait(arguments.Outcome) is { } wait ? TimeSpan.FromTicks(Math.Clamp(wait.Ticks, 0, LongestWait.Ticks)) : (TimeSpan?)null),
                OnRetry = arguments =>
                {
                    failed?.Invoke(FailedAttempt.Of(arguments, settings, LongestWait));
                    return ValueTask.CompletedTask;
                },
            });
        }

        // Many failures among many successes are waited out one by one; a server that is down is left alone.
        builder.AddCircuitBreaker(new HttpCircuitBreakerStrategyOptions { FailureRatio = 0.9, MinimumThroughput = 20, SamplingDuration = TimeSpan.FromSeconds(30), BreakDuration = TimeSpan.FromSeconds(5) });
        builder.AddTimeout(new HttpTimeoutStrategyOptions { Timeout = settings.Timeout });
        var sockets = new SocketsHttpHandler
        {
            // A redirect could send the token to another host, and a proxy reads what isn't encrypted.
            AllowAutoRedirect = false,
            UseProxy = settings.Address.Scheme == Uri.UriSchemeHttps,
            ConnectTimeout = settings.Timeout,
        };
        var client = new HttpClient(new ResilienceHandler(builder.Build()) { InnerHandler = new WholeAnswers(readWhole) { InnerHandler = sockets } }) { Timeout = Timeout.InfiniteTimeSpan };
        if (settings.Token is { } token) client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    /// <summary>A body as text: by the character set that it names, or as UTF-8 where it names none or one that nobody knows.</summary>
    public static async Task<string> TextAsync(HttpContent content, CancellationToken cancellationToken)
    {
        try
        {
            return await content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (InvalidOperationException)
        {
            return Encoding.UTF8.GetString(await content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false));
        }
    }

    /// <summary>That there was no answer, as part of a sentence; null for what is no failure of the asking.</summary>
    public static string? Problem(Exception failure, EndpointSettings settings) => failure switch
    {
        TimeoutRejectedException => FormattableString.Invariant($"no answer within {settings.Timeout.TotalSeconds} seconds"),
        BrokenCircuitException => "no answer: nearly all requests failed, so that it wasn't asked again",
        HttpRequestException or IOException => $"no answer: {settings.WithoutToken(failure.Message)}",
        _ => null,
    };

    /// <summary>What is wrong with asking an address without encryption, as part of a sentence; null where nothing is: it has some, is this machine's, or the user consents.</summary>
    /// <param name="address">The address.</param>
    /// <param name="isAllowed">The user's consent.</param>
    /// <param name="sent">What could be read on the way.</param>
    public static string? EncryptionProblem(Uri address, bool isAllowed, string sent) => address.Scheme == Uri.UriSchemeHttp && !address.IsLoopback && !isAllowed
        ? $"{address.Host} would be asked without encryption, so that {sent} can be read on the way: use https, or consent by allow_http: true"
        : null;

    /// <summary>Whether what was refused with a status may be granted another time.</summary>
    public static bool MayPass(HttpStatusCode status)
    {
        using var response = new HttpResponseMessage(status);
        return HttpClientResiliencePredicates.IsTransient(Outcome.FromResult(response));
    }

    /// <summary>That an answer is a refusal, as part of a sentence.</summary>
    /// <param name="status">Its status.</param>
    /// <param name="text">What the server said, shortened by the caller.</param>
    public static string Refusal(int status, string text) => string.Create(CultureInfo.InvariantCulture, $"the server refused with {status}: {text}");

    /// <summary>How often a request is repeated at most.</summary>
    internal static int RetriesOf(ResilienceContext context, EndpointSettings settings) =>
        context.GetRequestMessage()?.Options.TryGetValue(MostRetries, out var most) == true ? Math.Min(most, settings.Retries) : settings.Retries;

    private static TimeSpan? AskedWait(Outcome<HttpResponseMessage> outcome) => outcome.Exception is BrokenCircuitException { RetryAfter: { } untilClosed } ? untilClosed
        : outcome.Result?.Headers.RetryAfter is not { } asked ? null
        : asked.Delta ?? asked.Date - DateTimeOffset.UtcNow;

    /// <summary>Reads answers to their end within the attempt.</summary>
    private sealed class WholeAnswers(Func<HttpResponseMessage, CancellationToken, Task> readWhole) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            try
            {
                await readWhole(response, cancellationToken).ConfigureAwait(false);
                return response;
            }
            catch
            {
                // Closed at once: a server that is still writing stops, and costs no more.
                response.Dispose();
                throw;
            }
        }
    }
}
