using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using Polly;
using Polly.Retry;
using Rlgf.Base;

namespace Rlgf.Models.Hub;

/// <summary>A file on a hub, as the server describes it.</summary>
/// <param name="Name">Its path in the repository.</param>
/// <param name="Etag">The server's name for its content: SHA-256 of a large file, git's id of a small one.</param>
/// <param name="Bytes">Its length.</param>
internal sealed record HubFile(string Name, string Etag, long Bytes);

/// <summary>
/// Asks a hub for what it has. Redirects are followed here rather than by the library, so that the token goes to the hub alone; requests that fail in a way that may pass are repeated, after the wait that the
/// server asks for or a growing one.
/// </summary>
internal sealed partial class HubClient : IDisposable
{
    private const int MostRedirects = 10;

    private readonly HubSettings _settings;
    private readonly HttpClient _http;
    private readonly ResiliencePipeline<HttpResponseMessage> _retries;

    public HubClient(HubSettings settings)
    {
        _settings = settings;
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(30), AutomaticDecompression = DecompressionMethods.None }) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("rlgf", typeof(HubClient).Assembly.GetName().Version?.ToString(3)));
        _retries = new ResiliencePipelineBuilder<HttpResponseMessage>().AddRetry(new RetryStrategyOptions<HttpResponseMessage>
        {
            MaxRetryAttempts = settings.Retries,
            BackoffType = DelayBackoffType.Exponential,
            Delay = settings.FirstWait,
            MaxDelay = settings.LongestWait,
            UseJitter = true,
            ShouldHandle = arguments => ValueTask.FromResult(MayPass(arguments.Outcome) && !(AskedWait(arguments.Outcome.Result) > settings.LongestWait)),
            DelayGenerator = arguments => ValueTask.FromResult(AskedWait(arguments.Outcome.Result)),
            OnRetry = arguments =>
            {
                arguments.Outcome.Result?.Dispose();
                return ValueTask.CompletedTask;
            },
        }).Build();
    }

    /// <summary>The commit that a revision stands at, and the files of it.</summary>
    /// <exception cref="InputException">There is no such model or revision, it may not be read, or the answer is no hub's.</exception>
    public async Task<(string Commit, IReadOnlyList<string> Files)> ListAsync(HubModel model, CancellationToken stop)
    {
        var address = new Uri(_settings.Endpoint, $"api/models/{model.Name}/revision/{Uri.EscapeDataString(model.Revision)}");
        using var response = await SendAsync(HttpMethod.Get, address, null, $"{model.Name} at {model.Revision}", stop).ConfigureAwait(false);
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
            using var json = await JsonDocument.ParseAsync(body, cancellationToken: stop).ConfigureAwait(false);
            var commit = json.RootElement.GetProperty("sha").GetString() ?? "";
            if (!CommitId().IsMatch(commit)) throw new JsonException($"'{commit}' is no commit");
            return (commit, [.. json.RootElement.GetProperty("siblings").EnumerateArray().Select(file => HubFiles.RequireInside(file.GetProperty("rfilename").GetString() ?? "", model.Name))]);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or HttpRequestException or IOException)
        {
            throw new InputException($"{address}: the answer is not a hub's: {(failure is JsonException fault ? JsonFault.Words(fault) : failure.Message)}", failure);
        }
    }

    /// <summary>Length and content's name of a file.</summary>
    /// <exception cref="InputException">There is no such file, it may not be read, or the server doesn't say.</exception>
    public async Task<HubFile> DescribeAsync(HubModel model, string commit, string name, CancellationToken stop)
    {
        var address = FileAddress(model, commit, name);
        // What a redirect to a storage server would answer is of no interest: the hub itself knows.
        using var response = await SendAsync(HttpMethod.Head, address, null, $"{model.Name}/{name}", stop, followsToOthers: false).ConfigureAwait(false);
        var etag = Header(response, "X-Linked-Etag") ?? response.Headers.ETag?.Tag ?? Header(response, "ETag");
        var length = Header(response, "X-Linked-Size") is { } text && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var linked) ? linked : response.Content.Headers.ContentLength;
        if (etag is null || length is null) throw new InputException($"{address}: the server doesn't say {(etag is null ? "which content it is (ETag)" : "how long it is (Content-Length)")}: it is not a hub, or something between changes its answers.");
        return new HubFile(name, etag.Replace("W/", "", StringComparison.Ordinal).Trim('"'), length.Value);
    }

    /// <summary>Asks for a file's bytes from an offset on; 200 or 206 with the body unread, or 416.</summary>
    public Task<HttpResponseMessage> DownloadAsync(HubModel model, string commit, HubFile file, long offset, CancellationToken stop) =>
        SendAsync(HttpMethod.Get, FileAddress(model, commit, file.Name), offset > 0 ? new RangeHeaderValue(offset, null) : null, $"{model.Name}/{file.Name}", stop);

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private Uri FileAddress(HubModel model, string commit, string name) => new(_settings.Endpoint, $"{model.Name}/resolve/{commit}/{string.Join('/', name.Split('/').Select(Uri.EscapeDataString))}");

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, RangeHeaderValue? range, string what, CancellationToken stop, bool followsToOthers = true)
    {
        HttpResponseMessage response;
        try
        {
            response = await _retries.ExecuteAsync(async token => await FollowAsync(method, address, range, followsToOthers, token).ConfigureAwait(false), stop).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or TimeoutException)
        {
            throw new InputException($"{address}: no answer: {failure.Message}", failure);
        }

        // A redirect is left only where it wasn't to be followed.
        if (response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable || (int)response.StatusCode is >= 300 and < 400) return response;
        using (response) throw Refusal(response, address, what);
    }

    /// <summary>Sends a request and follows redirects. The token goes to the hub's own host only.</summary>
    private async Task<HttpResponseMessage> FollowAsync(HttpMethod method, Uri address, RangeHeaderValue? range, bool followsToOthers, CancellationToken stop)
    {
        for (var redirects = 0; redirects <= MostRedirects; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.Range = range;
            if (_settings.Token is { } token && IsHub(address)) request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
            using var silence = CancellationTokenSource.CreateLinkedTokenSource(stop);
            silence.CancelAfter(_settings.Silence);
            HttpResponseMessage response;
            try
            {
                response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"nothing came for {_settings.Silence.TotalSeconds:0.#} seconds"));
            }

            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location) return response;
            var next = new Uri(address, location);
            if (!followsToOthers && !IsHub(next)) return response;
            response.Dispose();
            if (next.Scheme is not ("http" or "https") || (address.Scheme == "https" && next.Scheme == "http")) throw new InputException($"{address}: it redirects to {next.Scheme}://{next.Host}, which isn't followed.");
            address = next;
        }

        throw new InputException($"{address}: more than {MostRedirects} redirects.");
    }

    private bool IsHub(Uri address) => address.Scheme == _settings.Endpoint.Scheme && address.Authority == _settings.Endpoint.Authority;

    private static bool MayPass(Outcome<HttpResponseMessage> outcome) =>
        outcome.Exception is HttpRequestException or IOException or TimeoutException || outcome.Result?.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError;

    /// <summary>The wait that a server asks for.</summary>
    private static TimeSpan? AskedWait(HttpResponseMessage? response) => response?.Headers.RetryAfter switch
    {
        { Delta: { } wait } => wait,
        { Date: { } date } when date - DateTimeOffset.UtcNow is var wait && wait > TimeSpan.Zero => wait,
        { Date: not null } => TimeSpan.Zero,
        _ => null,
    };

    private InputException Refusal(HttpResponseMessage response, Uri address, string what)
    {
        var reason = Header(response, "X-Error-Message") is { } message ? $" ({message})" : "";
        return new InputException(response.StatusCode switch
        {
            HttpStatusCode.Unauthorized => $"{what}: the server wants to know who asks{reason}: it doesn't exist, or it is private or gated; {(_settings.Token is null ? "set HF_TOKEN to a token that may read it" : "the token in HF_TOKEN may not read it")}.",
            HttpStatusCode.Forbidden => $"{what}: it may not be read{reason}; accept its conditions on its page, or use a token that may read it (HF_TOKEN).",
            HttpStatusCode.NotFound => $"{what}: the server at {_settings.Endpoint.Authority} has no such thing{reason}; check the name and --revision.",
            HttpStatusCode.TooManyRequests => $"{what}: the server is asked too often{(AskedWait(response) is { } wait ? string.Create(CultureInfo.InvariantCulture, $" and wants {wait.TotalSeconds:0} seconds of rest") : "")}; try again later, what is there is kept.",
            var status => $"{address}: the server answers {(int)status} {status}{reason}; try again later, what is there is kept.",
        });
    }

    private static string? Header(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;

    [GeneratedRegex("^[0-9a-f]{40,64}$")]
    private static partial Regex CommitId();
}
