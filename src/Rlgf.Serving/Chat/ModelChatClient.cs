using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Serving.Answers;
using Rlgf.Serving.Engine;
using ModelMessage = Rlgf.ChatTemplates.ChatMessage;

namespace Rlgf.Serving.Chat;

/// <summary>A model of this process as a chat client: the same engine, texts and numbers as over HTTP, without a server. Several may ask at once; their answers are written in one batch.</summary>
internal sealed class ModelChatClient : IChatClient
{
    /// <summary>Among <see cref="ChatOptions.AdditionalProperties"/>: true goes on with the assistant's message at the end, as the field of that name does over HTTP.</summary>
    private const string ContinueFinalMessage = "continue_final_message";

    private readonly ServedModel _served;
    private readonly EngineMetrics _metrics;
    private readonly ModelEngine _engine;
    private readonly ChatClientMetadata _metadata;

    /// <summary>Starts the engine.</summary>
    /// <param name="model">The model; it stays its owner's.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="settings">What bounds the work.</param>
    /// <exception cref="InputException">The model has no chat template.</exception>
    public ModelChatClient(TextModel model, string name, EngineSettings settings)
    {
        _served = new ServedModel(model, TextModel.TokenizerFolderOf(model.Folder), settings);
        if (_served.Conversations is null) throw new InputException($"{_served.TokenizerFolder}: the model has no chat template, and without one it can't be asked with messages");
        _metrics = new EngineMetrics(name);
        _engine = new ModelEngine(settings, _metrics);
        _metadata = new ChatClientMetadata("rlgf", defaultModelId: name);
    }

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var (asked, rows) = Rows(messages, options);
        using var writing = _engine.Write(rows);
        var answer = (await new AnswerReader(_served, asked).AllAsync(writing, rows.Count, cancellationToken).ConfigureAwait(false))[0];
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, answer.Text))
        {
            ModelId = _metadata.DefaultModelId, CreatedAt = DateTimeOffset.UtcNow, FinishReason = Reason(answer.End), Usage = Usage(rows, answer.Tokens.Count),
        };
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var (asked, rows) = Rows(messages, options);
        using var writing = _engine.Write(rows);
        var (id, written) = (Guid.NewGuid().ToString("N"), 0);
        await foreach (var part in new AnswerReader(_served, asked).PartsAsync(writing, rows.Count, cancellationToken).ConfigureAwait(false))
        {
            written += part.Tokens.Count;
            var update = new ChatResponseUpdate(ChatRole.Assistant, part.Text) { ModelId = _metadata.DefaultModelId, ResponseId = id, MessageId = id, CreatedAt = DateTimeOffset.UtcNow };
            if (part.End is { } end)
            {
                update.FinishReason = Reason(end);
                update.Contents.Add(new UsageContent(Usage(rows, written)));
            }

            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null : serviceType == typeof(ChatClientMetadata) ? _metadata : serviceType.IsInstanceOfType(this) ? this : null;
    }

    public void Dispose()
    {
        _engine.Dispose();
        _metrics.Dispose();
    }

    private (AnswerAsked Asked, IReadOnlyList<RowOrder> Rows) Rows(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        ArgumentNullException.ThrowIfNull(messages);
        RequireSupported(options);
        ModelMessage[] read = [.. options?.Instructions is { Length: > 0 } instructions ? (ModelMessage[])[new("system", instructions)] : [], .. messages.Select(Read)];
        var goesOn = options?.AdditionalProperties?.TryGetValue(ContinueFinalMessage, out bool asks) == true && asks;
        var prompt = _served.ConversationIds(read, addGenerationPrompt: !goesOn, goesOn);
        var asked = new AnswerAsked
        {
            Temperature = options?.Temperature ?? 1,
            TopP = options?.TopP ?? 1,
            TopK = options?.TopK ?? 0,
            MaxTokens = options?.MaxOutputTokens,
            Stops = [.. options?.StopSequences ?? []],
            Seed = options?.Seed,
        };
        return (asked, asked.Rows(_served, _served.Text.Model, [prompt], _engine.Settings));
    }

    /// <summary>What would change the answer and isn't done is refused rather than passed over.</summary>
    private void RequireSupported(ChatOptions? options)
    {
        if (options is null) return;
        if (options.ModelId is { } other && other != _metadata.DefaultModelId) throw new InputException($"there is no model '{other}' here, only '{_metadata.DefaultModelId}'");
        if (options.Tools is { Count: > 0 }) throw new NotSupportedException("The model calls no tools: leave ChatOptions.Tools out.");
        if (options.ResponseFormat is ChatResponseFormatJson) throw new NotSupportedException("The model is held to no format: leave ChatOptions.ResponseFormat out.");
        if (options is not { FrequencyPenalty: null or 0, PresencePenalty: null or 0 }) throw new NotSupportedException("There are no frequency and presence penalties: leave them out.");
    }

    private static ModelMessage Read(ChatMessage message) => message.Contents.FirstOrDefault(content => content is not (TextContent or UsageContent)) is { } other
        ? throw new NotSupportedException($"The model reads text, and a message holds {other.GetType().Name}.")
        : new ModelMessage(message.Role.Value, message.Text);

    private static ChatFinishReason Reason(AnswerEnd end) => end.AtLimit ? ChatFinishReason.Length : ChatFinishReason.Stop;

    private static UsageDetails Usage(IReadOnlyList<RowOrder> rows, int written) => new() { InputTokenCount = rows[0].Prompt.Length, OutputTokenCount = written, TotalTokenCount = rows[0].Prompt.Length + written };
}
