using Rlgf.Distributed.Mpi;

namespace Rlgf.Tests.Distributed;

/// <summary>A rank is silent only while somebody listens.</summary>
public sealed class SilenceTests
{
    [Fact]
    public void Silence_is_as_long_as_somebody_listens_and_ends_with_a_sign()
    {
        var clock = new SteppedClock();
        var silence = new Silence(clock);
        for (var i = 0; i < 8; i++) Look(0.25);
        Assert.Equal(2, silence.Length.TotalSeconds, 1e-6);
        silence.End();
        Assert.Equal(TimeSpan.Zero, silence.Length);
        Look(0.5);
        Assert.Equal(0.5, silence.Length.TotalSeconds, 1e-6);

        void Look(double seconds)
        {
            clock.Now += TimeSpan.FromSeconds(seconds);
            silence.Look();
        }
    }

    [Fact]
    public void Time_in_which_the_listener_was_suspended_or_got_no_processor_does_not_count()
    {
        var clock = new SteppedClock();
        var silence = new Silence(clock);
        clock.Now += TimeSpan.FromHours(1);
        silence.Look();
        Assert.Equal(Silence.MostBetweenLooks, silence.Length);
        clock.Now += TimeSpan.FromHours(1);
        silence.End();
        silence.Look();
        Assert.Equal(TimeSpan.Zero, silence.Length);
    }

    private sealed class SteppedClock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
