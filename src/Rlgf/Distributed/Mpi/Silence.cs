namespace Rlgf.Distributed.Mpi;

/// <summary>
/// How long somebody has given no sign of life while one was listening. Time in which the listener itself got no processor, or was suspended, doesn't count: what came meanwhile hasn't been read, and where both are on
/// one machine the other got none either.
/// </summary>
/// <param name="clock">The clock.</param>
internal sealed class Silence(TimeProvider clock)
{
    /// <summary>The most that counts between two looks, of which there are several a second.</summary>
    public static TimeSpan MostBetweenLooks { get; } = TimeSpan.FromSeconds(1);

    private long _looked = clock.GetTimestamp();

    /// <summary>How long it has been.</summary>
    public TimeSpan Length { get; private set; }

    /// <summary>Nothing has come since the last look or sign.</summary>
    public void Look()
    {
        var now = clock.GetTimestamp();
        var since = clock.GetElapsedTime(_looked, now);
        Length += since < MostBetweenLooks ? since : MostBetweenLooks;
        _looked = now;
    }

    /// <summary>A sign has come.</summary>
    public void End() => (_looked, Length) = (clock.GetTimestamp(), TimeSpan.Zero);
}
