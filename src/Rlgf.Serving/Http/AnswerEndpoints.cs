using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Rlgf.Models.Generation;
using Rlgf.Serving.Answers;
using Rlgf.Serving.Engine;
using Rlgf.Serving.Protocol;

namespace Rlgf.Serving.Http;

/// <summary><c>/v1/completions</c> and <c>/v1/chat/completions</c>.</summary>
/// <param name="served">The model's tokenizer and chat template.</param>
/// <param name="shelf">The model and its adapters.</param>
/// <param name="bounds">What an engine takes.</param>
internal sealed class AnswerEndpoints(ServedModel served, ModelShelf shelf, EngineSettings bounds)
{
    /// <summary><c>/v1/completions</c>.</summary>
    public async Task CompleteAsync(HttpContext http)
    {
        var fields = await RequestBody.ReadAsync(http).ConfigureAwait(false);
        var request = AnswerRequest.OfCompletion(fields, served);
        if (request.Asked.ScoresPrompt && served.Shape.ReadsPromptApart) throw new RequestException("echo", "echo: with logprobs is for models that read prompt and answer as one text; this one is an encoder–decoder");
        var prompts = AnswerRequest.Prompts(fields, served);
        await AnswerAsync(http, request, [.. prompts.Select(prompt => prompt.Ids)], new CompletionShape(served, request, prompts)).ConfigureAwait(false);
    }

    /// <summary><c>/v1/chat/completions</c>.</summary>
    public async Task ChatAsync(HttpContext http)
    {
        var fields = await RequestBody.ReadAsync(http).ConfigureAwait(false);
        var request = AnswerRequest.OfChat(fields, served);
        var prompt = AnswerRequest.Conversation(fields, served);
        await AnswerAsync(http, request, [prompt], new ChatShape(served, request, prompt)).ConfigureAwait(false);
    }

    private async Task AnswerAsync<TChoice, TPart>(HttpContext http, AnswerRequest request, IReadOnlyList<int[]> prompts, AnswerShape<TChoice, TPart> shape)
    {
        if ((long)prompts.Count * request.Asked.Answers > bounds.MostRows)
            throw new RequestException(request.Asked.Answers > 1 ? "n" : shape.PromptField, $"{prompts.Count} prompts with {request.Asked.Answers} answers each are more than the {bounds.MostRows} rows that this server takes at once: ask in parts");
        var (name, rows, writing) = WithPromptField(shape.PromptField, () => shelf.Write(request.Model, model => request.Asked.Rows(served, model, prompts, bounds)))
            ?? throw new RequestException("model", $"there is no model '{request.Model}' here: GET /v1/models lists those there are") { Status = StatusCodes.Status404NotFound, Code = "model_not_found" };
        using (writing)
        {
            var usage = new UsageCount(prompts.Sum(prompt => prompt.Length));
            http.Items[UsageCount.Key] = usage;
            var head = new AnswerHead($"{shape.IdPrefix}-{Guid.NewGuid():N}", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), name);
            var reader = new AnswerReader(served, request.Asked);
            if (request.Streams) await StreamAsync(http, request, shape, head, usage, reader.PartsAsync(writing, rows, http.RequestAborted)).ConfigureAwait(false);
            else
            {
                var answers = await reader.AllAsync(writing, rows, http.RequestAborted).ConfigureAwait(false);
                usage.Written = answers.Sum(answer => answer.Tokens.Count);
                var choices = answers.Select((answer, row) => shape.Choice(row, answer)).ToArray();
                await RequestBody.WriteAsync(http, 200, new AnswerBody<TChoice>(head.Id, shape.Object, head.Created, head.Model, choices) { Usage = usage.Body(), PromptTokenIds = shape.PromptIds }).ConfigureAwait(false);
            }
        }
    }

    /// <summary>What is too long is told by the field that the prompt came in.</summary>
    private static T WithPromptField<T>(string field, Func<T> act)
    {
        try
        {
            return act();
        }
        catch (ContextLengthException tooLong)
        {
            throw new RequestException(field, tooLong.Message) { Code = "context_length_exceeded" };
        }
    }

    private static async Task StreamAsync<TChoice, TPart>(HttpContext http, AnswerRequest request, AnswerShape<TChoice, TPart> shape, AnswerHead head, UsageCount usage, IAsyncEnumerable<AnswerPart> parts)
    {
        var events = new EventStream(http.Response);
        AnswerBody<TPart> Body(TPart[] choices) => new(head.Id, shape.PartObject, head.Created, head.Model, choices);
        try
        {
            var begun = new HashSet<int>();
            await foreach (var part in parts.ConfigureAwait(false))
            {
                usage.Written += part.Tokens.Count;
                var isFirst = begun.Add(part.Row);
                await events.SendAsync(Body([shape.Part(part, isFirst)]) with { PromptTokenIds = isFirst ? shape.PromptIds : null }).ConfigureAwait(false);
            }

            if (request.IncludesUsage) await events.SendAsync(Body([]) with { Usage = usage.Body() }).ConfigureAwait(false);
            await events.EndAsync().ConfigureAwait(false);
        }
        catch (Exception failure) when (http.Response.HasStarted && failure is not OperationCanceledException { CancellationToken.IsCancellationRequested: true })
        {
            // The status is sent already: what went wrong is the last event.
            await events.SendAsync(Failures.Of(failure).Body).ConfigureAwait(false);
        }
    }

    private sealed record AnswerHead(string Id, long Created, string Model);
}

