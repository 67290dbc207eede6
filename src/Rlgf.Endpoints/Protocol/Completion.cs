namespace Rlgf.Endpoints.Protocol;

/// <summary>What an endpoint answered.</summary>
/// <param name="Choices">Its choices, by their index.</param>
/// <param name="Usage">What it says that the answer cost; null where it says nothing.</param>
/// <param name="IsStreamed">Whether it came in pieces.</param>
internal sealed record Completion(IReadOnlyList<Choice> Choices, Usage? Usage, bool IsStreamed);

/// <summary>One text that was written.</summary>
/// <param name="Text">The text.</param>
/// <param name="Finish">Why it ended: <c>stop</c>, <c>length</c>, or another word of the server's.</param>
internal sealed record Choice(string Text, string Finish)
{
    /// <summary>It ended by itself.</summary>
    public const string Stop = "stop";

    /// <summary>It was cut at the limit of tokens.</summary>
    public const string Length = "length";
}

/// <summary>Tokens by the server's count.</summary>
/// <param name="PromptTokens">Of what it was given.</param>
/// <param name="CompletionTokens">Of what it wrote.</param>
internal readonly record struct Usage(long PromptTokens, long CompletionTokens);
