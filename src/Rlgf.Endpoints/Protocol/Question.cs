using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.ChatTemplates;

namespace Rlgf.Endpoints.Protocol;

/// <summary>A request for one text: what is sent, but for how it is sent. Two equal ones ask the same.</summary>
internal sealed class Question
{
    /// <summary>Paths below the endpoint.</summary>
    public const string Completions = "completions", ChatCompletions = "chat/completions";

    /// <summary>How JSON is written that is compared byte by byte.</summary>
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly JsonObject _fields;

    private Question(string path, JsonObject fields, string given, Decoding decoding, long sample)
    {
        (Path, _fields, Given, Decoding, Sample) = (path, fields, given, decoding, sample);
        fields[decoding.LimitField] = decoding.MaxTokens;
        fields["temperature"] = decoding.Temperature;
        if (decoding.TopP != 1) fields["top_p"] = decoding.TopP;
        if (decoding.SendsStop && decoding.Stop.Count > 0) fields["stop"] = new JsonArray([.. decoding.Stop.Select(text => (JsonNode)text)]);
        if (decoding.SendsSeed && decoding.Temperature > 0) fields["seed"] = sample;
    }

    /// <summary>The path below the endpoint.</summary>
    public string Path { get; }

    /// <summary>The text that is to be gone on from: the prompt of a completion, the beginning of the assistant's turn of a chat; empty where the turn begins with the answer.</summary>
    public string Given { get; }

    /// <summary>How the endpoint writes.</summary>
    public Decoding Decoding { get; }

    /// <summary>Which of several samples it is; the seed where the endpoint takes one.</summary>
    public long Sample { get; }

    /// <summary>How many answers are asked for in one request; this question's is the first.</summary>
    public int Choices { get; private init; } = 1;

    /// <summary>The conversation of a chat, with the beginning of the answer at its end; empty for a completion.</summary>
    public IReadOnlyList<ChatMessage> Messages => [.. (_fields["messages"]?.AsArray() ?? []).Select(message => new ChatMessage((string)message!["role"]!, (string)message["content"]!))];

    /// <summary>All text that the endpoint reads.</summary>
    public string Text => (string?)_fields["prompt"] ?? string.Join('\n', Messages.Select(message => message.Content));

    /// <summary>To go on from a text.</summary>
    public static Question OfText(string model, string text, Decoding decoding, long sample) => new(Completions, new JsonObject { ["model"] = model, ["prompt"] = text }, text, decoding, sample);

    /// <summary>To answer a conversation, or to go on with the answer that it ends with.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="messages">The conversation.</param>
    /// <param name="prefill">The beginning of the answer; empty for none.</param>
    /// <param name="form">How the endpoint is told to go on with the beginning.</param>
    /// <param name="decoding">How it writes.</param>
    /// <param name="sample">Which sample.</param>
    public static Question OfChat(string model, IReadOnlyList<ChatMessage> messages, string prefill, PrefillForm form, Decoding decoding, long sample)
    {
        var sent = new JsonArray([.. messages.Select(message => Message(message.Role, message.Content))]);
        var fields = new JsonObject { ["model"] = model, ["messages"] = sent };
        if (prefill.Length > 0)
        {
            sent.Add((JsonNode)Message(ChatMessage.Assistant, prefill));
            if (form == PrefillForm.ContinueFinalMessage) (fields["continue_final_message"], fields["add_generation_prompt"]) = (true, false);
        }

        return new Question(ChatCompletions, fields, prefill, decoding, sample);
    }

    /// <summary>How often it is repeated at most; null for as often as any other.</summary>
    public int? Retries { get; private init; }

    /// <summary>The same, asked so often in one request.</summary>
    public Question Times(int choices) => new(Path, _fields.DeepClone().AsObject(), Given, Decoding, Sample) { Choices = choices, Retries = Retries };

    /// <summary>The same, for an answer that isn't needed: what fails is hardly repeated.</summary>
    public Question Dispensable() => new(Path, _fields.DeepClone().AsObject(), Given, Decoding, Sample) { Choices = Choices, Retries = 2 };

    /// <summary>What is asked, as JSON: equal texts for equal questions.</summary>
    public string ToJson() => _fields.ToJsonString(Plain);

    /// <summary>The same without the sample: equal texts for questions that differ in nothing but that.</summary>
    public string ToJsonOfAnySample()
    {
        var fields = _fields.DeepClone().AsObject();
        fields.Remove("seed");
        return fields.ToJsonString(Plain);
    }

    /// <summary>What is sent.</summary>
    /// <param name="asksUsage">Whether to ask for usage figures at the end of the stream.</param>
    public string ToBody(bool asksUsage)
    {
        var body = _fields.DeepClone().AsObject();
        // A stream that is closed costs no more; a request for a whole answer is worked at to its end, whoever has gone.
        body["stream"] = true;
        if (Choices > 1) body["n"] = Choices;
        if (asksUsage) body["stream_options"] = new JsonObject { ["include_usage"] = true };
        return body.ToJsonString(Plain);
    }

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}

/// <summary>How an endpoint writes.</summary>
internal sealed record Decoding
{
    /// <summary>Names of the field that limits an answer.</summary>
    public const string MaxTokensField = "max_tokens", MaxCompletionTokensField = "max_completion_tokens";

    /// <summary>The most tokens of an answer, by the endpoint's count.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>What the field is called that says so: newer models of the service take another in chats.</summary>
    public string LimitField { get; init; } = MaxTokensField;

    /// <summary>0 is the likeliest text.</summary>
    public double Temperature { get; init; }

    /// <summary>Only the likeliest tokens that together reach this probability.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Texts before which an answer ends.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Whether the endpoint takes a seed.</summary>
    public bool SendsSeed { get; init; } = true;

    /// <summary>Whether the endpoint is told of <see cref="Stop"/>. If not, an answer is cut when it is here.</summary>
    public bool SendsStop { get; init; } = true;
}

/// <summary>How an endpoint is told to go on with the beginning of an answer.</summary>
internal enum PrefillForm
{
    /// <summary>It can't be told.</summary>
    None,

    /// <summary>A last message of the assistant's is gone on with.</summary>
    TrailingMessage,

    /// <summary>Such a message, with <c>continue_final_message</c> and without <c>add_generation_prompt</c>, as vLLM has it.</summary>
    ContinueFinalMessage,
}
