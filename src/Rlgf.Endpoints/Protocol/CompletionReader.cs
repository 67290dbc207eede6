using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using Rlgf.Rewards.Remote;

namespace Rlgf.Endpoints.Protocol;

/// <summary>
/// Reads answers of completions and chat completions, streamed or whole. Servers differ: keys whose value is null may be left out, a stream may end without <c>[DONE]</c>, usage may come with the last choice or after
/// it, some ignore <c>stream</c>.
/// </summary>
/// <param name="mostBytes">The most bytes of an answer: a server that writes without an end fills no memory.</param>
internal sealed class CompletionReader(long mostBytes = 16 << 20)
{
    private const string Done = "[DONE]";

    /// <summary>No answer has more tokens than this: a figure beyond it counts nothing.</summary>
    private const long MostTokens = 1L << 40;

    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private readonly SortedDictionary<int, (StringBuilder Text, string? Finish)> _choices = [];
    private Usage? _usage;

    /// <summary>What has been written so far, of all choices: also of an answer that breaks off.</summary>
    public string TextSoFar => string.Concat(_choices.Values.Select(choice => choice.Text));

    /// <summary>Reads an answer to its end.</summary>
    /// <param name="content">The body of an answer whose status says that it is one.</param>
    /// <param name="cancellationToken">Stops between pieces.</param>
    /// <exception cref="CompletionFault">It is no answer.</exception>
    /// <exception cref="IOException">The connection broke.</exception>
    public async Task<Completion> ReadAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var stream = new BoundedStream(await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), mostBytes);
        await using (stream.ConfigureAwait(false))
        {
            if (content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.OrdinalIgnoreCase) != true) return await ReadEventsAsync(stream, cancellationToken).ConfigureAwait(false);
            using var whole = new MemoryStream();
            await stream.CopyToAsync(whole, cancellationToken).ConfigureAwait(false);
            var bytes = whole.GetBuffer().AsSpan(0, (int)whole.Length);
            Add(Text(bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes));
            return Result(isStreamed: false);
        }
    }

    private async Task<Completion> ReadEventsAsync(Stream stream, CancellationToken cancellationToken)
    {
        await foreach (var item in SseParser.Create(stream, (_, data) => Text(data)).EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            if (item.Data == Done) break;
            if (item.Data.Length > 0) Add(item.Data);
        }

        return Result(isStreamed: true);
    }

    /// <summary>Bytes that are no text are no answer: read as if they were, they would be learned from.</summary>
    private static string Text(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw new CompletionFault(CompletionFault.InvalidJson, "the answer is not valid JSON: it is not UTF-8");
        }
    }

    private void Add(string text)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            Add(json.RootElement);
        }
        catch (JsonException)
        {
            throw new CompletionFault(CompletionFault.InvalidJson, "the answer is not valid JSON");
        }
        catch (InvalidOperationException)
        {
            throw new CompletionFault(CompletionFault.InvalidJson, "the answer is not valid JSON: a text in it holds half of a surrogate pair");
        }
    }

    private void Add(JsonElement part)
    {
        if (part.ValueKind != JsonValueKind.Object) throw new CompletionFault(CompletionFault.NoChoice, "the answer is no completion");
        if (Member(part, "usage", JsonValueKind.Object) is { } usage && Count(usage, "prompt_tokens") is { } prompt && Count(usage, "completion_tokens") is { } written) _usage = new Usage(prompt, written);
        if (Member(part, "choices", JsonValueKind.Array) is not { } choices)
        {
            if (ErrorText.Find(part) is not { } error) return;
            throw new CompletionFault(CompletionFault.Error, $"the server said: {RowJson.OneLine(error)}") { Refusal = ErrorText.Status(part) is { } status ? (status, error) : null };
        }

        var place = 0;
        foreach (var choice in choices.EnumerateArray()) AddChoice(choice, place++);
    }

    private void AddChoice(JsonElement choice, int place)
    {
        if (choice.ValueKind != JsonValueKind.Object) throw Other("a choice", choice);
        var index = choice.TryGetProperty("index", out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var stated) ? stated : place;
        var (text, finish) = _choices.GetValueOrDefault(index, (new StringBuilder(), null));
        var message = Inner(choice, "delta") ?? Inner(choice, "message");
        text.Append(Words(choice, "text") ?? (message is { } inner ? Words(inner, "content") : null));
        _choices[index] = (text, Member(choice, "finish_reason", JsonValueKind.String)?.GetString() ?? finish);
    }

    private Completion Result(bool isStreamed)
    {
        if (_choices.Count == 0) throw new CompletionFault(CompletionFault.NoChoice, "the answer has no choice");
        // What is cut off ends as quietly as what is whole, but for this.
        if (_choices.Values.Any(choice => choice.Finish is null)) throw new CompletionFault(CompletionFault.Unfinished, "the answer broke off: it doesn't say why it ends");
        return new Completion([.. _choices.Values.Select(choice => new Choice(choice.Text.ToString(), choice.Finish!))], _usage, isStreamed);
    }

    /// <summary>What a key says; null where it says nothing. What is said otherwise than as a text is not nothing.</summary>
    private static string? Words(JsonElement from, string key) => !from.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Other($"'{key}'", value);

    private static JsonElement? Inner(JsonElement from, string key) => !from.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.Object ? value : throw Other($"'{key}'", value);

    private static CompletionFault Other(string what, JsonElement value) => new(CompletionFault.OtherForm, $"the answer is no completion: {what} of it is {value.ValueKind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    }}");

    private static JsonElement? Member(JsonElement from, string key, JsonValueKind kind) => from.TryGetProperty(key, out var value) && value.ValueKind == kind ? value : null;

    private static long? Count(JsonElement usage, string key) => Member(usage, key, JsonValueKind.Number) is { } value && value.TryGetInt64(out var count) && count is >= 0 and <= MostTokens ? count : null;
}
