using Rlgf.Distributed;

namespace Rlgf.Guides;

/// <summary>A guide that the first rank asks for all: what the others know of it.</summary>
internal sealed class GuideElsewhere : IGuide
{
    private GuideElsewhere(BinaryReader reader) =>
        (Name, CanRollOut, RollOutProblem, UsesPolicyTokens, MayDecline, GivesReferences) = (reader.ReadString(), reader.ReadBoolean(), Text(reader), reader.ReadBoolean(), reader.ReadBoolean(), reader.ReadBoolean());

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public bool CanRollOut { get; }

    /// <inheritdoc/>
    public string? RollOutProblem { get; }

    /// <inheritdoc/>
    public bool UsesPolicyTokens { get; }

    /// <inheritdoc/>
    public bool MayDecline { get; }

    /// <inheritdoc/>
    public bool GivesReferences { get; }

    /// <inheritdoc/>
    public bool IsRemote => true;

    /// <summary>The guide itself on the first rank, which finds out here what it can do, and what it is on the others.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="guide">The guide, which no other rank has asked for anything.</param>
    public static IGuide? Of(ICommunicator ranks, IGuide? guide)
    {
        if (ranks.Size == 1 || guide is not { IsRemote: true }) return guide;
        return Dealt.ByFirst<IGuide>(ranks, () => guide, (writer, own) =>
        {
            writer.Write(own.Name);
            writer.Write(own.CanRollOut);
            writer.Write(own.RollOutProblem ?? "");
            foreach (var flag in (bool[])[own.UsesPolicyTokens, own.MayDecline, own.GivesReferences]) writer.Write(flag);
        }, reader => ranks.Rank == 0 ? guide : new GuideElsewhere(reader));
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<GuideContinuation?>> ContinueAsync(IReadOnlyList<GuideRequest> requests, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("The first rank asks this guide.");

    private static string? Text(BinaryReader reader) => reader.ReadString() is { Length: > 0 } text ? text : null;
}
