using System.Collections.ObjectModel;
using System.Globalization;
using Rlgf.Base;
using Rlgf.Endpoints.Asking;
using Rlgf.Endpoints.Budgets;
using Rlgf.Endpoints.Caching;
using Rlgf.Endpoints.Protocol;
using Rlgf.Guides;
using Rlgf.Rewards;

namespace Rlgf.Endpoints;

/// <summary>A guide elsewhere: an endpoint, or a client of a program's own. Only text goes there and comes back.</summary>
public sealed class EndpointGuide : IStatefulGuide, IMeteredGuide, IDisposable
{
    private readonly Lazy<EndpointGuideParts> _made;
    private long _spentRows;
    private long _unansweredRows;

    /// <summary>Asks nothing yet.</summary>
    /// <param name="name">Name for logs and reports.</param>
    /// <param name="mayDecline">Whether a row may be left to the policy.</param>
    /// <param name="make">Makes its parts when they are first needed, which finds out what the endpoint can do: a run that is only evaluated needs no guide.</param>
    internal EndpointGuide(string name, bool mayDecline, Func<EndpointGuideParts> make) => (Name, MayDecline, _made) = (name, mayDecline, new(make));

    private EndpointGuideParts Parts => _made.Value;

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public bool CanRollOut => Parts.Form.CanGoOn;

    /// <inheritdoc/>
    public string? RollOutProblem => CanRollOut ? null : Parts.RollOutProblem;

    /// <inheritdoc/>
    public bool IsRemote => true;

    /// <inheritdoc/>
    public bool MayDecline { get; }

