using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Rlgf.Serving.Tests;

/// <summary>The page at <c>/</c> in a real browser, which is told what to do over its debugging protocol.</summary>
public sealed class PageTests(TestServer server) : IClassFixture<TestServer>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_prompt_that_is_sent_in_a_browser_is_answered_as_over_the_protocol()
    {
        await using var browser = await Browser.StartAsync(server.Client.BaseAddress!.ToString());
        await browser.UntilAsync("document.getElementById('model')?.value === 'llama'");
        foreach (var (mode, path) in new[] { ("completions", "/v1/completions"), ("chat", "/v1/chat/completions") })
            await SendAsync(browser, mode, path);
        // An error is said, too.
        await browser.EvaluateAsync("document.getElementById('stop').value = ''; document.getElementById('max').value = 100000; document.getElementById('send').click()");
        await browser.UntilAsync("document.getElementById('status').textContent.includes('at most 128 tokens')");
    }

    private async Task SendAsync(Browser browser, string mode, string path)
    {
        var whole = await server.AskAsync(path, new { prompt = "I don't", messages = new[] { new { role = "user", content = "I don't" } }, max_tokens = 12, temperature = 0 });
        var expected = (string?)whole["choices"]![0]!["text"] ?? (string)whole["choices"]![0]!["message"]!["content"]!;
        await browser.EvaluateAsync($$"""
            for (const [id, value] of Object.entries({ mode: "{{mode}}", prompt: "I don't", max: 12, temperature: 0 })) document.getElementById(id).value = value;
            document.getElementById("send").click();
            """);
        await browser.UntilAsync("document.getElementById('status').textContent.includes('written')");
        Assert.Equal(expected, await browser.EvaluateAsync("document.getElementById('answer').textContent"));
    }

    /// <summary>A browser without a window, with one page open.</summary>
    private sealed class Browser : IAsyncDisposable
    {
        private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome"];

        private readonly Process _process;
        private readonly string _profile;
        private readonly ClientWebSocket _socket = new();
        private int _commands;

        private Browser(Process process, string profile) => (_process, _profile) = (process, profile);

        public static async Task<Browser> StartAsync(string page)
        {
            var file = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).SelectMany(folder => Names.Select(name => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
            if (file is null) Assert.Skip($"needs a browser ({string.Join(", ", Names)}), and there is none on the path");
            var profile = Directory.CreateTempSubdirectory("rlgf-browser").FullName;
            string[] arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0", $"--user-data-dir={profile}", page];
            var browser = new Browser(Process.Start(new ProcessStartInfo(file, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!, profile);
            try
            {
                await browser.ConnectAsync(page);
                return browser;
            }
            catch
            {
                await browser.DisposeAsync();
                throw;
            }
        }

        /// <summary>Runs a script in the page, and gives its value.</summary>
        public async Task<string?> EvaluateAsync(string script)
        {
            var number = ++_commands;
            var command = new { id = number, method = "Runtime.evaluate", @params = new { expression = script, returnByValue = true } };
            await _socket.SendAsync(JsonSerializer.SerializeToUtf8Bytes(command), WebSocketMessageType.Text, endOfMessage: true, Stop);
            while (true)
            {
                var message = JsonNode.Parse(await ReadAsync())!;
                if ((int?)message["id"] != number) continue;
                Assert.Null(message["result"]!["exceptionDetails"]);
                return message["result"]!["result"]!["value"]?.ToString();
            }
        }

        /// <summary>Waits until a condition holds in the page.</summary>
        public async Task UntilAsync(string condition)
        {
            for (var tries = 0; await EvaluateAsync(condition) != "true"; tries++)
            {
                Assert.True(tries < 600, $"never: {condition}; status: {await EvaluateAsync("document.getElementById('status')?.textContent")}");
                await Task.Delay(50, Stop);
            }
        }

        public async ValueTask DisposeAsync()
        {
            _socket.Dispose();
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
            try
            {
                Directory.Delete(_profile, recursive: true);
            }
            catch (IOException)
            {
                // A process of it may still write; the folder is temporary.
            }
        }

        private async Task ConnectAsync(string page)
        {
            string? line;
            do line = await _process.StandardError.ReadLineAsync(Stop);
            while (line is not null && !line.Contains("DevTools listening on ", StringComparison.Ordinal));
            Assert.NotNull(line);
            // What else it says is read away, so that it never waits for a reader.
            _ = _process.StandardError.ReadToEndAsync(CancellationToken.None);
            _ = _process.StandardOutput.ReadToEndAsync(CancellationToken.None);
            var port = new Uri(line[line.IndexOf("ws://", StringComparison.Ordinal)..]).Port;
            using var client = new HttpClient();
            for (; ; await Task.Delay(50, Stop))
            {
                var targets = JsonNode.Parse(await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/json"), Stop))!.AsArray();
                if (targets.FirstOrDefault(target => (string)target!["type"]! == "page" && ((string)target["url"]!).StartsWith(page, StringComparison.Ordinal)) is not { } target) continue;
                await _socket.ConnectAsync(new Uri((string)target["webSocketDebuggerUrl"]!), Stop);
                return;
            }
        }

        private async Task<string> ReadAsync()
        {
            using var text = new MemoryStream();
            var buffer = new byte[8192];
            WebSocketReceiveResult part;
            do
            {
                part = await _socket.ReceiveAsync(buffer, Stop);
                text.Write(buffer, 0, part.Count);
            }
            while (!part.EndOfMessage);
            return Encoding.UTF8.GetString(text.ToArray());
        }
    }
}
