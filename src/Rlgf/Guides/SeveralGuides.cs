using System.Text.Json;
using MathNet.Numerics.Distributions;
using Rlgf.Base;

namespace Rlgf.Guides;

/// <summary>How each request gets its guide.</summary>
public enum GuideChoice
{
    /// <summary>By lot, each in proportion to its weight.</summary>
    Weights,

    /// <summary>By what it pays: reward gained over the policy alone, per token, as far as it is known of the prompt and of all; with as much chance as is left in doubt.</summary>
    Bandit,
}

/// <summary>One of several guides.</summary>
/// <param name="Name">What it is called in metrics and reports.</param>
/// <param name="Guide">The guide.</param>
/// <param name="Weight">Its share of the requests, in proportion to those of the others; for <see cref="GuideChoice.Weights"/>.</param>
public sealed record GuideOption(string Name, IGuide Guide, double Weight = 1);

/// <summary>
/// Several guides as one: each request goes to one of them. A text that somebody began goes only to those that can go on from it.
/// </summary>
/// <remarks>
/// The bandit is Thompson sampling by reward per cost (Xia et al. 2015, "Thompson Sampling for Budgeted Multi-armed Bandits"), with the normal posterior N(μ, 1/(n + 1)) of Agrawal and Goyal (2013) for gains in units of the rewards'
/// range: of all guides g, the one with the largest θ_g / c_g answers, θ_g drawn from the posterior, c_g its mean tokens an answer. The mean is the prompt's own, drawn towards that of all prompts as if those were
/// <see cref="PriorAnswers"/> answers more: μ = (Σ gains of the prompt + 4 μ_g) / (n of the prompt + 4).
/// A draw depends on the request's stream and on what was learned, so that a run that goes on chooses what it would have chosen.
/// </remarks>
public sealed class SeveralGuides : IJudgedGuide, IStatefulGuide, IMeteredGuide
{
    /// <summary>How many answers the mean over all prompts counts as, beside a prompt's own.</summary>
    public const int PriorAnswers = 4;

    private const string Format = "rlgf several guides 1";
    private const ulong Lot = 0x6C6F74; // "lot": keeps the choice apart from what the chosen draws.

    private readonly GuideOption[] _options;
    private readonly GuideChoice _choice;
    private readonly Dictionary<string, int> _indices;
    private GuideAccounts _accounts;

    /// <summary>Makes one guide of several.</summary>
    /// <param name="options">The guides, two at least, each with a name of its own.</param>
    /// <param name="choice">How a request gets its guide.</param>
    public SeveralGuides(IReadOnlyList<GuideOption> options, GuideChoice choice)
    {
        (_options, _choice) = ([.. options], choice);
        _indices = _options.Select((option, i) => (option.Name, i)).ToDictionary(StringComparer.Ordinal);
        _accounts = new(_options.Length);
    }

    /// <inheritdoc/>
    public string Name => string.Join(" or ", _options.Select(option => option.Name));

    /// <summary>The guides.</summary>
    public IReadOnlyList<GuideOption> Options => _options;

    /// <inheritdoc/>
    public bool CanRollOut => Array.ConvertAll(_options, option => option.Guide.CanRollOut).Contains(true); // All are asked: an endpoint finds out here what it can do.

    /// <inheritdoc/>
    public bool AnswersDependOnState => _choice == GuideChoice.Bandit || Array.Exists(_options, option => option.Guide is IStatefulGuide { AnswersDependOnState: true });

    /// <inheritdoc/>
    public bool MayDecline => Array.Exists(_options, option => option.Guide.MayDecline);

    /// <inheritdoc/>
    public bool GivesReferences => Array.TrueForAll(_options, option => option.Guide.GivesReferences);

    /// <inheritdoc/>
    public bool IsRemote => Array.Exists(_options, option => option.Guide.IsRemote);

