using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Endpoints.Protocol;

namespace Rlgf.Endpoints.Tests;

/// <summary>
/// What two real servers sent (fixtures/openai, recorded with the scripts beside the files), row by row: what is a completion is read as one, whatever the server left out, and all else is one fault or one sentence.
/// </summary>
public sealed class WireRowTests
{
    public static TheoryData<string, string> Rows => [.. Files().SelectMany(file => File.ReadLines(file).Select(line => (Path.GetFileName(file), (string)JsonNode.Parse(line)!["id"]!)))];

    [Theory, MemberData(nameof(Rows))]
    public async Task A_row_is_read_as_what_it_says(string file, string id)
    {
        var row = Row(file, id);
        var status = int.Parse(((string)row["status"]!).Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        string[] pieces = row["chunks"] is JsonArray chunks ? [.. chunks.Select(chunk => (string)chunk![1]!)] : [(string?)row["body"] ?? ""];
        if (status >= 400)
        {
            Assert.Equal(Said(pieces[0]), ErrorText.Of(pieces[0]));
            return;
        }

        using var content = new PieceContent(pieces, (string?)row["headers"]!.AsArray().FirstOrDefault(header => string.Equals((string)header![0]!, "content-type", StringComparison.OrdinalIgnoreCase))?[1]);
        var (texts, finishes, usage) = Expected(pieces);
        var reader = new CompletionReader();
        if (finishes.Count == 0 || finishes.Values.Any(finish => finish is null))
        {
            await Assert.ThrowsAsync<CompletionFault>(() => reader.ReadAsync(content, CancellationToken.None));
            return;
        }

        var read = await reader.ReadAsync(content, CancellationToken.None);
        Assert.Equal(texts.Values, read.Choices.Select(choice => choice.Text));
        Assert.Equal(finishes.Values, read.Choices.Select(choice => choice.Finish));
        Assert.Equal((long?)usage?["prompt_tokens"], read.Usage?.PromptTokens);
        Assert.Equal((long?)usage?["completion_tokens"], read.Usage?.CompletionTokens);
        Assert.Equal(row["chunks"] is not null, read.IsStreamed);
    }

    [Fact]
    public void Most_rows_are_completions() =>
        // The theory's other branches would pass over a mistake of what is expected.
        Assert.InRange(Rows.Count(row => Row(row.Data.Item1, row.Data.Item2) is var response && ((string)response["status"]!).Contains(" 200 ", StringComparison.Ordinal)
            && Expected(response["chunks"] is JsonArray chunks ? [.. chunks.Select(chunk => (string)chunk![1]!)] : [(string?)response["body"] ?? ""]).Finishes is { Count: > 0 } finishes && finishes.Values.All(finish => finish is not null)), 120, 261);

    [Theory]
    [InlineData("""{"choices":[{"index":0,"text":5,"finish_reason":"stop"}]}""", "'text' of it is a number")]
    [InlineData("""{"choices":[{"index":0,"text":{"a":1},"finish_reason":"stop"}]}""", "'text' of it is an object")]
    [InlineData("""{"choices":[{"index":0,"delta":[1],"finish_reason":"stop"}]}""", "'delta' of it is a list")]
    [InlineData("""{"choices":[{"index":0,"message":{"content":[{"type":"text","text":"a"}]},"finish_reason":"stop"}]}""", "'content' of it is a list")]
    [InlineData("""{"choices":[{"index":0,"text":"good","finish_reason":"stop"},"bad"]}""", "a choice of it is a text")]
    [InlineData("""{"choices":[{"index":0,"text":"\ud83d","finish_reason":"stop"}]}""", "half of a surrogate pair")]
    [InlineData("""{"choices":[{"index":0,"text":"a","finish_reason":"\udc00"}]}""", "half of a surrogate pair")]
    [InlineData("""{"error":{"message":"two\nlines\u001b[31m"}}""", "the server said: two lines [31m")]
    [InlineData("""{"error":{"message":"\udc00"}}""", "half of a surrogate pair")]
    [InlineData("{\"choices\":[{\"index\":0,\"text\":\"caf\u00E9\",\"finish_reason\":\"stop\"}]}", "not UTF-8", true)]
    public async Task What_is_no_text_is_no_empty_answer_and_no_other_one(string json, string said, bool isLatin = false)
    {
        foreach (var (type, start) in new[] { ("application/json", ""), ("text/event-stream", "data: ") })
        {
            using var content = new ByteArrayContent((isLatin ? Encoding.Latin1 : Encoding.UTF8).GetBytes($"{start}{json}\n\n")) { Headers = { ContentType = MediaTypeHeaderValue.Parse(type) } };
            var fault = await Assert.ThrowsAsync<CompletionFault>(() => new CompletionReader().ReadAsync(content, CancellationToken.None));
            Assert.Contains(said, fault.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_isn_t_said_is_not_wrong()
    {
        using var content = new ByteArrayContent("""{"choices":[{"index":null,"text":null,"delta":null,"message":{"content":null},"logprobs":null,"finish_reason":"stop"}],"usage":null}"""u8.ToArray()) { Headers = { ContentType = new("application/json") } };
        Assert.Equal("", Assert.Single((await new CompletionReader().ReadAsync(content, CancellationToken.None)).Choices).Text);
    }

    [Theory]
    [InlineData("-5"), InlineData("9000000000000000000"), InlineData("1e400"), InlineData("10000000000000000000000"), InlineData("\"7\""), InlineData("2.5")]
    public async Task A_figure_that_can_be_no_count_counts_nothing(string figure)
    {
        var json = $$"""{"choices":[{"index":0,"text":"a","finish_reason":"stop"}],"usage":{"prompt_tokens":{{figure}},"completion_tokens":1} }""";
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(json)) { Headers = { ContentType = new("application/json") } };
        Assert.Null((await new CompletionReader().ReadAsync(content, CancellationToken.None)).Usage);
    }

    [Theory]
    [InlineData("application/json", "{\"choices\":[{\"text\":\""), InlineData("text/event-stream", "data: {\"choices\":[{\"text\":\""), InlineData("text/event-stream", "data: {\"choices\":[{\"text\":\"\"}]}\n\n", true)]
    public async Task An_answer_without_an_end_is_left(string type, string start, bool repeats = false)
    {
        var bytes = Encoding.UTF8.GetBytes(start);
        using var endless = new EndlessStream(bytes, repeats ? bytes : "aaaaaaaa"u8.ToArray());
        using var content = new StreamContent(endless) { Headers = { ContentType = new(type) } };
        var fault = await Assert.ThrowsAsync<CompletionFault>(() => new CompletionReader(1 << 18).ReadAsync(content, CancellationToken.None));
        Assert.Equal(CompletionFault.TooLong, fault.Kind);
        Assert.InRange(endless.Position, 1 << 18, 1 << 20);
    }

    private static string[] Files() => Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "fixtures", "openai"), "*.jsonl");

    private static JsonNode Row(string file, string id) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "openai", file)).Select(line => JsonNode.Parse(line)!).First(row => (string)row["id"]! == id)["response"]!;

    /// <summary>The sentence of an error, by the forms that the two servers have.</summary>
    private static string Said(string body)
    {
        if (!body.StartsWith('{')) return body.Trim();
        var json = JsonNode.Parse(body)!;
        return json["error"] is { } error ? (string)error["message"]! : json["detail"] is JsonArray list ? string.Join("; ", list.Select(item => (string)item!["msg"]!)) : (string)json["detail"]!;
    }

    /// <summary>Texts and reasons by choice, and usage, put together from the documents as they stand there.</summary>
    private static (SortedDictionary<int, string> Texts, SortedDictionary<int, string?> Finishes, JsonNode? Usage) Expected(string[] pieces)
    {
        var whole = string.Concat(pieces);
        JsonNode?[] documents;
        try
        {
            documents = whole.StartsWith("data: ", StringComparison.Ordinal)
                ? [.. whole.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(block => block["data: ".Length..]).Where(data => data != "[DONE]").Select(data => JsonNode.Parse(data))]
                : [JsonNode.Parse(whole)];
        }
        catch (Exception failure) when (failure is JsonException or ArgumentOutOfRangeException)
        {
            documents = [];
        }

        var (texts, finishes, usage) = (new SortedDictionary<int, string>(), new SortedDictionary<int, string?>(), (JsonNode?)null);
        foreach (var document in documents.OfType<JsonObject>())
        {
            usage = document["usage"] is JsonObject counted && counted["prompt_tokens"] is not null ? counted : usage;
            foreach (var choice in document["choices"] as JsonArray ?? [])
            {
                var index = (int)choice!["index"]!;
                var text = choice["text"] ?? choice["delta"]?["content"] ?? choice["message"]?["content"];
                texts[index] = texts.GetValueOrDefault(index, "") + (string?)text;
                finishes[index] = (string?)choice["finish_reason"] ?? finishes.GetValueOrDefault(index);
            }
        }

        return (texts, finishes, usage);
    }

    /// <summary>A body that comes in the recorded pieces.</summary>
    private sealed class PieceContent : HttpContent
    {
        private readonly string[] _pieces;

        public PieceContent(string[] pieces, string? type)
        {
            _pieces = pieces;
            if (type is not null) Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            foreach (var piece in _pieces) await stream.WriteAsync(Encoding.UTF8.GetBytes(piece));
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    /// <summary>Begins with some bytes, and repeats others for ever.</summary>
    private sealed class EndlessStream(byte[] start, byte[] rest) : MemoryStream
    {
        private long _position;

        public override bool CanSeek => false;

        public override long Position { get => _position; set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            // What reads on without a limit would never end.
            if (_position > 16 << 20) throw new InvalidOperationException("more was read than is allowed");
            for (var i = 0; i < buffer.Length; i++, _position++) buffer[i] = _position < start.Length ? start[_position] : rest[(_position - start.Length) % rest.Length];
            return buffer.Length;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => ValueTask.FromResult(Read(buffer.Span));

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => Task.FromResult(Read(buffer.AsSpan(offset, count)));
    }
}
