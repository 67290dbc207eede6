using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Rlgf.Models.Tests.Hub;

/// <summary>What a client asked for.</summary>
internal sealed record HubRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers)
{
    /// <summary>First byte asked for; 0 where all are.</summary>
    public int From => Headers.TryGetValue("Range", out var range) ? int.Parse(range["bytes=".Length..].TrimEnd('-'), CultureInfo.InvariantCulture) : 0;
}

/// <summary>What is sent, also if it is wrong.</summary>
/// <param name="Status">The code.</param>
/// <param name="Body">The body.</param>
internal sealed record HubAnswer(int Status, byte[] Body)
{
    public Dictionary<string, string> Headers { get; init; } = [];

    /// <summary>The length that is announced; that of the body by default, −1 for none.</summary>
    public long? SaidLength { get; init; }

    /// <summary>Bytes of the body after which the connection is cut.</summary>
    public int? CutAfter { get; init; }

    /// <summary>How long nothing comes after the head.</summary>
    public TimeSpan Silence { get; init; }

    public static HubAnswer Text(int status, string text) => new(status, Encoding.UTF8.GetBytes(text));

    public static HubAnswer Redirect(int status, string to) => new(status, []) { Headers = { ["Location"] = to } };
}

/// <summary>A hub on this machine, with one model and whatever misbehaviour a test asks for. Every connection serves one request.</summary>
internal sealed class HubServer : IDisposable
{
    public const string Model = "someone/tiny", Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Task _serving;

    public HubServer()
    {
        _listener.Start();
        _serving = Task.Run(ServeAsync);
    }

    /// <summary>The model's files; large ones (above 100 bytes) are named by their SHA-256, small ones by git's id, as a hub does.</summary>
    public Dictionary<string, byte[]> Files { get; } = [];

    /// <summary>Answers instead of the hub; null for the hub's own answer.</summary>
    public Func<HubRequest, HubAnswer?> Instead { get; set; } = _ => null;

    /// <summary>All requests so far.</summary>
    public ConcurrentQueue<HubRequest> Requests { get; } = new();

    public Uri Address => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/");

    /// <summary>Requests for a file's content.</summary>
    public HubRequest[] Downloads(string name) => [.. Requests.Where(request => request.Method == "GET" && request.Path.EndsWith($"/{name}", StringComparison.Ordinal))];

    public static string EtagOf(byte[] content) => content.Length > 100
        ? Convert.ToHexStringLower(SHA256.HashData(content))
#pragma warning disable CA5350 // Git's names are SHA-1.
        : Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
#pragma warning restore CA5350

    /// <summary>What a sound hub answers.</summary>
    public HubAnswer Answer(HubRequest request)
    {
        if (request.Path.StartsWith("/api/models/", StringComparison.Ordinal))
        {
            var listing = new JsonObject { ["sha"] = Commit, ["siblings"] = new JsonArray([.. Files.Keys.Select(name => new JsonObject { ["rfilename"] = name })]) };
            return request.Path.StartsWith($"/api/models/{Model}/revision/", StringComparison.Ordinal) ? HubAnswer.Text(200, listing.ToJsonString()) : HubAnswer.Text(404, "{}");
        }

        if (!Files.TryGetValue(Uri.UnescapeDataString(request.Path.Replace($"/{Model}/resolve/{Commit}/", "", StringComparison.Ordinal)), out var content)) return HubAnswer.Text(404, "Entry not found");
        var etag = EtagOf(content);
        if (request.Method == "HEAD")
        {
            return content.Length > 100
                ? new HubAnswer(200, []) { SaidLength = content.Length, Headers = { ["X-Linked-Etag"] = $"\"{etag}\"", ["X-Linked-Size"] = $"{content.Length}", ["ETag"] = "\"another\"" } }
                : new HubAnswer(200, []) { SaidLength = content.Length, Headers = { ["ETag"] = $"W/\"{etag}\"" } };
        }

        if (request.From >= content.Length && request.From > 0) return new HubAnswer(416, []);
        return request.From == 0
            ? new HubAnswer(200, content)
            : new HubAnswer(206, content[request.From..]) { Headers = { ["Content-Range"] = $"bytes {request.From}-{content.Length - 1}/{content.Length}" } };
    }

    public void Dispose()
    {
        _listener.Stop();
        _serving.Wait();
        _listener.Dispose();
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            TcpClient connection;
            try
            {
                connection = await _listener.AcceptTcpClientAsync();
            }
            catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }

            _ = ServeAndCloseAsync(connection);
        }
    }

    private async Task ServeAndCloseAsync(TcpClient connection)
    {
        using (connection)
        {
            try
            {
                await ServeAsync(connection);
            }
            catch (Exception gone) when (gone is IOException or SocketException or ObjectDisposedException)
            {
                // The client went away, as it does when it is stopped or has waited long enough.
            }
        }
    }

    private async Task ServeAsync(TcpClient connection)
    {
        await using var stream = connection.GetStream();
        using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
        if (await reader.ReadLineAsync() is not { } first) return;
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        while (await reader.ReadLineAsync() is { Length: > 0 } line) headers[line.Split(':', 2)[0]] = line.Split(':', 2)[1].Trim();
        var request = new HubRequest(first.Split(' ')[0], first.Split(' ')[1], headers);
        Requests.Enqueue(request);
        var answer = Instead(request) ?? Answer(request);
        var head = new StringBuilder($"HTTP/1.1 {answer.Status} x\r\nConnection: close\r\n");
        if (answer.SaidLength != -1) head.Append(CultureInfo.InvariantCulture, $"Content-Length: {answer.SaidLength ?? answer.Body.Length}\r\n");
        foreach (var (name, value) in answer.Headers) head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()));
        if (answer.Silence > TimeSpan.Zero) await Task.Delay(answer.Silence);
        await stream.WriteAsync(answer.Body.AsMemory(0, Math.Min(answer.Body.Length, answer.CutAfter ?? int.MaxValue)));
        await stream.FlushAsync();
    }
}
