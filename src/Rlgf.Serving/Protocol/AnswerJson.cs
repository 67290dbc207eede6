using System.Text.Json;
using System.Text.Json.Serialization;

namespace Rlgf.Serving.Protocol;

/// <summary>How answers are written: OpenAI's names, null where its schema has null.</summary>
internal static class AnswerJson
{
    /// <summary>The one set of options.</summary>
    public static JsonSerializerOptions Options { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}

/// <summary>An answer of <c>/v1/completions</c> or <c>/v1/chat/completions</c>, or a part of one.</summary>
/// <param name="Id">Names the answer.</param>
/// <param name="Object">What it is.</param>
/// <param name="Created">When, in seconds since 1970.</param>
/// <param name="Model">Who wrote it.</param>
/// <param name="Choices">The answers, or parts of them.</param>
internal sealed record AnswerBody<TChoice>(string Id, string Object, long Created, string Model, IReadOnlyList<TChoice> Choices)
{
    /// <summary>Numbers of tokens.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public UsageBody? Usage { get; init; }

    /// <summary>Of a conversation, its ids, where they were asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int[]? PromptTokenIds { get; init; }
}

/// <summary>Numbers of tokens: of each prompt once, and of all answers, end tokens included.</summary>
internal sealed record UsageBody(int PromptTokens, int CompletionTokens, int TotalTokens);

/// <summary>One answer of <c>/v1/completions</c>, or some more of it.</summary>
internal sealed record CompletionChoice(int Index, string Text, CompletionLogProbs? Logprobs, string? FinishReason, object? StopReason)
{
    /// <summary>The answer's ids, where they were asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }

    /// <summary>The prompt's ids, where they were asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int[]? PromptTokenIds { get; init; }
}

/// <summary>Log-probabilities as <c>/v1/completions</c> has them: an entry for each token, null for one before which nothing stands.</summary>
internal sealed record CompletionLogProbs(IReadOnlyList<string> Tokens, IReadOnlyList<float?> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs, IReadOnlyList<int> TextOffset);

/// <summary>One answer of <c>/v1/chat/completions</c>.</summary>
internal sealed record ChatChoice(int Index, ChatMessageBody Message, ChatLogProbs? Logprobs, string? FinishReason, object? StopReason)
{
    /// <summary>The answer's ids, where they were asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>Some more of an answer of <c>/v1/chat/completions</c>.</summary>
internal sealed record ChatPartChoice(int Index, ChatDeltaBody Delta, ChatLogProbs? Logprobs, string? FinishReason, object? StopReason)
{
    /// <summary>The part's ids, where they were asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>The assistant's message.</summary>
internal sealed record ChatMessageBody(string Role, string Content, string? Refusal = null);

/// <summary>What a message grows by.</summary>
internal sealed record ChatDeltaBody(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Role,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Content);

/// <summary>Log-probabilities as <c>/v1/chat/completions</c> has them.</summary>
internal sealed record ChatLogProbs(IReadOnlyList<ChatTokenLogProb> Content, string? Refusal = null);

/// <summary>A token with the most likely ones at its place.</summary>
internal sealed record ChatTokenLogProb(string Token, float Logprob, int[]? Bytes, IReadOnlyList<ChatTopLogProb> TopLogprobs);

/// <summary>One of the most likely tokens.</summary>
internal sealed record ChatTopLogProb(string Token, float Logprob, int[]? Bytes);

/// <summary>What went wrong, as OpenAI's clients read it.</summary>
internal sealed record ErrorBody(ErrorDetail Error);

/// <summary>What went wrong.</summary>
internal sealed record ErrorDetail(string Message, string Type, string? Param, string? Code);
