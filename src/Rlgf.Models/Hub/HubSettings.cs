using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Models.Hub;

/// <summary>Where models come from and where they go.</summary>
public sealed record HubSettings
{
    /// <summary>The address that is asked where neither an option nor <c>HF_ENDPOINT</c> names one.</summary>
    public const string DefaultEndpoint = "https://huggingface.co";

    /// <summary>Address of a server that answers as the Hugging Face hub does.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>Folder of the cache: that of the ecosystem's other tools, so that what they have fetched is found.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Sent to the endpoint alone, never to where it redirects, and never shown.</summary>
    public string? Token { get; init; }

    /// <summary>How often a request, or the rest of a file, is asked for again after a failure that may pass.</summary>
    public int Retries { get; init; } = 5;

    /// <summary>Wait before the first retry; it doubles with each. A server's own <c>Retry-After</c> goes before.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest <c>Retry-After</c> that is waited for.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a server may send nothing.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Settings from the environment: <c>HF_ENDPOINT</c>, <c>HF_TOKEN</c>, <c>HF_HUB_CACHE</c>, <c>HF_HOME</c>, <c>XDG_CACHE_HOME</c>.</summary>
    /// <param name="endpoint">An address that goes before the environment's.</param>
    /// <exception cref="InputException">The address is none, or the token holds what none does.</exception>
    public static HubSettings FromEnvironment(string? endpoint = null)
    {
        var address = endpoint ?? Variable("HF_ENDPOINT") ?? DefaultEndpoint;
        if (!Uri.TryCreate(address.TrimEnd('/') + '/', UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
            throw new InputException($"{(endpoint is null ? "HF_ENDPOINT" : "--endpoint")} is '{address}': it must be an address such as {DefaultEndpoint}.");
        var token = Variable("HF_TOKEN");
        if (token is not null && EnvironmentText.KeyProblem(token) is { } problem) throw new InputException($"HF_TOKEN holds {problem}: set it to the token alone.");
        return new HubSettings { Endpoint = uri, Token = token, CacheFolder = CacheFolderOfEnvironment() };
    }

    /// <summary>Where the ecosystem's tools keep models: <c>HF_HUB_CACHE</c>, <c>HF_HOME</c>, <c>XDG_CACHE_HOME</c>.</summary>
    public static string CacheFolderOfEnvironment()
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var hub = Variable("HF_HOME") ?? Path.Combine(Variable("XDG_CACHE_HOME") ?? Path.Combine(home, ".cache"), "huggingface");
        var cache = Variable("HF_HUB_CACHE") ?? Path.Combine(hub, "hub");
        return cache.StartsWith('~') ? home + cache[1..] : cache;
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name)?.Trim() is { Length: > 0 } value ? value : null;
}

/// <summary>A model on a hub: <c>organisation/name</c> (or a name alone, as the oldest have) at a revision.</summary>
public sealed partial record HubModel
{
    /// <summary>Checks the name.</summary>
    /// <param name="name">Such as <c>HuggingFaceTB/SmolLM2-135M-Instruct</c>.</param>
    /// <param name="revision">Branch, tag or commit.</param>
    /// <exception cref="InputException">It can't be a model's name, or the revision can't be one.</exception>
    public HubModel(string name, string revision = "main")
    {
        if (!IsName(name))
            throw new InputException($"'{name}' is not the name of a model on a hub: it must be ORGANISATION/NAME.");
        if (!RevisionName().IsMatch(revision) || revision.Contains("..", StringComparison.Ordinal) || revision.EndsWith('/'))
            throw new InputException($"'{revision}' is not a revision: it must be a branch, a tag or a commit.");
        Name = name;
        Revision = revision;
    }

    /// <summary>The name.</summary>
    public string Name { get; }

    /// <summary>The revision.</summary>
    public string Revision { get; }

    /// <summary>Whether it can be the name of a model on a hub.</summary>
    public static bool IsName(string name) =>
        ModelName().IsMatch(name) && !name.Contains("..", StringComparison.Ordinal) && !name.Contains("--", StringComparison.Ordinal);

    [GeneratedRegex(@"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")]
    private static partial Regex ModelName();

    [GeneratedRegex(@"^[A-Za-z0-9][\w./-]*$")]
    private static partial Regex RevisionName();
}
