using System.Globalization;
using Rlgf.Base;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Text.Tasks;

namespace Rlgf.Guides;

/// <summary>
/// Finishes the expression of a countdown, whatever stands there, by a search through all that can follow: with the stated probability by one that gives the target, else by one that doesn't. What can't be finished rightly any
/// more is finished wrongly; what is no beginning of an expression of the given numbers is left as it is.
/// </summary>
/// <param name="right">The share of right ones among answers that can be right, 0 to 1.</param>
public sealed class CountdownSearchGuide(double right) : ILocalGuide, IReadsRows
{
    /// <inheritdoc/>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"countdown search, {right:G3} right");

    /// <inheritdoc/>
    public bool CanRollOut => true;

    /// <inheritdoc/>
    public IReadOnlyList<GuideContinuation> Continue(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) => [.. requests.Select(request =>
    {
        cancellationToken.ThrowIfCancellationRequested();
        var (search, random) = (new CountdownSearch(Problem(request.Prompt)), new RandomStream(request.Stream));
        var wanted = random.NextDouble() < right;
        return new GuideContinuation(search.Finish(request.ResponseSoFar, wanted, random) ?? search.Finish(request.ResponseSoFar, !wanted, random) ?? "", Ended: true);
    })];

    FailureRule IReadsRows.Failures => new();

    void IReadsRows.Require(Prompt prompt) => Problem(prompt);

    private CountdownProblem Problem(Prompt prompt)
    {
        var row = prompt.Row ?? throw new InputException($"the guide '{Name}' reads the columns of a data row, and {OwnCode.Place(prompt)} came from none");
        var problem = CountdownProblem.Of(row);
        return problem.Numbers.Count <= CountdownSearch.MaxNumbers ? problem
            : throw row.Invalid("meta", $"has {problem.Numbers.Count} numbers, and the guide '{Name}' tries all expressions of at most {CountdownSearch.MaxNumbers}; filter such rows out");
    }
}
