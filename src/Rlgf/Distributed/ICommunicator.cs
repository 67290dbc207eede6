namespace Rlgf.Distributed;

/// <summary>
/// The processes (ranks) that train together, as one of them sees the others. Every operation is one of all ranks, in the same order on each; it is called from one thread. What is computed from what came back
/// is the same on all.
/// </summary>
public interface ICommunicator
{
    /// <summary>This process's number, from 0. Rank 0 alone writes the run's folder and says what happens.</summary>
    int Rank { get; }

    /// <summary>W: how many there are.</summary>
    int Size { get; }

    /// <summary>Name of the machine of each rank.</summary>
    IReadOnlyList<string> Hosts { get; }

    /// <summary>Bytes that this rank has sent, and seconds that it has spent in operations, waiting for others included.</summary>
    CommunicationCost Cost { get; }

    /// <summary>Adds the ranks' numbers up, place by place, in the order of the ranks, so that the same ranks give the same bits.</summary>
    /// <param name="values">As many on each rank; replaced by the sums.</param>
    void Sum(Span<float> values);

    /// <summary>Gives all ranks what rank 0 has.</summary>
    /// <param name="value">On rank 0 the bytes; on the others ignored.</param>
    byte[] Broadcast(byte[]? value);

    /// <summary>Gives all ranks what each of them has.</summary>
    /// <param name="value">This rank's bytes, of any number.</param>
    /// <returns>W arrays, by rank.</returns>
    byte[][] Gather(byte[] value);

    /// <summary>Waits until all ranks are here.</summary>
    void Barrier() => Gather([]);
}

/// <summary>What communication cost.</summary>
/// <param name="Bytes">Sent by this rank.</param>
/// <param name="Seconds">Spent in operations, waiting for others included.</param>
public readonly record struct CommunicationCost(long Bytes, double Seconds)
{
    /// <summary>What came after an earlier one.</summary>
    public CommunicationCost Since(CommunicationCost earlier) => new(Bytes - earlier.Bytes, Seconds - earlier.Seconds);
}

/// <summary>A process alone: nothing is sent anywhere.</summary>
public sealed class OneProcess : ICommunicator
{
    private OneProcess()
    {
    }

    /// <summary>The only one.</summary>
    public static OneProcess Alone { get; } = new();

    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Size => 1;

    /// <inheritdoc/>
    public IReadOnlyList<string> Hosts { get; } = [Environment.MachineName];

    /// <inheritdoc/>
    public CommunicationCost Cost => default;

    /// <inheritdoc/>
    public void Sum(Span<float> values)
    {
    }

    /// <inheritdoc/>
    public byte[] Broadcast(byte[]? value) => value ?? throw new ArgumentNullException(nameof(value));

    /// <inheritdoc/>
    public byte[][] Gather(byte[] value) => [value];
}

/// <summary>Work that one of the ranks does for all.</summary>
public static class CommunicatorWork
{
    /// <summary>Lets the first rank do something while the others wait.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="work">Called on the first.</param>
    /// <exception cref="OperationCanceledException">The first was asked to stop meanwhile: all end here.</exception>
    public static void ByFirst(this ICommunicator ranks, Action work) => Dealt.ByFirst(
        ranks, () =>
        {
            work();
            return true;
        }, (writer, done) => writer.Write(done), reader => reader.ReadBoolean());
}
