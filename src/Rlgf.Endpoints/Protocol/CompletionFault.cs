using System.Net;

namespace Rlgf.Endpoints.Protocol;

/// <summary>An answer that is none. Another attempt may bring one, so that it counts as a failure of the attempt.</summary>
/// <param name="kind">What happened, as it is counted.</param>
/// <param name="message">What happened, as part of a sentence.</param>
internal sealed class CompletionFault(string kind, string message) : HttpRequestException(message)
{
    /// <summary>Kinds of faults, as they are counted and listed.</summary>
    public const string InvalidJson = "invalid JSON", NoChoice = "no choice", OtherForm = "answer in another form", ChoiceCount = "another number of choices",
        TooLong = "too many tokens", Unfinished = "answer broken off", Error = "error within an answer", TimedOut = "no answer in time", Connection = "no connection", Broken = "server left alone";

    /// <summary>What happened, as it is counted.</summary>
    public string Kind { get; } = kind;

    /// <summary>Of an error that the server says within an answer: the status that it would have had, and its words; null where it doesn't say.</summary>
    public (HttpStatusCode Status, string Said)? Refusal { get; init; }
}
