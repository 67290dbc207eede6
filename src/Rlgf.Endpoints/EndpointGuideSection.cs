using System.Globalization;
using System.Text.RegularExpressions;
using Rlgf.Base;
using Rlgf.Recipes;

namespace Rlgf.Endpoints;

/// <summary>
/// Any server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, LM Studio, a hosted one. What it can do is found out before the run begins; an answer that was paid for is kept in the cache.
/// </summary>
public sealed record EndpointGuideSection : GuideSection, ICheckedSection
{
    /// <inheritdoc/>
    public override bool HasBudget => true;

    /// <summary>The address that <c>/completions</c> and <c>/chat/completions</c> are below, such as <c>http://localhost:8000/v1</c>; <c>${NAME}</c> stands for a variable of the environment.</summary>
    public required string Endpoint { get; init; }

    /// <summary>The variable of the environment that holds the key, as <c>${NAME}</c>; null for none. The key itself can't stand in a recipe, and is written nowhere.</summary>
    [MayChangeOnResume]
    public string? ApiKey { get; init; }

    /// <summary>The model's name at the endpoint.</summary>
    public required string Model { get; init; }

    /// <summary>How it is asked.</summary>
    public EndpointMode Mode { get; init; }

    /// <summary>Of which conversation its answer is the response; null: the prompt's own conversation, or, where the prompt is a text, it goes on from the text.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>The folder with the chat template of the endpoint's model, by which a conversation becomes a text to go on from; for raw completions of conversations alone.</summary>
    [RecipePath]
    public string? ChatTemplate { get; init; }

    /// <summary>How it writes.</summary>
    public EndpointSampling Sampling { get; init; } = new();

    /// <summary>What may be spent; null for no limit.</summary>
    [MayChangeOnResume]
    public EndpointBudget? Budget { get; init; }

    /// <summary>What happens when the budget is spent.</summary>
    [MayChangeOnResume]
    public WithoutAnswer WhenSpent { get; init; }

    /// <summary>What happens when a request got no answer, however often it was repeated.</summary>
    [MayChangeOnResume]
    public WithoutAnswer WhenUnanswered { get; init; }

    /// <summary>
    /// What becomes of an answer to a request to continue a text that holds more than the continuation: the text again, quotation marks, words that say what follows. For chats without a beginning of the answer.
    /// </summary>
    public UncleanAnswers UncleanAnswers { get; init; }

    /// <summary>The cache that a run has without a word.</summary>
    internal const string OwnCache = "guide-cache.db";

    /// <summary>The file that answers are kept in and found again, from the current folder; null: <c>guide-cache.db</c> in the run's folder, for that run alone.</summary>
    [MayChangeOnResume]
    public string? Cache { get; init; }

    /// <summary>Whether answers come from the cache alone.</summary>
    [MayChangeOnResume]
    public CacheReplay Replay { get; init; }

    /// <summary>The longest time for one attempt, from the request to the answer's end, in seconds.</summary>
    [Limits(AtLeast = 0.01, AtMost = 86400), MayChangeOnResume]
    public double TimeoutSeconds { get; init; } = 120;

    /// <summary>How often a request is repeated that failed in a way that may pass: no answer, one that broke off or was none, or the codes 408, 429 and from 500 on.</summary>
    [Limits(AtLeast = 0, AtMost = 100), MayChangeOnResume]
    public int Retries { get; init; } = 8;

    /// <summary>The wait before the first repetition, in seconds; it doubles each time up to a minute, and a server may ask for another (<c>Retry-After</c>).</summary>
    [Limits(AtLeast = 0, AtMost = 60), MayChangeOnResume]
    public double RetryWaitSeconds { get; init; } = 1;

    /// <summary>How many requests are on their way at once.</summary>
    [Limits(AtLeast = 1, AtMost = 1024), MayChangeOnResume]
    public int InFlight { get; init; } = 8;

    /// <summary>Consent to an address without encryption that is not this machine: prompts, answers and the key can be read on the way.</summary>
    [MayChangeOnResume]
    public bool AllowHttp { get; init; }

    /// <inheritdoc/>
    public override PlacedModels Models => PlacedModels.None;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (ApiKey is { } key && EnvironmentText.VariableOf(key) is null) yield return ("api_key", "a key stands in no file: set a variable of the environment to it, and write api_key: ${NAME}");
        if (Model.Length == 0) yield return ("model", "it is empty; name the model as the endpoint does");
        if (Replay == CacheReplay.Only && Cache is null) yield return ("replay", "only the cache is to answer, and there is none; set cache");
        if (Retries == 0 && RetryWaitSeconds is not (0 or 1)) yield return ("retry_wait_seconds", "is the wait before a request is repeated, and retries is 0; leave it out");
        if (ChatTemplate is not null && Mode is EndpointMode.ChatWithPrefill or EndpointMode.ChatWithoutPrefill) yield return ("chat_template", "makes a text of a conversation, for mode completion; a chat endpoint does that itself: leave it out");
        foreach (var (inner, problem) in Budget?.Problems() ?? []) yield return ($"budget.{inner}", problem);
        if (Budget is null && WhenSpent != WithoutAnswer.Stop) yield return ("when_spent", "is for when the budget is spent, and there is none; set budget, or leave it out");
    }
}

