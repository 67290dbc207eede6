namespace Rlgf.Cli.Tests;

public sealed class ProgressLineTests
{
    [Fact]
    public void In_a_log_it_is_a_plain_line_now_and_then()
    {
        var clock = new SteppedClock();
        var text = Write(clock, rewrites: false, progress =>
        {
            for (var row = 1; row <= 30; row++)
            {
                clock.Advance(TimeSpan.FromSeconds(1));
                progress.Report(row, $"loss {row}");
            }

            progress.Done();
        });
        Assert.Equal(
            [
                "sft: 10/50 steps · 1 steps/s · 40s left · loss 10",
                "sft: 20/50 steps · 1 steps/s · 30s left · loss 20",
                "sft: 30/50 steps · 1 steps/s · 20s left · loss 30",
                "sft: 30 steps in 30s · 1 steps/s · loss 30",
            ],
            text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void On_a_terminal_one_line_is_written_over_and_cleared_before_anything_else()
    {
        var clock = new SteppedClock();
        var text = Write(clock, rewrites: true, progress =>
        {
            clock.Advance(TimeSpan.FromSeconds(2));
            progress.Report(1);
            progress.Note("saved");
        });
        Assert.Equal("\rsft: 1/50 steps · 2 s each · 1m38s left\e[K\r\e[Ksaved\n", text);
    }

    [Fact]
    public void What_a_resumed_run_had_done_before_does_not_count_for_the_rate()
    {
        var clock = new SteppedClock();
        var text = Write(clock, rewrites: true, progress =>
        {
            clock.Advance(TimeSpan.FromSeconds(2));
            progress.Report(44);
            progress.Done();
        }, alreadyDone: 40);
        Assert.StartsWith("\rsft: 44/50 steps · 2 steps/s · 3.0s left", text, StringComparison.Ordinal);
        Assert.EndsWith("sft: 44 steps, 4 of them in 2.0s · 2 steps/s", text.TrimEnd(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.04, "0.0s")]
    [InlineData(9.96, "10s")]
    [InlineData(59.7, "0m59s")]
    [InlineData(185, "3m05s")]
    [InlineData(7620, "2h07m")]
    public void Durations_are_short(double seconds, string expected) => Assert.Equal(expected, ProgressLine.Duration(TimeSpan.FromSeconds(seconds)));

    private static string Write(SteppedClock clock, bool rewrites, Action<ProgressLine> use, long alreadyDone = 0)
    {
        using var nothing = new StringReader("");
        using var error = new StringWriter { NewLine = "\n" };
        using (var progress = new ProgressLine(new Terminal(nothing, TextWriter.Null, error) { RewritesLines = rewrites, Clock = clock }, "sft", "steps", 50, alreadyDone))
        {
            use(progress);
        }

        return error.ToString();
    }

    private sealed class SteppedClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan time) => _ticks += time.Ticks;
    }
}
