using System.Net;
using Rlgf.Base;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Http;

/// <summary>How a model is served.</summary>
public sealed record ServerSettings
{
    /// <summary>The address to listen on: <c>localhost</c> or an IP address.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port; 0 takes a free one.</summary>
    public int Port { get; init; } = 8000;

    /// <summary>What the model is called; its folder's name by default.</summary>
    public string? Name { get; init; }

    /// <summary>What clients must send as <c>Authorization: Bearer …</c>; null for nothing, on an address of this machine only.</summary>
    public string? Key { get; init; }

    /// <summary>The folder that adapters may be loaded from; null for none.</summary>
    public string? AdaptersFolder { get; init; }

    /// <summary>Where the model's chat template is, beside its tokenizer; its own folder by default.</summary>
    public string? TokenizerFolder { get; init; }

    /// <summary>The most bytes of a request's body.</summary>
    public long BodyBytes { get; init; } = 8 << 20;

    /// <summary>What bounds the work.</summary>
    public EngineSettings Engine { get; init; } = new();

    /// <summary>Refuses what can't be.</summary>
    /// <exception cref="InputException">The host is no address, or other machines reach it and there is no key; there is no such folder of adapters.</exception>
    public void Validate()
    {
        _ = Address();
        if (AdaptersFolder is { } adapters && !Directory.Exists(adapters)) throw new InputException($"{adapters}: there is no such folder of adapters");
    }

    /// <summary>The address to listen on.</summary>
    /// <exception cref="InputException">It is no address, or not of this machine and there is no key.</exception>
    internal IPAddress Address()
    {
        var address = Host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(Host, out var given) ? given : throw new InputException($"host '{Host}' is no address: give localhost or an IP address, such as 0.0.0.0 for all of this machine");
        if (!IPAddress.IsLoopback(address) && string.IsNullOrEmpty(Key)) throw new InputException($"host {Host} can be reached from other machines: name an environment variable with a key that clients must send (--key-from)");
        return address;
    }
}