    /// <inheritdoc/>
    public bool UsesPolicyTokens => Array.TrueForAll(_options, option => option.Guide.UsesPolicyTokens);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Metrics
    {
        get
        {
            var metrics = new Dictionary<string, double>();
            for (var i = 0; i < _options.Length; i++)
            {
                var (name, account) = (_options[i].Name, _accounts.Of(i));
                metrics[$"guide/{name}/rows"] = account.Rows;
                metrics[$"guide/{name}/tokens"] = _accounts.Written(i);
                metrics[$"guide/{name}/gain"] = account.MeanGain;
                if (_options[i].Guide is not IMeteredGuide metered) continue;
                foreach (var (key, value) in metered.Metrics) metrics[$"guide/{name}/{key["guide/".Length..]}"] = value;
            }

            return metrics;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Summary =>
    [
        .. _options.Select((option, i) => _accounts.Of(i) is var account && account.Rows == 0 && _accounts.Written(i) == 0 ? $"guide '{option.Name}': wrote nothing"
            : FormattableString.Invariant($"guide '{option.Name}': {account.Rows:#,0} rows, {_accounts.Written(i):#,0} tokens; its rows had {account.MeanGain:+0.###;−0.###;0} over the policy's own, {1000 * account.Gain / Math.Max(_accounts.Written(i), 1):+0.###;−0.###;0} a thousand tokens")),
        .. _options.SelectMany(option => option.Guide is IMeteredGuide metered ? metered.Summary.Select(line => line.Replace($"guide '{metered.Name}'", $"guide '{option.Name}'", StringComparison.Ordinal)) : []),
    ];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken)
    {
        var chosen = requests.Select(Choose).ToArray();
        var answers = new GuideContinuation?[requests.Count];
        await Task.WhenAll(Enumerable.Range(0, _options.Length).Select(AskAsync)).ConfigureAwait(false);
        return answers;

        async Task AskAsync(int option)
        {
            int[] rows = [.. Enumerable.Range(0, requests.Count).Where(row => chosen[row] == option)];
            // Whoever asks this guide knows the vocabulary, and checks the ids.
            var written = await CheckedContinuations.OfAsync(_options[option].Guide, [.. rows.Select(row => requests[row])], int.MaxValue, cancellationToken).ConfigureAwait(false);
            for (var i = 0; i < rows.Length; i++) answers[rows[i]] = written[i] is { } answer ? answer with { By = _options[option].Name } : null;
        }
    }

    /// <inheritdoc/>
    public void Judge(IReadOnlyList<JudgedAnswer> answers, IReadOnlyDictionary<string, long> written)
    {
        _accounts.Add([.. answers.Where(answer => _indices.ContainsKey(answer.By)).Select(answer => (_indices[answer.By], answer))]);
        foreach (var (by, tokens) in written)
            if (_indices.TryGetValue(by, out var guide)) _accounts.AddWritten(guide, tokens);
    }

    /// <inheritdoc/>
    public byte[] SaveState() => JsonSerializer.SerializeToUtf8Bytes(new Saved(
        Format, _accounts.Save(), _options.Where(option => option.Guide is IStatefulGuide).ToDictionary(option => option.Name, option => ((IStatefulGuide)option.Guide).SaveState())));

    /// <inheritdoc/>
    public void RestoreState(byte[] state)
    {
        if (Read(state) is not { Format: Format, Accounts: { Rows: not null } accounts, Parts: { } parts } || accounts.Rows.Any(row => row.Guide < 0 || row.Guide >= _options.Length))
            throw new InputException($"the state of the guide '{Name}' is damaged or of other guides: resume from another checkpoint, or with the recipe it was made with");
        _accounts = GuideAccounts.Of(_options.Length, accounts);
        foreach (var option in _options)
            if (option.Guide is IStatefulGuide stateful && parts.TryGetValue(option.Name, out var part)) stateful.RestoreState(part);

        static Saved? Read(byte[] state)
        {
            try
            {
                return JsonSerializer.Deserialize<Saved>(state);
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }

    private int Choose(GuideRequest request)
    {
        int[] able = [.. Enumerable.Range(0, _options.Length).Where(i => request.ResponseSoFar.Length == 0 || _options[i].Guide.CanRollOut)];
        if (_choice == GuideChoice.Bandit) return able.MaxBy(i => _accounts.Draw(i, request.Prompt.Id, Normal.InvCDF(0, 1, Inside(RandomStream.Uniform(Lot, request.Stream, (ulong)i)))));
        var left = RandomStream.Uniform(Lot, request.Stream, 0) * able.Sum(i => _options[i].Weight);
        foreach (var i in able)
        {
            left -= _options[i].Weight;
            if (left < 0) return i;
        }

        return able[^1];
    }

    /// <summary>At 0 the normal distribution has no number.</summary>
    private static double Inside(double uniform) => Math.Max(uniform, 1e-12);

    private sealed record Saved(string? Format, SavedAccounts? Accounts, Dictionary<string, byte[]>? Parts);
}

/// <summary>A guide that is told what became of what it wrote.</summary>
public interface IJudgedGuide : IGuide
{
    /// <summary>Told once an iteration, when its rows are scored and before the guide is asked again.</summary>
    /// <param name="answers">What it wrote of them.</param>
    /// <param name="written">Tokens that were written in the iteration, by <see cref="GuideContinuation.By"/>: each text once, also of rows that others replaced, and of beginnings that were finished to measure what the guide is worth.</param>
    void Judge(IReadOnlyList<JudgedAnswer> answers, IReadOnlyDictionary<string, long> written);
}

/// <summary>What became of something that a guide wrote.</summary>
/// <param name="By">Who wrote it: <see cref="GuideContinuation.By"/>.</param>
/// <param name="PromptId">The prompt's identity.</param>
/// <param name="Reward">The reward of the row.</param>
/// <param name="Gain">The same less the mean of the rows that the policy wrote alone in that iteration, or of all rows where it wrote none alone.</param>
/// <param name="Tokens">Tokens that the guide wrote for it.</param>
public sealed record JudgedAnswer(string By, string PromptId, double Reward, double Gain, long Tokens);
