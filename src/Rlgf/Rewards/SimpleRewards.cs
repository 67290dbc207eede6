using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>A C# function as reward.</summary>
/// <param name="name">Name for logs and reports.</param>
/// <param name="score">Scores one response.</param>
public sealed class FunctionReward(string name, Func<Response, double> score) : ILocalReward
{
    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <summary>The function.</summary>
    internal Func<Response, double> Function => score;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response =>
            new RewardScore(OwnCode.Run($"the reward '{Name}'", OwnCode.Place(response.Prompt), () => score(response), cancellationToken)))];
}

/// <summary>1 where a regular expression matches the response, 0 elsewhere.</summary>
public sealed class RegexReward : ILocalReward
{
    private readonly Regex _pattern;
    private readonly bool _includePrompt;

    /// <summary>Makes a reward of a .NET regular expression.</summary>
    /// <exception cref="InputException">The pattern is malformed.</exception>
    public RegexReward(string name, string pattern, bool includePrompt = false)
    {
        (Name, _includePrompt) = (name, includePrompt);
        _pattern = UserPattern.TryParse(pattern, out var problem) ?? throw new InputException($"the pattern of the reward '{name}' is not a regular expression that can be used: {problem}");
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <summary>The expression.</summary>
    public string Pattern => _pattern.ToString();

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response => new RewardScore(_pattern.IsMatch(_includePrompt ? response.Whole : response.Text) ? 1 : 0))];
}

/// <summary>How near the response's length is to a target: 1 − |length − target| / target, at least −1; tokens, the end token not counted.</summary>
public sealed class LengthReward : ILocalReward
{
    /// <summary>Makes the reward.</summary>
    /// <exception cref="InputException">The target is not positive.</exception>
    public LengthReward(string name, int targetTokens)
    {
        if (targetTokens <= 0) throw new InputException($"the target of the reward '{name}' is {targetTokens} tokens: it must be above 0.");
        (Name, TargetTokens) = (name, targetTokens);
    }

    /// <summary>The target.</summary>
    public int TargetTokens { get; }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response => new RewardScore(Math.Max(-1, 1 - Math.Abs(response.Tokens.Length - (response.Ended ? 1 : 0) - TargetTokens) / (double)TargetTokens)))];
}

/// <summary>A weighted sum of rewards; each part is logged by its name, before its weight. Parts that wait for an answer wait at the same time.</summary>
/// <param name="parts">Rewards and weights; names must differ.</param>
public sealed class WeightedReward(IReadOnlyList<(IReward Reward, double Weight)> parts) : IReward
{
    /// <summary>The rewards and their weights.</summary>
    public IReadOnlyList<(IReward Reward, double Weight)> Parts { get; } = parts;

    /// <inheritdoc/>
    public string Name { get; } = string.Join(" + ", parts.Select(part => FormattableString.Invariant($"{part.Weight} {part.Reward.Name}")));

    /// <inheritdoc/>
    public async Task<IReadOnlyList<RewardScore>> ScoreAsync(IReadOnlyList<Response> responses, CancellationToken cancellationToken)
    {
        var answers = await Task.WhenAll(Parts.Select(part => CheckedScores.OfAsync(part.Reward, responses, cancellationToken))).ConfigureAwait(false);
        var scores = Parts.Zip(answers, (part, scores) => (part.Reward.Name, part.Weight, Scores: scores)).ToArray();
        return [.. responses.Select((response, row) => new RewardScore(scores.Sum(part => part.Weight * part.Scores[row].Total), Named(row), PerToken(response, row))
        {
            Problem = scores.Select(part => part.Scores[row].Problem is { } problem ? $"{part.Name}: {problem}" : null).FirstOrDefault(problem => problem is not null),
        })];

        // A part's own parts are named after it.
        Dictionary<string, double> Named(int row)
        {
            var named = scores.ToDictionary(part => part.Name, part => part.Scores[row].Return);
            foreach (var part in scores)
                foreach (var (name, value) in part.Scores[row].Parts) named[$"{part.Name}/{name}"] = value;
            return named;
        }

        float[]? PerToken(Response response, int row)
        {
            if (scores.All(part => part.Scores[row].PerToken is null)) return null;
            var sum = new float[response.Tokens.Length];
            foreach (var part in scores)
                if (part.Scores[row].PerToken is { } dense)
                    for (var t = 0; t < sum.Length; t++) sum[t] += (float)part.Weight * dense[t];
            return sum;
        }
    }
}
