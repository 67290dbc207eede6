namespace Rlgf.Guides;

/// <summary>What was paid to a guide and what came of it, for one prompt or for all.</summary>
/// <param name="Rows">Rows that it wrote of.</param>
/// <param name="Gain">Sum of their gains over the policy alone, in the reward's unit.</param>
/// <param name="Tokens">Tokens that it wrote.</param>
internal readonly record struct GuideAccount(int Rows, double Gain, long Tokens)
{
    /// <summary>Gain of a row; 0 where there is none.</summary>
    public double MeanGain => Rows == 0 ? 0 : Gain / Rows;

    public static GuideAccount operator +(GuideAccount account, JudgedAnswer answer) => new(account.Rows + 1, account.Gain + answer.Gain, account.Tokens + answer.Tokens);
}

/// <summary>One account as it is saved.</summary>
/// <param name="Guide">Its place among the guides.</param>
/// <param name="PromptId">The prompt; null for all.</param>
/// <param name="Rows">As <see cref="GuideAccount.Rows"/>.</param>
/// <param name="Gain">As <see cref="GuideAccount.Gain"/>.</param>
/// <param name="Tokens">As <see cref="GuideAccount.Tokens"/>.</param>
internal sealed record AccountRow(int Guide, string? PromptId, int Rows, double Gain, long Tokens);

/// <summary>Accounts as they are saved.</summary>
/// <param name="Rows">The accounts, those of all prompts among them.</param>
/// <param name="Least">The least reward that was seen; null before any was.</param>
/// <param name="Most">The largest.</param>
/// <param name="Written">Tokens that each guide wrote; null in states of before they were counted.</param>
internal sealed record SavedAccounts(AccountRow[] Rows, double? Least, double? Most, long[]? Written = null);

/// <summary>The accounts of several guides.</summary>
/// <param name="guides">How many.</param>
internal sealed class GuideAccounts(int guides)
{
    private readonly GuideAccount[] _all = new GuideAccount[guides];
    private readonly long[] _written = new long[guides];
    private readonly Dictionary<(int Guide, string PromptId), GuideAccount> _ofPrompts = [];
    private (double Least, double Most)? _rewards;

    /// <summary>Of one guide, over all prompts.</summary>
    public GuideAccount Of(int guide) => _all[guide];

    /// <summary>All tokens that a guide wrote, those of rows that weren't judged included: what was paid for it.</summary>
    public long Written(int guide) => _written[guide];

    /// <summary>Adds tokens that a guide wrote.</summary>
    public void AddWritten(int guide, long tokens) => _written[guide] += tokens;

    /// <summary>Adds what an iteration paid and got.</summary>
    public void Add(IReadOnlyList<(int Guide, JudgedAnswer Answer)> answers)
    {
        foreach (var (guide, answer) in answers)
        {
            _all[guide] += answer;
            _ofPrompts[(guide, answer.PromptId)] = _ofPrompts.GetValueOrDefault((guide, answer.PromptId)) + answer;
            _rewards = _rewards is var (least, most) ? (Math.Min(least, answer.Reward), Math.Max(most, answer.Reward)) : (answer.Reward, answer.Reward);
        }
    }

    /// <summary>A draw of what a guide pays: θ / c, gain in units of the rewards' range per token.</summary>
    /// <param name="guide">The guide.</param>
    /// <param name="promptId">The prompt.</param>
    /// <param name="normal">A standard normal number.</param>
    public double Draw(int guide, string promptId, double normal)
    {
        var range = _rewards is var (least, most) && most > least ? most - least : 1;
        var (all, own) = (_all[guide], _ofPrompts.GetValueOrDefault((guide, promptId)));
        var mean = (own.Gain + (SeveralGuides.PriorAnswers * all.MeanGain)) / (own.Rows + SeveralGuides.PriorAnswers) / range;
        var drawn = mean + (normal / Math.Sqrt(all.Rows + 1));
        var cost = Cost(guide);
        // What loses is not worth the more the longer it is.
        return drawn >= 0 ? drawn / cost : drawn * cost;
    }

    /// <summary>Tokens an answer; of a guide that was never asked, those of the others.</summary>
    private double Cost(int guide)
    {
        var (rows, tokens) = _all[guide].Rows > 0 ? (_all[guide].Rows, _all[guide].Tokens) : (_all.Sum(account => account.Rows), _all.Sum(account => account.Tokens));
        return rows == 0 ? 1 : Math.Max(1, tokens / (double)rows);
    }

    public SavedAccounts Save() => new(
        [
            .. _all.Select((account, guide) => new AccountRow(guide, null, account.Rows, account.Gain, account.Tokens)),
            .. _ofPrompts.OrderBy(pair => pair.Key.PromptId, StringComparer.Ordinal).ThenBy(pair => pair.Key.Guide)
                .Select(pair => new AccountRow(pair.Key.Guide, pair.Key.PromptId, pair.Value.Rows, pair.Value.Gain, pair.Value.Tokens)),
        ],
        _rewards?.Least, _rewards?.Most, [.. _written]);

    public static GuideAccounts Of(int guides, SavedAccounts saved)
    {
        var accounts = new GuideAccounts(guides) { _rewards = saved is { Least: { } least, Most: { } most } ? (least, most) : null };
        for (var i = 0; i < Math.Min(guides, saved.Written?.Length ?? 0); i++) accounts._written[i] = saved.Written![i];
        foreach (var row in saved.Rows)
        {
            var account = new GuideAccount(row.Rows, row.Gain, row.Tokens);
            if (row.PromptId is { } prompt) accounts._ofPrompts[(row.Guide, prompt)] = account;
            else accounts._all[row.Guide] = account;
        }

        return accounts;
    }
}
