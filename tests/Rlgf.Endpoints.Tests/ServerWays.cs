namespace Rlgf.Endpoints.Tests;

/// <summary>What goes wrong with one request.</summary>
public enum Fault
{
    None,
    TooManyRequests,
    ServerError,
    Unavailable,
    Hangs,
    Cut,
    InvalidJson,
    EmptyChoice,
    TooManyTokens,
    TwoChoices,
}

/// <summary>When a server says what an answer cost.</summary>
public enum UsageFigures
{
    WhenAsked,
    Always,
    Never,
}

/// <summary>What becomes of a text to stop at.</summary>
public enum StopWay
{
    /// <summary>The answer ends before it.</summary>
    Cut,

    /// <summary>The answer ends with the token that holds it.</summary>
    Kept,
    Ignored,
    Refused,
}
