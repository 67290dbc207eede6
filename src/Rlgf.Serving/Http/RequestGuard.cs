using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Rlgf.Serving.Protocol;

namespace Rlgf.Serving.Http;

/// <summary>Who may ask, and how much he may send; decided from the headers, before a body is read.</summary>
/// <param name="settings">The server's settings.</param>
internal sealed class RequestGuard(ServerSettings settings)
{
    private readonly byte[]? _keyHash = settings.Key is { Length: > 0 } key ? Hash(key) : null;

    /// <summary>Lets a request through, or not.</summary>
    /// <exception cref="RequestException">It is refused.</exception>
    public void Check(HttpRequest request)
    {
        if (request.ContentLength > settings.BodyBytes)
            throw new RequestException(null, $"the body has {request.ContentLength} bytes; this server takes at most {settings.BodyBytes}") { Status = StatusCodes.Status413PayloadTooLarge };
        if (request.Path.Value is "/health" or "/") return;
        if (_keyHash is null) RequireThisMachine(request);
        else if (!HasKey(request)) throw new RequestException(null, "a key is missing or wrong: send it as 'Authorization: Bearer KEY'") { Status = StatusCodes.Status401Unauthorized, Code = "invalid_api_key" };
    }

    /// <summary>Without a key, a page from elsewhere that is open in a browser of this machine must not ask, whether it names this address or one of its own that leads here.</summary>
    private static void RequireThisMachine(HttpRequest request)
    {
        var isOwnPage = !request.Headers.TryGetValue("Origin", out var origin) || (Uri.TryCreate(origin, UriKind.Absolute, out var from) && from.Authority == request.Host.Value);
        if (!IsThisMachine(request.Host.Host) || !isOwnPage)
            throw new RequestException(null, "without a key this server answers requests to localhost that come from no other site's page") { Status = StatusCodes.Status403Forbidden };
    }

    private static bool IsThisMachine(string host) => host is "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private bool HasKey(HttpRequest request)
    {
        const string Bearer = "Bearer ";
        var authorization = request.Headers.Authorization.ToString();
        var given = authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase) ? authorization[Bearer.Length..].Trim() : request.Headers["X-Api-Key"].ToString();
        return CryptographicOperations.FixedTimeEquals(Hash(given), _keyHash);
    }

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));
}
