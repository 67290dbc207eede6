using System.Text.Json;
using Rlgf.Base;
using Rlgf.Serving.Answers;
using Rlgf.Text.Conversations;
using Rlgf.Text.Data;
using ChatMessage = Rlgf.ChatTemplates.ChatMessage;

namespace Rlgf.Serving.Protocol;

/// <summary>What <c>/v1/completions</c> and <c>/v1/chat/completions</c> have in common: OpenAI's fields, and those of vLLM that rollouts need.</summary>
internal sealed record AnswerRequest
{
    /// <summary>The most alternatives for each place.</summary>
    private const int MostLogProbs = 20;

    private const string Source = "request";

    /// <summary>Who is asked; null for the model that is served.</summary>
    public string? Model { get; private init; }

    /// <summary>How answers are wanted.</summary>
    public required AnswerAsked Asked { get; init; }

    /// <summary>Whether the answer comes in parts.</summary>
    public bool Streams { get; private init; }

    /// <summary>Whether the last part tells the numbers of tokens.</summary>
    public bool IncludesUsage { get; private init; }

    /// <summary>Whether ids are given of prompt and answer.</summary>
    public bool ReturnsIds { get; private init; }

    /// <summary>Whether log-probabilities name tokens <c>token_id:7</c> in place of their texts.</summary>
    public bool NamesTokensById { get; private init; }

    /// <summary>Whether the prompt stands at the beginning of the answer.</summary>
    public bool Echo { get; private init; }

    /// <summary>Reads a request of <c>/v1/completions</c>.</summary>
    /// <exception cref="RequestException">A field is not what it should be.</exception>
    public static AnswerRequest OfCompletion(RequestFields fields)
    {
        fields.RequireNeutral("suffix", value => value.ValueKind == JsonValueKind.String && value.GetString() == "");
        var answers = fields.Count("n", 1, 1024) ?? 1;
        fields.RequireNeutral("best_of", value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var best) && best == answers);
        var echo = fields.Flag("echo") ?? false;
        var logProbs = fields.Count("logprobs", 0, MostLogProbs);
        var read = Of(fields, fields.Count("max_tokens", echo ? 0 : 1) ?? 16, logProbs, answers);
        return read with { Echo = echo, Asked = read.Asked with { ScoresPrompt = echo && logProbs is not null } };
    }

    /// <summary>Reads a request of <c>/v1/chat/completions</c>.</summary>
    /// <exception cref="RequestException">A field is not what it should be.</exception>
    public static AnswerRequest OfChat(RequestFields fields)
    {
        fields.RequireNeutral("tools", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
        fields.RequireNeutral("functions", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
        var most = fields.Count("top_logprobs", 0, MostLogProbs);
        var wantsLogProbs = fields.Flag("logprobs") ?? false;
        if (most is not null && !wantsLogProbs) throw new RequestException("top_logprobs", "top_logprobs: needs logprobs: true");
        return Of(fields, fields.Count("max_completion_tokens", 1) ?? fields.Count("max_tokens", 1), wantsLogProbs ? most ?? 0 : null, fields.Count("n", 1, 1024) ?? 1);
    }

    /// <summary>The prompts of <c>/v1/completions</c>: a text, a list of texts, ids, or a list of these.</summary>
    /// <exception cref="RequestException">There is none, or something else.</exception>
    public static IReadOnlyList<(int[] Ids, string? Text)> Prompts(RequestFields fields, ServedModel served)
    {
        const string Expected = "a text, a list of texts, a list of token ids or a list of such lists";
        if (fields.Value("prompt") is not { } prompt) throw new RequestException("prompt", $"prompt: is missing: give {Expected}");
        var special = fields.Flag("add_special_tokens") ?? true;
        if (prompt.ValueKind == JsonValueKind.String) return [OfText(prompt.GetString()!)];
        if (prompt.ValueKind != JsonValueKind.Array || prompt.GetArrayLength() == 0) throw RequestFields.Wrong("prompt", Expected, prompt);
        if (RequestFields.Ids(prompt) is { } ids) return [(ids, null)];
        return [.. prompt.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? OfText(item.GetString()!) : (RequestFields.Ids(item) ?? throw RequestFields.Wrong("prompt", Expected, prompt), null))];

        (int[], string?) OfText(string text) => (served.PromptIds(text, special), text);
    }

    /// <summary>The prompt of a conversation.</summary>
    /// <exception cref="RequestException">The messages are not what they should be, or both ways to end the prompt are asked for.</exception>
    public static int[] Conversation(RequestFields fields, ServedModel served)
    {
        var (adds, goesOn) = (fields.Flag("add_generation_prompt") ?? true, fields.Flag("continue_final_message") ?? false);
        if (adds && goesOn)
            throw new RequestException("continue_final_message", "continue_final_message: can't be with add_generation_prompt, which is true by default: set that to false to go on with the last message");
        return served.ConversationIds(Messages(fields), adds, goesOn);
    }

    /// <summary>The messages, by the one reader of conversations.</summary>
    private static IReadOnlyList<ChatMessage> Messages(RequestFields fields)
    {
        if (fields.Value("messages") is not { } messages) throw new RequestException("messages", "messages: is missing: give a list of {\"role\", \"content\"}");
        try
        {
            return ConversationReader.Read(JsonLines.Read(new StringReader($"{{\"messages\":{JsonSerializer.Serialize(messages)}}}"), Source).Single(), "messages");
        }
        catch (InputException wrong)
        {
            // What a file calls a column is a field here.
            throw new RequestException("messages", wrong.Message.Replace($"{Source}:1: column 'messages'", "messages", StringComparison.Ordinal));
        }
    }

    private static AnswerRequest Of(RequestFields fields, int? maxTokens, int? logProbs, int answers)
    {
        foreach (var penalty in (string[])["presence_penalty", "frequency_penalty"]) fields.RequireNeutral(penalty, IsZero);
        fields.RequireNeutral("logit_bias", value => value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any());
        fields.RequireNeutral("response_format", value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() == "text");
        var stream = fields.Value("stream_options") is { ValueKind: JsonValueKind.Object } options ? new RequestFields(options) : null;
        return new AnswerRequest
        {
            Model = fields.Text("model"),
            Streams = fields.Flag("stream") ?? false,
            IncludesUsage = stream?.Flag("include_usage") ?? false,
            ReturnsIds = fields.Flag("return_token_ids") ?? false,
            NamesTokensById = fields.Flag("return_tokens_as_token_ids") ?? false,
            Asked = new AnswerAsked
            {
                Temperature = fields.Number("temperature", 0, 1e6) ?? 1,
                TopP = fields.Number("top_p", 0, 1) ?? 1,
                TopK = Math.Max(0, fields.Count("top_k", -1) ?? 0),
                MinP = fields.Number("min_p", 0, 1) ?? 0,
                TypicalP = fields.Number("typical_p", 0, 1) ?? 1,
                RepetitionPenalty = fields.Number("repetition_penalty", 0, 1e6),
                MaxTokens = maxTokens,
                MinTokens = fields.Count("min_tokens"),
                IgnoresEnd = fields.Flag("ignore_eos") ?? false,
                StopIds = fields.Ids("stop_token_ids") ?? [],
                Stops = fields.Texts("stop"),
                IncludesStop = fields.Flag("include_stop_str_in_output") ?? false,
                Seed = fields.Whole("seed"),
                Answers = answers,
                LogProbs = logProbs,
            },
        };
    }

    private static bool IsZero(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number == 0;
}