/// <summary>How an endpoint is asked.</summary>
public enum EndpointMode
{
    /// <summary>As it turns out to be able: raw completions, else a chat with the beginning of the answer, else a chat without.</summary>
    Auto,

    /// <summary>By raw completions: it goes on from a text.</summary>
    Completion,

    /// <summary>By chat completions that go on with a beginning of the answer.</summary>
    ChatWithPrefill,

    /// <summary>By chat completions that begin each answer: it can roll in, not out.</summary>
    ChatWithoutPrefill,
}

/// <summary>What happens where the guide has no answer.</summary>
public enum WithoutAnswer
{
    /// <summary>The run stops, with all that is done saved.</summary>
    Stop,

    /// <summary>The policy writes such rows alone.</summary>
    ContinueWithout,
}

/// <summary>What becomes of an answer that holds more than the continuation of a text.</summary>
public enum UncleanAnswers
{
    /// <summary>The rest is cut off.</summary>
    Mend,

    /// <summary>The policy writes the row alone.</summary>
    Refuse,
}

/// <summary>Whether answers come from the cache alone.</summary>
public enum CacheReplay
{
    /// <summary>What the cache hasn't is asked for.</summary>
    Off,

    /// <summary>Nobody is asked: what the cache hasn't ends the run.</summary>
    Only,
}

/// <summary>How an endpoint writes.</summary>
public sealed record EndpointSampling
{
    /// <summary>0 is the likeliest text, the same each time; such answers are bought once for all samples.</summary>
    [Limits(AtLeast = 0, AtMost = 2)]
    public double Temperature { get; init; } = 1;

    /// <summary>Only the likeliest tokens that together reach this probability can be drawn; 1 is no limit.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public double TopP { get; init; } = 1;

    /// <summary>The most tokens of an answer, as the endpoint counts them; null: as many as the policy may write.</summary>
    [Limits(AtLeast = 1)]
    public int? MaxTokens { get; init; }

    /// <summary>Texts before which an answer ends.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];
}

/// <summary>What a guide may spend in a run. The most that a request may cost is set aside before it is sent.</summary>
public sealed partial record EndpointBudget
{
    /// <summary>Tokens, read and written together; null for no limit.</summary>
    [Limits(AtLeast = 1)]
    public long? Tokens { get; init; }

    /// <summary>Answers; null for no limit.</summary>
    [Limits(AtLeast = 1)]
    public long? Requests { get; init; }

    /// <summary>An amount with its currency, such as <c>5.00 USD</c>; null for no limit.</summary>
    public string? Cost { get; init; }

    /// <summary>What tokens cost; null where it isn't known.</summary>
    public EndpointPrices? Prices { get; init; }

    /// <summary>The folder of the tokenizer that counts what the endpoint doesn't; null for the policy's.</summary>
    [RecipePath]
    public string? Tokenizer { get; init; }

    internal (double Amount, string Currency)? CostLimit => Cost is not null && Amount().Match(Cost) is { Success: true } match
        ? (double.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture), match.Groups[2].Value)
        : null;

    internal IEnumerable<(string Key, string Problem)> Problems()
    {
        if (Cost is not null && CostLimit is not { Amount: > 0 }) yield return ("cost", "is an amount above 0 with its currency, such as 5.00 USD");
        if (Cost is not null && Prices is null) yield return ("cost", "is counted by the prices of tokens; set budget.prices");
        if (Cost is not null && Prices is { Input: 0, Output: 0 }) yield return ("prices", "are 0 both, so that nothing costs anything and budget.cost is never reached; set what tokens cost, or leave the cost out");
        if (Tokens is null && Requests is null && Cost is null && Prices is null) yield return ("tokens", "the budget has no limit; set tokens, requests or cost, or leave the budget out");
    }

    [GeneratedRegex(@"^([0-9]{1,12}(?:\.[0-9]{1,6})?) ([A-Z]{3})$")]
    private static partial Regex Amount();
}

/// <summary>What a million tokens cost, in the currency of <c>budget.cost</c>.</summary>
public sealed record EndpointPrices
{
    /// <summary>A million tokens that the endpoint reads.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public required double Input { get; init; }

    /// <summary>A million tokens that the endpoint writes.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public required double Output { get; init; }
}
