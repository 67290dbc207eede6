using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Rlgf.Endpoints.Protocol;

/// <summary>What a server says is wrong. Servers say it in several forms: <c>{"error": {"message"}}</c>, <c>{"error": text}</c>, <c>{"message"}</c>, <c>{"detail": text or list}</c>, or a text alone.</summary>
internal static class ErrorText
{
    /// <summary>The sentence of a body.</summary>
    public static string Of(string body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return Find(json.RootElement) ?? body.Trim();
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            // No JSON, or a text in it that is no Unicode.
            return body.Trim();
        }
    }

    /// <summary>
    /// The status that an error within an answer of status 200 would have had, as far as it says so: by its code (vLLM, llama.cpp), or by a name of OpenAI's. Servers that have begun a stream can't change its status any more, and some answer
    /// every stream with 200.
    /// </summary>
    public static HttpStatusCode? Status(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object) return null;
        if (root.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object) root = error;
        foreach (var key in (ReadOnlySpan<string>)["code", "status", "type"])
        {
            if (!root.TryGetProperty(key, out var said)) continue;
            if (int.TryParse(said.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 400 and < 600) return (HttpStatusCode)number;
            switch (said.ValueKind == JsonValueKind.String ? said.GetString() : null)
            {
                case "invalid_api_key" or "authentication_error": return HttpStatusCode.Unauthorized;
                case "permission_error" or "permission_denied": return HttpStatusCode.Forbidden;
                case "model_not_found" or "not_found_error": return HttpStatusCode.NotFound;
                case "insufficient_quota": return HttpStatusCode.PaymentRequired;
                case "rate_limit_error" or "rate_limit_exceeded": return HttpStatusCode.TooManyRequests;
                case "server_error" or "internal_server_error": return HttpStatusCode.InternalServerError;
            }
        }

        return null;
    }

    /// <summary>The sentence of a JSON document; null where it is no error.</summary>
    public static string? Find(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object) return null;
        foreach (var key in (ReadOnlySpan<string>)["error", "detail", "message"])
        {
            if (!root.TryGetProperty(key, out var said) || said.ValueKind == JsonValueKind.Null) continue;
            return said.ValueKind switch
            {
                JsonValueKind.String => said.GetString(),
                JsonValueKind.Object => Find(said) ?? said.GetRawText(),
                JsonValueKind.Array => string.Join("; ", said.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Object && item.TryGetProperty("msg", out var text) ? text.ToString() : item.ToString())),
                _ => said.GetRawText(),
            };
        }

        return null;
    }
}
