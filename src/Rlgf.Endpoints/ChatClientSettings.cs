using Microsoft.Extensions.AI;
using Rlgf.Endpoints.Asking;
using Rlgf.Endpoints.Budgets;
using Rlgf.Endpoints.Caching;
using Rlgf.Endpoints.Protocol;
using Rlgf.Recipes;
using Rlgf.Tokenizers;

namespace Rlgf.Endpoints;

/// <summary>How a chat client of a program's own is asked as a guide.</summary>
public sealed record ChatClientSettings
{
    /// <summary>Of which conversation its answer is the response; null: the prompt's own, or, where the prompt is a text, it is asked to continue the text.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>How it writes.</summary>
    public EndpointSampling Sampling { get; init; } = new();

    /// <summary>Whether it goes on with a last message of the assistant's, so that it can finish what another began. Nothing finds that out here: say so only where it is known.</summary>
    public bool ContinuesLastMessage { get; init; }

    /// <summary>The file that answers are kept in and found again; null for none.</summary>
    public string? Cache { get; init; }

    /// <summary>Counts tokens where the client doesn't; null: they are then not counted.</summary>
    public ITokenizer? Tokenizer { get; init; }

    /// <summary>How many requests are on their way at once.</summary>
    public int InFlight { get; init; } = 8;

    internal EndpointGuideParts Parts(IChatClient client, string name)
    {
        var ledger = new Ledger(new Limits(), null);
        var cache = Cache is null ? null : AnswerCache.Open(Cache);
        return new EndpointGuideParts
        {
            Address = name,
            Form = new QuestionForm
            {
                Model = name,
                Mode = ContinuesLastMessage ? EndpointMode.ChatWithPrefill : EndpointMode.ChatWithoutPrefill,
                Prefill = PrefillForm.TrailingMessage,
                Chat = Chat,
                Decoding = new Decoding { MaxTokens = Sampling.MaxTokens ?? 0, Temperature = Sampling.Temperature, TopP = Sampling.TopP, Stop = Sampling.Stop },
            },
            Answers = new PaidAnswers(("chat client", name), (question, stop) => AskAsync(client, question, stop), cache, ledger, text => Tokenizer?.Encode(text, addSpecialTokens: true).Length ?? 0, InFlight),
            Ledger = ledger,
            Faults = new KindCounts(),
            RollOutProblem = "a chat client begins each answer; set ContinuesLastMessage where it goes on with a last message of the assistant's",
            Owned = cache is null ? [] : [cache],
        };
    }

    private static async Task<Completion> AskAsync(IChatClient client, Question question, CancellationToken cancellationToken)
    {
        var decoding = question.Decoding;
        var options = new ChatOptions
        {
            MaxOutputTokens = decoding.MaxTokens,
            Temperature = (float)decoding.Temperature,
            TopP = decoding.TopP == 1 ? null : (float)decoding.TopP,
            Seed = decoding.Temperature > 0 ? question.Sample : null,
            StopSequences = decoding.Stop.Count > 0 ? [.. decoding.Stop] : null,
        };
        var messages = question.Messages.Select(message => new Microsoft.Extensions.AI.ChatMessage(new ChatRole(message.Role), message.Content));
        // Streamed, so that what is cancelled is not written to its end.
        var response = await client.GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken).ConfigureAwait(false);
        var usage = response.Usage is { InputTokenCount: { } read, OutputTokenCount: { } written } ? new Usage(read, written) : (Usage?)null;
        return new Completion([new Choice(response.Text, response.FinishReason?.Value ?? Choice.Stop)], usage, IsStreamed: true);
    }
}
