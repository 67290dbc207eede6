using System.Text;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Remote;

namespace Rlgf.Rewards.Remote;

/// <summary>Posts JSON and gets JSON, with a limit of requests at once.</summary>
internal sealed class JsonEndpoint : IDisposable
{
    private const long LongestAnswer = 16 << 20;

    private readonly EndpointSettings _settings;
    private readonly HttpClient _http;
    private readonly SemaphoreSlim _places;

    public JsonEndpoint(EndpointSettings settings)
    {
        _settings = settings;
        _places = new SemaphoreSlim(settings.InFlight);
        _http = PatientHttp.Create(settings, (response, stop) => response.Content.LoadIntoBufferAsync(LongestAnswer, stop));
    }

    /// <summary>Posts a document.</summary>
    /// <returns>The answer, to be disposed.</returns>
    /// <exception cref="RowFailure">There is no answer, a refusal, or no JSON.</exception>
    public async Task<JsonDocument> PostAsync(string json, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            using var content = new StringContent(json, Encoding.UTF8, "application/json");
            using var response = await _http.PostAsync(_settings.Address, content, cancellationToken).ConfigureAwait(false);
            var text = await PatientHttp.TextAsync(response.Content, cancellationToken).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode) throw new RowFailure($"{_settings.Address}: {PatientHttp.Refusal((int)response.StatusCode, RowJson.Short(_settings.WithoutToken(text.Trim())))}");
            return JsonDocument.Parse(text);
        }
        catch (JsonException failure)
        {
            throw new RowFailure($"{_settings.Address}: the answer is {JsonFault.Words(failure)}");
        }
        catch (Exception failure) when (PatientHttp.Problem(failure, _settings) is { } problem)
        {
            throw new RowFailure($"{_settings.Address}: {problem}");
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
}
