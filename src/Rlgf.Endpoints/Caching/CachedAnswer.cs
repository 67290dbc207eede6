namespace Rlgf.Endpoints.Caching;

/// <summary>An answer as a cache keeps it.</summary>
public sealed record CachedAnswer
{
    /// <summary>The endpoint that gave it.</summary>
    public required string Endpoint { get; init; }

    /// <summary>The model's name there.</summary>
    public required string Model { get; init; }

    /// <summary>What was asked, as JSON.</summary>
    public required string Question { get; init; }

    /// <summary>Which of several samples it is.</summary>
    public required long Sample { get; init; }

    /// <summary>What was answered.</summary>
    public required string Text { get; init; }

    /// <summary>Why it ended there: <c>stop</c>, <c>length</c>, or another word of the server's.</summary>
    public required string Finish { get; init; }

    /// <summary>Tokens of what was asked: by the server's count, or estimated where it doesn't count.</summary>
    public required long PromptTokens { get; init; }

    /// <summary>Tokens of the answer, counted in the same way.</summary>
    public required long CompletionTokens { get; init; }

    /// <summary>Whether it came in pieces.</summary>
    public bool IsStreamed { get; init; } = true;

    /// <summary>Whether the server counted the tokens.</summary>
    public bool IsCounted { get; init; } = true;

    /// <summary>Which run paid for it: a name without meaning.</summary>
    public string Run { get; init; } = "";

    /// <summary>When it was written, in UTC.</summary>
    public DateTime Written { get; init; }

    /// <summary>Its number in the order of the cache; 0 before it has one.</summary>
    public long Number { get; init; }
}

/// <summary>How much a cache holds of one model.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Model">The model's name there.</param>
/// <param name="Answers">How many answers.</param>
/// <param name="PromptTokens">Their tokens that were read.</param>
/// <param name="CompletionTokens">Their tokens that were written.</param>
/// <param name="First">When the oldest was written, in UTC.</param>
/// <param name="Last">When the newest was written, in UTC.</param>
public sealed record CacheCount(string Endpoint, string Model, long Answers, long PromptTokens, long CompletionTokens, DateTime First, DateTime Last);
