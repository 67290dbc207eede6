using Rlgf.Prompts;
using Rlgf.Text.Metrics;

namespace Rlgf.Rewards;

/// <summary>1 for a response that ended by itself, 0 for one that was cut at the limit.</summary>
/// <param name="name">Name for logs and reports.</param>
public sealed class EndedReward(string name) : ILocalReward
{
    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) => [.. responses.Select(response => new RewardScore(response.Ended ? 1 : 0))];
}

/// <summary>What a length is counted in.</summary>
public enum LengthUnit
{
    /// <summary>The policy's tokens, the end token not counted.</summary>
    Tokens,

    /// <summary>What lies between white space.</summary>
    Words,

    /// <summary>Code points.</summary>
    Characters,

    /// <summary>Lines that are not blank.</summary>
    Lines,
}

/// <summary>1 for a response whose length is within limits, 0 for others.</summary>
/// <param name="name">Name for logs and reports.</param>
/// <param name="unit">What is counted.</param>
/// <param name="atLeast">The least; null for any.</param>
/// <param name="atMost">The most; null for any.</param>
public sealed class LengthRangeReward(string name, LengthUnit unit, int? atLeast, int? atMost) : ILocalReward
{
    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response => new RewardScore(Length(response) is var length && length >= (atLeast ?? 0) && length <= (atMost ?? int.MaxValue) ? 1 : 0))];

    private int Length(Response response) => unit switch
    {
        LengthUnit.Tokens => response.Tokens.Length - (response.Ended ? 1 : 0),
        LengthUnit.Words => PythonText.Split(response.Text).Count,
        LengthUnit.Characters => response.Text.EnumerateRunes().Count(),
        _ => response.Text.Split('\n').Count(line => !string.IsNullOrWhiteSpace(line)),
    };
}
