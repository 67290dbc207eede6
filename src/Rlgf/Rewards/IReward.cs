using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>Scores finished responses. One that computes on the spot is shorter as <see cref="ILocalReward"/>, and a function of one response as <see cref="FunctionReward"/>.</summary>
/// <remarks>Asked for whole batches, one after another; a reward that waits for a network parallelises inside.</remarks>
public interface IReward
{
    /// <summary>Name for logs and reports.</summary>
    string Name { get; }

    /// <summary>Scores each response. Ask by <see cref="CheckedScores"/>, which looks at what came back.</summary>
    /// <param name="responses">The responses.</param>
    /// <param name="cancellationToken">Asks for a stop.</param>
    /// <returns>One score for each response, in their order.</returns>
    Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken);
}

/// <summary>A reward that computes on the thread that asks, and waits for nobody.</summary>
public interface ILocalReward : IReward
{
    /// <summary>Scores each response.</summary>
    /// <param name="responses">The responses.</param>
    /// <param name="cancellationToken">Asks for a stop.</param>
    /// <returns>One score for each response, in their order.</returns>
    IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken);

    /// <inheritdoc/>
    Task<IReadOnlyList<RewardScore>> IReward.ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken) => Task.FromResult(Score(responses, cancellationToken));
}

/// <summary>A score.</summary>
/// <param name="Total">What the whole response gets; falls on its last token. A finite number.</param>
/// <param name="Parts">What it was made of, by name, each before its weight; empty for a reward that is one thing. The same names for all responses.</param>
/// <param name="PerToken">Rewards of single tokens (dense reward), exactly A of them, on top of <see cref="Total"/>; null for none.</param>
public sealed record RewardScore(double Total, IReadOnlyDictionary<string, double> Parts, float[]? PerToken = null)
{
    /// <summary>A score that is one thing.</summary>
    public RewardScore(double total) : this(total, EmptyParts) { }

    /// <summary>What kept the response from being scored, where a recipe says that such rows get a score all the same; null for all others.</summary>
    public string? Problem { get; init; }

    /// <summary>The undiscounted sum of all rewards of the response, of single tokens and of the whole: what training maximises, and what metrics, evaluations and the measured gap report.</summary>
    public double Return => PerToken is { } dense ? Total + dense.Sum(reward => (double)reward) : Total;

    private static readonly Dictionary<string, double> EmptyParts = [];
}
