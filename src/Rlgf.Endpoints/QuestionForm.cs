using Rlgf.ChatTemplates;
using Rlgf.Endpoints.Caching;
using Rlgf.Endpoints.Protocol;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Recipes;

namespace Rlgf.Endpoints;

/// <summary>How a request to the guide becomes a question to its endpoint, and the answer a continuation.</summary>
internal sealed record QuestionForm
{
    /// <summary>What a text is asked for with, where the endpoint knows conversations alone.</summary>
    private const string Instruction = "Continue the following text. Write what comes next and nothing else: no introduction, no quotation marks, nothing of the text again.\n\n" + ChatSection.PromptName;

    private static readonly ChatSection OfText = new() { Instruction = Instruction };

    /// <summary>The model's name.</summary>
    public required string Model { get; init; }

    /// <summary>How it is asked; not <see cref="EndpointMode.Auto"/>.</summary>
    public required EndpointMode Mode { get; init; }

    /// <summary>How a beginning is gone on with.</summary>
    public PrefillForm Prefill { get; init; }

    /// <summary>
    /// Whether white space at the end of a beginning stays there. Some templates cut it off: it is then not sent, and taken off the answer, which should begin with it.
    /// </summary>
    public bool KeepsLastBlank { get; init; }

    /// <summary>How the conversation is made; null for the prompt's own.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>Makes a text of a conversation; null for none.</summary>
    public ChatTemplate? Template { get; init; }

    /// <summary>How it writes; the most tokens are 0 where the request says how many.</summary>
    public required Decoding Decoding { get; init; }

    /// <summary>Whether it can go on from what another wrote.</summary>
    public bool CanGoOn => Mode is EndpointMode.Completion or EndpointMode.ChatWithPrefill;

    /// <summary>The question of a request.</summary>
    public Question Of(GuideRequest request)
    {
        // The streams are 64 bits of a run's random numbers; a seed has 31 with every server.
        var sample = (long)(request.Stream >> 33);
        var decoding = Decoding.MaxTokens > 0 ? Decoding : Decoding with { MaxTokens = request.MaxTokens };
        if (Mode == EndpointMode.Completion)
            return Question.OfText(Model, StandsAlone(request) ? Template!.Render((Chat ?? new ChatSection()).Messages(request.Prompt), addGenerationPrompt: true) + Beginning(request) : Beginning(request), decoding, sample);
        var messages = (Chat ?? (StandsAlone(request) ? new ChatSection() : OfText)).Messages(request.Prompt);
        var prefill = Mode != EndpointMode.ChatWithPrefill ? "" : KeepsLastBlank ? Beginning(request) : Beginning(request).TrimEnd();
        return Question.OfChat(Model, messages, prefill, Prefill, decoding, sample);
    }

    /// <summary>What an answer is as a continuation; null where it is none.</summary>
    /// <param name="request">The request.</param>
    /// <param name="question">Its question.</param>
    /// <param name="answer">The answer.</param>
    /// <param name="cleaner">Takes the continuation out of an answer that may hold more.</param>
    public GuideContinuation? Continuation(GuideRequest request, Question question, CachedAnswer answer, AnswerCleaner cleaner)
    {
        var text = answer.Text;
        if (question.Given.Length > 0 && Mode == EndpointMode.ChatWithPrefill)
        {
            // llama.cpp begins a whole answer with what it was given, and a streamed one not.
            if (!answer.IsStreamed && text.StartsWith(question.Given, StringComparison.Ordinal)) text = text[question.Given.Length..];
            var cutOff = Beginning(request)[question.Given.Length..];
            if (cutOff.Length > 0 && text.StartsWith(cutOff, StringComparison.Ordinal)) text = text[cutOff.Length..];
        }
        else if (Mode == EndpointMode.ChatWithoutPrefill && !StandsAlone(request))
        {
            if (cleaner.Clean(request.Prompt.Text, text) is not { } clean) return null;
            text = clean;
        }

        var ended = answer.Finish == Choice.Stop;
        var stop = Decoding.Stop.Select(word => text.IndexOf(word, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        // Some servers leave the text there at which they stopped.
        if (stop >= 0) (text, ended) = (text[..stop], true);
        if (request.ResponseSoFar.Length == 0) text = ResponseText.Separator(request.Prompt.Text, text, StandsAlone(request)) + text;
        return new GuideContinuation(text, ended);
    }

    /// <summary>What is gone on with: the response so far, and the prompt before it where the two are one text.</summary>
    private string Beginning(GuideRequest request) => StandsAlone(request) ? request.ResponseSoFar.TrimStart() : request.Prompt.Text + request.ResponseSoFar;

    /// <summary>Whether the answer is a text of its own rather than the rest of the prompt's.</summary>
    private bool StandsAlone(GuideRequest request) => Chat is not null || request.Prompt.Messages is not null;
}
