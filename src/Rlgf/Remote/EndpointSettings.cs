namespace Rlgf.Remote;

/// <summary>Where a reward or a guide is asked for over HTTP, and how patiently.</summary>
public sealed record EndpointSettings
{
    private const string Hidden = "***";

    /// <summary>The address.</summary>
    public required Uri Address { get; init; }

    /// <summary>Sent as a bearer token; null for none.</summary>
    public string? Token { get; init; }

    /// <summary>The longest time for one attempt.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often a request is repeated that failed in a way that may pass.</summary>
    public int Retries { get; init; } = 3;

    /// <summary>The wait before the first repetition; it doubles each time, and a server may ask for another.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How many requests are on their way at once.</summary>
    public int InFlight { get; init; } = 4;

    /// <summary>The address: a token is in no message.</summary>
    public override string ToString() => Address.ToString();

    /// <summary>What somebody else wrote, without the token: servers say which key it is that they refuse.</summary>
    internal string WithoutToken(string text) => Token is { Length: > 0 } token ? text.Replace(token, Hidden, StringComparison.Ordinal) : text;
}
