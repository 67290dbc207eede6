using Rlgf.Prompts;
using Rlgf.Text.Tasks;

namespace Rlgf.Rewards;

/// <summary>1 where a response, run as a <see cref="StackProgram"/>, gets all cases of its row right, 0 elsewhere. Programs have no loops and are run by this process: there is nothing to wait for and nothing to lock away.</summary>
public sealed class StackProgramReward(string name, string column = "cases", FailureRule? failures = null) : ILocalReward, IReadsRows
{
    private readonly FailureRule _failures = failures ?? new FailureRule();

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public IReadOnlyList<RewardScore> Score(IReadOnlyList<Response> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(response => _failures.Of($"the reward '{Name}'", response, () => new RewardScore(Cases(response.Prompt).All(@case => @case.IsMetBy(response.Text)) ? 1 : 0)))];

    FailureRule IReadsRows.Failures => _failures;

    void IReadsRows.Require(Prompt prompt) => Cases(prompt);

    private StackCase[] Cases(Prompt prompt) => [.. RowTexts.Of(prompt, column, $"the reward '{Name}'").Select(text =>
        StackCase.Parse(text) ?? throw new RowFailure($"column '{column}' holds '{text}', which is no case such as '3 7 2=19'"))];
}
