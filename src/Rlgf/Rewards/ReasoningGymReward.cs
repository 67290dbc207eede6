using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Text.Tasks;

namespace Rlgf.Rewards;

/// <summary>Which number a reasoning-gym answer gets.</summary>
public enum ReasoningGymRule
{
    /// <summary>1 for a right answer with nothing else in the response but white space around it, 0 for all others.</summary>
    Right,

    /// <summary>The number that the package gives, which has partial credit that can be had without any skill: to compare with others' results.</summary>
    Package,
}

/// <summary>Scores answers to problems of reasoning-gym; see <see cref="ReasoningGymProblem"/> for the columns that it reads.</summary>
/// <param name="name">Name for logs and reports.</param>
/// <param name="rule">Which number.</param>
/// <param name="failures">What becomes of rows that can't be scored.</param>
public sealed class ReasoningGymReward(string name, ReasoningGymRule rule = ReasoningGymRule.Right, FailureRule? failures = null) : ILocalReward, IReadsRows
{
    private readonly FailureRule _failures = failures ?? new FailureRule();

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response => _failures.Of($"the reward '{Name}'", response, () =>
        {
            var problem = Problem(response.Prompt);
            return new RewardScore(rule == ReasoningGymRule.Package ? problem.PackageScore(response.Text) : problem.IsRight(response.Text) ? 1 : 0);
        }))];

    FailureRule IReadsRows.Failures => _failures;

    void IReadsRows.Require(Prompt prompt) => Problem(prompt);

    private ReasoningGymProblem Problem(Prompt prompt)
    {
        var row = prompt.Row ?? throw new InputException($"the reward '{Name}' reads the columns of a data row, and {OwnCode.Place(prompt)} came from none");
        // Without the column no row can be scored, whatever becomes of single ones.
        _ = row[ReasoningGymProblem.ScorerColumn];
        try
        {
            return ReasoningGymProblem.Of(row);
        }
        catch (InputException fault)
        {
            throw new RowFailure(fault.Message.StartsWith(row.Location + ": ", StringComparison.Ordinal) ? fault.Message[(row.Location.Length + 2)..] : fault.Message);
        }
    }
}
