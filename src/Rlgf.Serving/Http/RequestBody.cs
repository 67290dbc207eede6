using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Rlgf.Serving.Protocol;

namespace Rlgf.Serving.Http;

/// <summary>Bodies in and out.</summary>
internal static class RequestBody
{
    private const string Json = "application/json; charset=utf-8";

    /// <summary>Reads a JSON object, whatever its content type is said to be.</summary>
    /// <exception cref="RequestException">It is none.</exception>
    public static async Task<RequestFields> ReadAsync(HttpContext http)
    {
        using var document = await JsonDocument.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted).ConfigureAwait(false);
        return new RequestFields(document.RootElement.Clone());
    }

    /// <summary>Writes a value as JSON.</summary>
    public static async Task WriteAsync<T>(HttpContext http, int status, T body)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = Json;
        var bytes = JsonSerializer.SerializeToUtf8Bytes(body, AnswerJson.Options);
        http.Response.ContentLength = bytes.Length;
        await http.Response.Body.WriteAsync(bytes, http.RequestAborted).ConfigureAwait(false);
    }
}

/// <summary>Server-sent events, each written out at once.</summary>
internal sealed class EventStream
{
    private readonly HttpResponse _response;

    public EventStream(HttpResponse response)
    {
        _response = response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        response.HttpContext.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
    }

    /// <summary>Sends a value as JSON.</summary>
    public Task SendAsync<T>(T value) => SendAsync(JsonSerializer.SerializeToUtf8Bytes(value, AnswerJson.Options));

    /// <summary>Says that nothing more comes.</summary>
    public Task EndAsync() => SendAsync("[DONE]"u8.ToArray());

    private async Task SendAsync(byte[] data)
    {
        var writer = _response.BodyWriter;
        writer.Write("data: "u8);
        writer.Write(data);
        writer.Write("\n\n"u8);
        await writer.FlushAsync(_response.HttpContext.RequestAborted).ConfigureAwait(false);
    }
}
