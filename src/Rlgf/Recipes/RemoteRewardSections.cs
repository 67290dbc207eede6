using Rlgf.Base;
using Rlgf.Remote;
using Rlgf.Rewards;
using Rlgf.Rewards.Remote;

namespace Rlgf.Recipes;

/// <summary>
/// A program of your own that scores rows: it reads a line of JSON, <c>{"prompt", "response", "ended", "references", "row"}</c> (<c>row</c> has all columns of the data), and writes a line, a number or
/// <c>{"score": 0.5, "parts": {"name": 1}}</c>, flushed, and so on until its input ends. One that takes too long or too much memory, or ends, costs the row that it was asked for, and is started again. It gets nothing of
/// the environment but paths and the language, and no shell; it is not kept from files or the network.
/// </summary>
public sealed record ProgramRewardSection : FallibleRewardSection, ICheckedSection
{
    /// <summary>The program's name on the path, or its path.</summary>
    public required string Program { get; init; }

    /// <summary>A file that is its first argument, such as a script; null for none.</summary>
    [RecipePath]
    public string? Script { get; init; }

    /// <summary>Its further arguments.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Names of the parts that its answers have.</summary>
    public IReadOnlyList<string> Parts { get; init; } = [];

    /// <summary>The longest time for one row, in seconds.</summary>
    [Limits(AtLeast = 0.01, AtMost = 86400)]
    public double TimeoutSeconds { get; init; } = 10;

    /// <summary>The most memory for each running program with those that it starts, in MiB; looked at 40 times a second.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public int MemoryMib { get; init; } = 1024;

    /// <summary>How many run at once.</summary>
    [Limits(AtLeast = 1, AtMost = 1024)]
    public int Parallel { get; init; } = 2;

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems() =>
        PartNames.Problems(Parts).Concat(Program.Length == 0 ? [("program", "it is empty; name the program")] : Enumerable.Empty<(string, string)>());

    /// <inheritdoc/>
    internal override FailureRule Failures => new(FailureScore, Parts);
}

/// <summary>A server that is asked over HTTP, and how patiently.</summary>
public abstract record EndpointRewardSection : FallibleRewardSection
{
    /// <summary>The whole address.</summary>
    public required string Url { get; init; }

    /// <summary>The variable of the environment that holds a token, sent as <c>Authorization: Bearer</c>; null for none.</summary>
    public string? TokenVariable { get; init; }

    /// <summary>The longest time for one attempt, in seconds.</summary>
    [Limits(AtLeast = 0.01, AtMost = 86400)]
    public double TimeoutSeconds { get; init; } = 30;

    /// <summary>How often a request is repeated that failed in a way that may pass: no answer, or the codes 408, 429 and from 500 on.</summary>
    [Limits(AtLeast = 0, AtMost = 100)]
    public int Retries { get; init; } = 3;

    /// <summary>The wait before the first repetition, in seconds; it doubles each time up to a minute, and a server may ask for another (<c>Retry-After</c>).</summary>
    [Limits(AtLeast = 0, AtMost = 60)]
    public double RetryWaitSeconds { get; init; } = 1;

    /// <summary>How many requests are on their way at once.</summary>
    [Limits(AtLeast = 1, AtMost = 1024)]
    public int InFlight { get; init; } = 4;

