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
        catch (JsonException)
        {
            return body.Trim();
        }
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
