using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Rlgf.Tests.Rewards;

/// <summary>A server on this machine that answers what a test says.</summary>
internal sealed class LoopbackServer : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Func<string, int, (int Status, string Body)> _answer;
    private int _now;
    private int _most;

    /// <param name="answer">Given a request's body and its number, from 1, the status and the body.</param>
    public LoopbackServer(Func<string, int, (int Status, string Body)> answer)
    {
        _answer = answer;
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Address = new Uri($"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}/score");
        }

        _listener.Prefixes.Add(new Uri(Address, "/").ToString());
        _listener.Start();
        _ = ServeAsync();
    }

    public Uri Address { get; }

    /// <summary>Bodies of the requests so far.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    /// <summary>Values of their header Authorization.</summary>
    public ConcurrentQueue<string?> Tokens { get; } = [];

    /// <summary>The most requests that were here at once.</summary>
    public int MostAtOnce => _most;

    public void Dispose() => _listener.Close();

    private async Task ServeAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception ended) when (ended is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            _ = Task.Run(() => Answer(context));
        }
    }

    private void Answer(HttpListenerContext context)
    {
        try
        {
            var now = Interlocked.Increment(ref _now);
            lock (_listener) _most = Math.Max(_most, now);
            using var reader = new StreamReader(context.Request.InputStream, Encoding.UTF8);
            var body = reader.ReadToEnd();
            Requests.Enqueue(body);
            Tokens.Enqueue(context.Request.Headers["Authorization"]);
            var (status, text) = _answer(body, Requests.Count);
            Interlocked.Decrement(ref _now);
            context.Response.StatusCode = status;
            context.Response.OutputStream.Write(Encoding.UTF8.GetBytes(text));
            context.Response.Close();
        }
        catch (Exception gone) when (gone is HttpListenerException or ObjectDisposedException or IOException or InvalidOperationException)
        {
            // Who asked has gone.
        }
    }
}