/// <summary>Numbers of tokens of a request.</summary>
/// <param name="read">Tokens of its prompts.</param>
internal sealed class UsageCount(int read)
{
    /// <summary>Where a request keeps it, for the metrics.</summary>
    public static readonly object Key = new();

    /// <summary>Tokens of its prompts.</summary>
    public int Read => read;

    /// <summary>Tokens written so far.</summary>
    public int Written { get; set; }

    /// <summary>As clients read it.</summary>
    public UsageBody Body() => new(read, Written, read + Written);
}

/// <summary>How an answer looks, whole and in parts.</summary>
internal abstract class AnswerShape<TChoice, TPart>
{
    /// <summary>What ids begin with.</summary>
    public abstract string IdPrefix { get; }

    /// <summary>The field that prompts come in.</summary>
    public abstract string PromptField { get; }

    /// <summary>What a whole answer is called.</summary>
    public abstract string Object { get; }

    /// <summary>What a part is called.</summary>
    public abstract string PartObject { get; }

    /// <summary>The prompt's ids, where they stand outside the choices and were asked for.</summary>
    public virtual int[]? PromptIds => null;

    /// <summary>A whole answer.</summary>
    public abstract TChoice Choice(int row, WholeAnswer answer);

    /// <summary>Some more of an answer.</summary>
    public abstract TPart Part(AnswerPart part, bool isFirst);

    /// <summary>What ended an answer, where it was a stop text or an id that the request named.</summary>
    protected static object? StopReason(AnswerEnd? end) => end?.StopText ?? (object?)end?.StopId;

    /// <summary>The ids, where they were asked for.</summary>
    protected static IReadOnlyList<int>? Ids(AnswerRequest request, IReadOnlyList<WrittenToken> tokens) => request.ReturnsIds ? [.. tokens.Select(token => token.Id)] : null;
}

/// <summary>Answers of <c>/v1/completions</c>.</summary>
internal sealed class CompletionShape(ServedModel served, AnswerRequest request, IReadOnlyList<(int[] Ids, string? Text)> prompts) : AnswerShape<CompletionChoice, CompletionChoice>
{
    private readonly TokenNames _names = new(served, request.NamesTokensById);

    /// <summary>Where the next part of each answer begins in its text.</summary>
    private readonly Dictionary<int, int> _offsets = [];

    public override string IdPrefix => "cmpl";

    public override string PromptField => "prompt";

    public override string Object => "text_completion";

    public override string PartObject => Object;

    public override CompletionChoice Choice(int row, WholeAnswer answer) => Choice(row, answer.Text, answer.Tokens, answer.PromptScores, answer.End, isFirst: true);

    public override CompletionChoice Part(AnswerPart part, bool isFirst) => Choice(part.Row, part.Text, part.Tokens, part.PromptScores, part.End, isFirst);

    private CompletionChoice Choice(int row, string text, IReadOnlyList<WrittenToken> tokens, IReadOnlyList<WrittenToken>? scores, AnswerEnd? end, bool isFirst)
    {
        var (ids, given) = prompts[row / request.Asked.Answers];
        var offset = _offsets.GetValueOrDefault(row);
        var prompt = request.Echo && isFirst ? given ?? served.Tokenizer.Decode(ids) : "";
        var logProbs = request.Asked.LogProbs is null ? null : _names.OfCompletion(scores is null ? null : ids[0], [.. scores ?? [], .. tokens], ref offset);
        _offsets[row] = offset;
        return new CompletionChoice(row, prompt + text, logProbs, end?.Reason, StopReason(end))
        {
            TokenIds = Ids(request, tokens), PromptTokenIds = request.ReturnsIds && isFirst ? ids : null,
        };
    }
}

/// <summary>Answers of <c>/v1/chat/completions</c>.</summary>
internal sealed class ChatShape(ServedModel served, AnswerRequest request, int[] prompt) : AnswerShape<ChatChoice, ChatPartChoice>
{
    private const string Role = "assistant";

    private readonly TokenNames _names = new(served, request.NamesTokensById);

    public override string IdPrefix => "chatcmpl";

    public override string PromptField => "messages";

    public override string Object => "chat.completion";

    public override string PartObject => "chat.completion.chunk";

    public override int[]? PromptIds => request.ReturnsIds ? prompt : null;

    public override ChatChoice Choice(int row, WholeAnswer answer) => new(row, new ChatMessageBody(Role, answer.Text), LogProbs(answer.Tokens), answer.End.Reason, StopReason(answer.End)) { TokenIds = Ids(request, answer.Tokens) };

    public override ChatPartChoice Part(AnswerPart part, bool isFirst) =>
        new(part.Row, new ChatDeltaBody(isFirst ? Role : null, part.Text), LogProbs(part.Tokens), part.End?.Reason, StopReason(part.End)) { TokenIds = Ids(request, part.Tokens) };

    private ChatLogProbs? LogProbs(IReadOnlyList<WrittenToken> tokens) => request.Asked.LogProbs is null ? null : _names.OfChat(tokens);
}
