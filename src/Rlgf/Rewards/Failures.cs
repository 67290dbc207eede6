using Rlgf.Base;
using Rlgf.Prompts;

namespace Rlgf.Rewards;

/// <summary>What keeps one row from being scored, and no other.</summary>
/// <param name="problem">What it is, as part of a sentence.</param>
internal sealed class RowFailure(string problem) : Exception(problem);

/// <summary>A reward that compares responses with something of their prompt's row, which can be looked for before there is a response.</summary>
internal interface IReadsRows
{
    /// <summary>What becomes of rows that lack it.</summary>
    FailureRule Failures { get; }

    /// <summary>Looks for it.</summary>
    /// <exception cref="RowFailure">The row lacks it.</exception>
    /// <exception cref="InputException">There is no such column.</exception>
    void Require(Prompt prompt);
}

/// <summary>What becomes of a row that can't be scored: the run stops with a line about it, or the row gets a score of its own and the run goes on.</summary>
/// <param name="Score">The score; null to stop.</param>
/// <param name="Parts">Names of the parts that scores have; a row that can't be scored gets the same number for each.</param>
public sealed record FailureRule(double? Score = null, IReadOnlyList<string>? Parts = null)
{
    private const string Failed = "failed";

    /// <summary>Scores a row.</summary>
    /// <param name="who">The reward, as a sentence begins.</param>
    /// <param name="response">The response.</param>
    /// <param name="score">Scores it.</param>
    /// <exception cref="InputException">It can't be scored, and that is to stop the run.</exception>
    internal RewardScore Of(string who, Response response, Func<RewardScore> score)
    {
        try
        {
            return Done(score());
        }
        catch (RowFailure failure)
        {
            return Of(who, response.Prompt, failure.Message);
        }
    }

    /// <summary>The score of a row that can't be scored.</summary>
    /// <param name="who">The reward, as a sentence begins.</param>
    /// <param name="prompt">The row's prompt.</param>
    /// <param name="problem">What the matter is.</param>
    /// <exception cref="InputException">That is to stop the run.</exception>
    internal RewardScore Of(string who, Prompt prompt, string problem)
    {
        if (Score is not { } score) throw new InputException($"{who}: {OwnCode.Place(prompt)}: {problem}; to go on with a score for such rows, set failure_score");
        var parts = (Parts ?? []).ToDictionary(part => part, _ => score, StringComparer.Ordinal);
        parts[Failed] = 1;
        return new RewardScore(score, parts) { Problem = problem };
    }

    /// <summary>The score of a row that was scored; where others may fail it says that this one did not.</summary>
    internal RewardScore Done(RewardScore score) => Score is null ? score : score with { Parts = new Dictionary<string, double>(score.Parts) { [Failed] = 0 } };
}