    /// <summary>Consent to an address without encryption that is not this machine: prompts, responses and the token can be read on the way.</summary>
    public bool AllowHttp { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <summary>What is wrong with the address and the patience; first of what a section of this kind says.</summary>
    private protected IEnumerable<(string Key, string Problem)> EndpointProblems()
    {
        if (UrlProblem() is { } problem) yield return ("url", problem);
        if (Retries == 0 && RetryWaitSeconds is not (0 or 1)) yield return ("retry_wait_seconds", "is the wait before a request is repeated, and retries is 0; leave it out");
    }

    /// <summary>What is wrong with the address; null where nothing is.</summary>
    private string? UrlProblem() => !Uri.TryCreate(Url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https") ? "is no address such as http://localhost:8080/score"
        : address.UserInfo.Length > 0 ? "holds a name or a password; a token belongs into a variable of the environment, see token_variable"
        : PatientHttp.EncryptionProblem(address, AllowHttp, "prompts, responses and the token");

    /// <summary>The settings of the asking.</summary>
    /// <exception cref="InputException">The variable of the token is not set.</exception>
    internal EndpointSettings Endpoint(PartServices services) => new()
    {
        Address = new Uri(Url),
        Token = TokenVariable is { } variable ? services.Of("token_variable", () => EnvironmentText.RequireKey(variable, "the token")) : null,
        Timeout = TimeSpan.FromSeconds(TimeoutSeconds),
        Retries = Retries,
        FirstWait = TimeSpan.FromSeconds(RetryWaitSeconds),
        InFlight = InFlight,
    };
}

/// <summary>
/// A server of your own that scores rows: it is posted <c>{"rows": [{"prompt", "response", "ended", "references", "row"}]}</c> and answers <c>{"scores": […]}</c>, for each row a number or
/// <c>{"score": 0.5, "parts": {"name": 1}}</c>, in their order.
/// </summary>
public sealed record HttpRewardSection : EndpointRewardSection, ICheckedSection
{
    /// <summary>The most rows of one request.</summary>
    [Limits(AtLeast = 1, AtMost = 65536)]
    public int BatchRows { get; init; } = 32;

    /// <summary>Names of the parts that its answers have.</summary>
    public IReadOnlyList<string> Parts { get; init; } = [];

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in EndpointProblems()) yield return problem;
        foreach (var wrong in PartNames.Problems(Parts)) yield return wrong;
    }

    /// <inheritdoc/>
    internal override FailureRule Failures => new(FailureScore, Parts);
}

/// <summary>A model as judge, at a server that speaks OpenAI's protocol of chat completions: its answer must be a number within limits and nothing else. It is asked at temperature 0.</summary>
public sealed record ModelJudgeRewardSection : EndpointRewardSection, ICheckedSection
{
    /// <summary>The model's name at the server.</summary>
    public required string Model { get; init; }

    /// <summary>The question: <c>{prompt}</c>, <c>{response}</c>, <c>{reference}</c> (the first) and <c>{row.NAME}</c> (a column) stand for what they say. It should ask for a number alone.</summary>
    public required string Template { get; init; }

    /// <summary>The message of the system; null for none.</summary>
    public string? System { get; init; }

    /// <summary>The least number that is an answer.</summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double AtLeast { get; init; }

    /// <summary>The greatest number that is an answer.</summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double AtMost { get; init; } = 10;

    /// <summary>The most tokens of an answer.</summary>
    [Limits(AtLeast = 1, AtMost = 1 << 20)]
    public int MaxTokens { get; init; } = 16;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in EndpointProblems()) yield return problem;
        if (ModelJudgeReward.TemplateProblem(Template) is { } wrong) yield return ("template", wrong);
        if (AtMost < AtLeast) yield return ("at_most", FormattableString.Invariant($"is {AtMost}, below at_least, {AtLeast}: no answer could be within"));
    }
}

/// <summary>Names of parts.</summary>
internal static class PartNames
{
    /// <summary>What is wrong with them.</summary>
    public static IEnumerable<(string Key, string Problem)> Problems(IReadOnlyList<string> parts)
    {
        if (parts.GroupBy(part => part).FirstOrDefault(same => same.Count() > 1) is { } twice) yield return ("parts", $"'{twice.Key}' is named twice");
        if (parts.Any(part => part is "failed" or "" || part.Contains('/', StringComparison.Ordinal))) yield return ("parts", "a part has a name without a slash, and 'failed' is that of rows that can't be scored");
    }
}
