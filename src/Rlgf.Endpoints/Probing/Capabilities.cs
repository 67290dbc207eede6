using Rlgf.Endpoints.Protocol;

namespace Rlgf.Endpoints.Probing;

/// <summary>What an endpoint was found to do.</summary>
internal sealed record Capabilities
{
    /// <summary>Whether it goes on from a text (raw completions).</summary>
    public bool Completes { get; init; }

    /// <summary>Whether it answers conversations.</summary>
    public bool Chats { get; init; }

    /// <summary>How it is told to go on with the beginning of an answer.</summary>
    public PrefillForm Prefill { get; init; }

    /// <summary>Whether white space at the end of such a beginning is read; false where that isn't known.</summary>
    public bool KeepsLastBlank { get; init; }

    /// <summary>Whether it takes a seed.</summary>
    public bool TakesSeed { get; init; }

    /// <summary>Whether the seed decides: the same one gives the same text, another one another.</summary>
    public bool? SeedDecides { get; init; }

    /// <summary>Whether an answer ends where it was told to (<c>stop</c>), with that text or before it; null where its answer was too short to see it.</summary>
    public bool? Stops { get; init; }

    /// <summary>How many different answers a request gets (<c>n</c>), as far as was asked; 1 where it is refused or passed over.</summary>
    public int MostChoices { get; init; } = 1;

    /// <summary>Whether the usage figures of several answers count all of them: some servers count one.</summary>
    public bool CountsAllChoices { get; init; }

    /// <summary>What the field is called that limits an answer.</summary>
    public string LimitField { get; init; } = Decoding.MaxTokensField;

    /// <summary>Whether it counts tokens.</summary>
    public bool Counts { get; init; }

    /// <summary>Whether usage figures have to be asked for, and may be.</summary>
    public bool AsksUsage { get; init; }
}