    /// <inheritdoc/>
    /// <remarks>It is what was spent.</remarks>
    public bool AnswersDependOnState => false;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Metrics
    {
        get
        {
            if (!_made.IsValueCreated) return ReadOnlyDictionary<string, double>.Empty;
            var spent = Parts.Ledger.Spent;
            var metrics = new Dictionary<string, double>
            {
                ["guide/requests"] = spent.Requests, ["guide/prompt_tokens"] = spent.PromptTokens, ["guide/completion_tokens"] = spent.CompletionTokens, ["guide/cached"] = Parts.Answers.FromCache,
                ["guide/faults"] = Parts.Faults.Total,
                ["guide/unclean"] = Parts.Unclean.Total,
            };
            if (Parts.Ledger.Cost is { } cost) metrics["guide/cost"] = cost;
            if (Parts.Ledger.Left is { } left) metrics["guide/left"] = left;
            return metrics;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Summary
    {
        get
        {
            if (!_made.IsValueCreated) return [];
            var spent = Parts.Ledger.Spent;
            var cost = Parts.Ledger.Cost is { } amount ? string.Create(CultureInfo.InvariantCulture, $", {amount:0.00##}{(string.IsNullOrEmpty(Parts.Currency) ? " in the unit of its prices" : $" {Parts.Currency}")}") : "";
            var left = Parts.Ledger.Left is { } share ? string.Create(CultureInfo.InvariantCulture, $"; {share:0.0 %} of the budget is left") : "";
            List<string> lines =
            [
                string.Create(CultureInfo.InvariantCulture, $"guide '{Name}': {spent.Requests:#,0} answers bought, {spent.PromptTokens:#,0} tokens read and {spent.CompletionTokens:#,0} written{cost}; {Parts.Answers.FromCache:#,0} from the cache{left}"),
                .. Parts.Faults.Counts.Concat(Parts.Unclean.Counts).Select(fault => string.Create(CultureInfo.InvariantCulture, $"guide '{Name}': {fault.Kind}: {fault.Count:#,0} times")),
            ];
            if (_spentRows > 0) lines.Add(string.Create(CultureInfo.InvariantCulture, $"guide '{Name}': {_spentRows:#,0} rows were left to the policy, as the budget is spent"));
            if (_unansweredRows > 0) lines.Add(string.Create(CultureInfo.InvariantCulture, $"guide '{Name}': {_unansweredRows:#,0} rows were left to the policy, as there was no answer"));
            return lines;
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
    {
        // Where one fails for good, the others that are not on their way yet needn't be sent.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Question[] questions = [.. requests.Select(Parts.Form.Of)];
        var bought = Parts.Answers.Get(questions, stop.Token);
        var answers = requests.Select((request, i) => ContinueOrStopAsync(request, questions[i], bought[i], stop)).ToArray();
        try
        {
            return await Task.WhenAll(answers).ConfigureAwait(false);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested && Array.Find(answers, answer => answer.IsFaulted) is { } failed)
        {
            // What stopped the others, not that they were stopped.
            return [await failed.ConfigureAwait(false)];
        }
    }

    /// <inheritdoc/>
    public byte[] SaveState() => _made.IsValueCreated ? Parts.Ledger.Save() : [];

    /// <inheritdoc/>
    public void RestoreState(byte[] state)
    {
        // Of one that had never been asked.
        if (state.Length > 0) Parts.Ledger.Restore(state);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_made.IsValueCreated) Parts.Dispose();
    }

    private async Task<GuideContinuation?> ContinueOrStopAsync(GuideRequest request, Question question, Task<CachedAnswer> bought, CancellationTokenSource stop)
    {
        try
        {
            return await ContinueAsync(request, question, bought).ConfigureAwait(false);
        }
        catch (InputException)
        {
            await stop.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task<GuideContinuation?> ContinueAsync(GuideRequest request, Question question, Task<CachedAnswer> bought)
    {
        try
        {
            return Parts.Form.Continuation(request, question, await bought.ConfigureAwait(false), Parts.Cleaner);
        }
        catch (BudgetSpentException)
        {
            if (Parts.WhenSpent == WithoutAnswer.Stop) throw new InputException($"the guide '{Name}': its budget is spent; raise guide.budget and resume, or set guide.when_spent: continue_without");
            Interlocked.Increment(ref _spentRows);
            return null;
        }
        catch (EndpointRefusal refusal)
        {
            if (Parts.WhenUnanswered == WithoutAnswer.Stop) throw new InputException($"the guide '{Name}': {Parts.Address}: {refusal.Message} (asked for {OwnCode.Place(request.Prompt)})", refusal);
            Interlocked.Increment(ref _unansweredRows);
            return null;
        }
    }
}

/// <summary>What an <see cref="EndpointGuide"/> is made of.</summary>
internal sealed record EndpointGuideParts : IDisposable
{
    /// <summary>The endpoint, for messages.</summary>
    public required string Address { get; init; }

    /// <summary>How it is asked.</summary>
    public required QuestionForm Form { get; init; }

    /// <summary>Gets answers.</summary>
    public required PaidAnswers Answers { get; init; }

    /// <summary>Counts what is spent.</summary>
    public required Ledger Ledger { get; init; }

    /// <summary>Counts what went wrong.</summary>
    public required KindCounts Faults { get; init; }

    /// <summary>Counts what was in answers besides the continuation.</summary>
    public KindCounts Unclean { get; init; } = new();

    /// <summary>What becomes of such answers.</summary>
    public UncleanAnswers WhenUnclean { get; init; }

    /// <summary>Of the prices.</summary>
    public string? Currency { get; init; }

    /// <summary>Why it can't go on from a text, where it can't.</summary>
    public string? RollOutProblem { get; init; }

    /// <summary>What happens when the budget is spent.</summary>
    public WithoutAnswer WhenSpent { get; init; }

    /// <summary>What happens to a request without an answer.</summary>
    public WithoutAnswer WhenUnanswered { get; init; }

    /// <summary>Takes the continuation out of an answer.</summary>
    public AnswerCleaner Cleaner => field ??= new AnswerCleaner(WhenUnclean, Unclean);

    /// <summary>What ends with the guide.</summary>
    public IReadOnlyList<IDisposable> Owned { get; init; } = [];

    /// <inheritdoc/>
    public void Dispose()
    {
        Answers.Dispose();
        foreach (var owned in Owned) owned.Dispose();
    }
}
