using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;

namespace Rlgf.Endpoints.Protocol;

/// <summary>
/// Reads answers of completions and chat completions, streamed or whole. Servers differ: keys whose value is null may be left out, a stream may end without <c>[DONE]</c>, usage may come with the last choice or after
/// it, some ignore <c>stream</c>.
/// </summary>
internal sealed class CompletionReader
{
    private const int LongestAnswer = 16 << 20;
    private const string Done = "[DONE]";

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
        var stream = await content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            if (content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.OrdinalIgnoreCase) != true) return await ReadEventsAsync(stream, cancellationToken).ConfigureAwait(false);
            using var text = new StreamReader(stream, Encoding.UTF8);
            Add(await text.ReadToEndAsync(cancellationToken).ConfigureAwait(false));
            return Result(isStreamed: false);
        }
    }

    private async Task<Completion> ReadEventsAsync(Stream stream, CancellationToken cancellationToken)
    {
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            if (item.Data == Done) break;
            if (item.Data.Length > 0) Add(item.Data);
        }

        return Result(isStreamed: true);
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
    }

    private void Add(JsonElement part)
    {
        if (part.ValueKind != JsonValueKind.Object) throw new CompletionFault(CompletionFault.NoChoice, "the answer is no completion");
        if (Member(part, "usage", JsonValueKind.Object) is { } usage && Count(usage, "prompt_tokens") is { } prompt && Count(usage, "completion_tokens") is { } written) _usage = new Usage(prompt, written);
        if (Member(part, "choices", JsonValueKind.Array) is not { } choices)
        {
            if (ErrorText.Find(part) is not { } error) return;
            throw new CompletionFault(CompletionFault.Error, $"the server said: {error}") { Refusal = ErrorText.Status(part) is { } status ? (status, error) : null };
        }

        var place = 0;
        foreach (var choice in choices.EnumerateArray()) AddChoice(choice, place++);
    }

    private void AddChoice(JsonElement choice, int place)
    {
        if (choice.ValueKind != JsonValueKind.Object) return;
        var index = choice.TryGetProperty("index", out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var stated) ? stated : place;
        var (text, finish) = _choices.GetValueOrDefault(index, (new StringBuilder(), null));
        var message = Member(choice, "delta", JsonValueKind.Object) ?? Member(choice, "message", JsonValueKind.Object);
        text.Append((Member(choice, "text", JsonValueKind.String) ?? (message is { } inner ? Member(inner, "content", JsonValueKind.String) : null))?.GetString());
        if (text.Length > LongestAnswer) throw new CompletionFault(CompletionFault.TooLong, $"the answer has more than {LongestAnswer} characters");
        _choices[index] = (text, Member(choice, "finish_reason", JsonValueKind.String)?.GetString() ?? finish);
    }

    private Completion Result(bool isStreamed)
    {
        if (_choices.Count == 0) throw new CompletionFault(CompletionFault.NoChoice, "the answer has no choice");
        // What is cut off ends as quietly as what is whole, but for this.
        if (_choices.Values.Any(choice => choice.Finish is null)) throw new CompletionFault(CompletionFault.Unfinished, "the answer broke off: it doesn't say why it ends");
        return new Completion([.. _choices.Values.Select(choice => new Choice(choice.Text.ToString(), choice.Finish!))], _usage, isStreamed);
    }

    private static JsonElement? Member(JsonElement from, string key, JsonValueKind kind) => from.TryGetProperty(key, out var value) && value.ValueKind == kind ? value : null;

    private static long? Count(JsonElement usage, string key) => Member(usage, key, JsonValueKind.Number) is { } value && value.TryGetInt64(out var count) && count >= 0 ? count : null;
}
