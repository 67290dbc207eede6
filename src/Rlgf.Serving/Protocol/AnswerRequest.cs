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
    public static AnswerRequest OfCompletion(RequestFields fields, ServedModel served)
    {
        fields.RequireNeutral("suffix", value => value.ValueKind == JsonValueKind.String && value.GetString() == "");
        var answers = fields.Count("n", 1, 1024) ?? 1;
        fields.RequireNeutral("best_of", value => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var best) && best == answers);
        var echo = fields.Flag("echo") ?? false;
        var logProbs = fields.Count("logprobs", 0, MostLogProbs);
        var read = Of(fields, served, fields.Count("max_tokens", echo ? 0 : 1) ?? 16, logProbs, answers);
        return read with { Echo = echo, Asked = read.Asked with { ScoresPrompt = echo && logProbs is not null } };
    }

    /// <summary>Reads a request of <c>/v1/chat/completions</c>.</summary>
    /// <exception cref="RequestException">A field is not what it should be.</exception>
    public static AnswerRequest OfChat(RequestFields fields, ServedModel served)
    {
        fields.RequireNeutral("tools", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
        fields.RequireNeutral("functions", value => value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0);
        var most = fields.Count("top_logprobs", 0, MostLogProbs);
        var wantsLogProbs = fields.Flag("logprobs") ?? false;
        if (most is not null && !wantsLogProbs) throw new RequestException("top_logprobs", "top_logprobs: needs logprobs: true");
        return Of(fields, served, fields.Count("max_completion_tokens", 1) ?? fields.Count("max_tokens", 1), wantsLogProbs ? most ?? 0 : null, fields.Count("n", 1, 1024) ?? 1);
    }

    /// <summary>The prompts of <c>/v1/completions</c>: a text, a list of texts, ids, or a list of these.</summary>
    /// <exception cref="RequestException">There is none, or something else.</exception>
    public static IReadOnlyList<(int[] Ids, string? Text)> Prompts(RequestFields fields, ServedModel served)
    {
        const string Expected = "a text, a list of texts, a list of token ids or a list of such lists";
        if (fields.Value("prompt") is not { } prompt) throw new RequestException("prompt", $"prompt: is missing: give {Expected}");
        var special = fields.Flag("add_special_tokens") ?? true;
        if (prompt.ValueKind == JsonValueKind.String) return [OfText(prompt)];
        if (prompt.ValueKind != JsonValueKind.Array || prompt.GetArrayLength() == 0) throw RequestFields.Wrong("prompt", Expected, prompt);
        if (RequestFields.Ids(prompt) is { } ids) return [OfIds(ids)];
        return [.. prompt.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? OfText(item) : OfIds(RequestFields.Ids(item) ?? throw RequestFields.Wrong("prompt", Expected, prompt)))];

        (int[], string?) OfText(JsonElement given)
        {
            var text = RequestFields.Text("prompt", given);
            return (RequestFields.Of("prompt", () => served.PromptIds(text, special)), text);
        }

        (int[], string?) OfIds(int[] given) => given.Length > 0 ? (Known("prompt", given, served), null) : throw new RequestException("prompt", "prompt: a list of token ids is empty");
    }

    /// <summary>Ids that the model has.</summary>
    private static int[] Known(string field, int[] ids, ServedModel served) => ids.All(id => id >= 0 && id < served.Shape.Vocabulary)
        ? ids
        : throw new RequestException(field, $"{field}: there is no token {ids.First(id => id < 0 || id >= served.Shape.Vocabulary)}: ids are 0 to {served.Shape.Vocabulary - 1}");

    /// <summary>The prompt of a conversation.</summary>
    /// <exception cref="RequestException">The messages are not what they should be, or both ways to end the prompt are asked for.</exception>
    public static int[] Conversation(RequestFields fields, ServedModel served)
    {
        var (adds, goesOn) = (fields.Flag("add_generation_prompt") ?? true, fields.Flag("continue_final_message") ?? false);
        if (adds && goesOn)
            throw new RequestException("continue_final_message", "continue_final_message: can't be with add_generation_prompt, which is true by default: set that to false to go on with the last message");
        var messages = Messages(fields);
        return RequestFields.Of("messages", () => served.ConversationIds(messages, adds, goesOn));
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
        catch (InvalidOperationException)
        {
            throw RequestFields.NoUnicode("messages");
        }
    }

    private static AnswerRequest Of(RequestFields fields, ServedModel served, int? maxTokens, int? logProbs, int answers)
    {
        foreach (var penalty in (string[])["presence_penalty", "frequency_penalty"]) fields.RequireNeutral(penalty, IsZero);
        fields.RequireNeutral("logit_bias", value => value.ValueKind == JsonValueKind.Object && !value.EnumerateObject().Any());
        fields.RequireNeutral("response_format", value => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() == "text");
        var stream = fields.Section("stream_options");
        var stops = fields.Texts("stop");
        if (stops.Any(string.IsNullOrEmpty)) throw new RequestException("stop", "stop: one of the texts is empty: every answer would end at once");
        var minTokens = fields.Count("min_tokens");
        if (minTokens > maxTokens) throw new RequestException("min_tokens", $"min_tokens: {minTokens} tokens at least and {maxTokens} at most can't both be");
        return new AnswerRequest
        {
            Model = fields.Text("model"),
            Streams = fields.Flag("stream") ?? false,
            IncludesUsage = stream?.Flag("include_usage") ?? false,
            ReturnsIds = fields.Flag("return_token_ids") ?? false,
            NamesTokensById = fields.Flag("return_tokens_as_token_ids") ?? false,
            Asked = new AnswerAsked
            {
                Temperature = fields.Factor("temperature", zero: true) ?? 1,
                TopP = fields.Share("top_p") ?? 1,
                TopK = Math.Max(0, fields.Count("top_k", -1) ?? 0),
                MinP = fields.Number("min_p", 0, 1) ?? 0,
                TypicalP = fields.Share("typical_p") ?? 1,
                RepetitionPenalty = fields.Factor("repetition_penalty"),
                MaxTokens = maxTokens,
                MinTokens = minTokens,
                IgnoresEnd = fields.Flag("ignore_eos") ?? false,
                StopIds = Known("stop_token_ids", fields.Ids("stop_token_ids") ?? [], served),
                Stops = stops,
                IncludesStop = fields.Flag("include_stop_str_in_output") ?? false,
                Seed = fields.Whole("seed"),
                Answers = answers,
                LogProbs = logProbs,
            },
        };
    }

    private static bool IsZero(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number == 0;
}
