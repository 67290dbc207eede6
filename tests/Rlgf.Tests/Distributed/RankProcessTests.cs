using System.Diagnostics;
using Rlgf.Distributed.Mpi;
using Rlgf.Tests.Shared;

namespace Rlgf.Tests.Distributed;

/// <summary>What the system says of a rank that gives no sign of life, by processes that compute, wait, are suspended and have ended.</summary>
public sealed class RankProcessTests
{
    [Theory]
    [InlineData("while :; do :; done", nameof(ProcessLife.Working))]
    [InlineData("exec sleep 600", nameof(ProcessLife.Waiting))]
    public void A_process_that_computes_is_told_from_one_that_waits_is_suspended_or_has_ended(string script, string expected)
    {
        var life = Enum.Parse<ProcessLife>(expected);
        if (!OperatingSystem.IsLinux()) Assert.Skip("the system says nothing of others' processes");
        using var process = Process.Start("sh", ["-c", script]);
        try
        {
            var (own, other) = (RankProcess.Own(), Of(process));
            // What it computed before the first look is of its start.
            WaitFor(() => other.Life(own) == life);
            Signals.Send("STOP", process.Id);
            WaitFor(() => other.Life(own) == ProcessLife.Suspended);
            Signals.Send("CONT", process.Id);
            WaitFor(() => other.Life(own) == life);
            process.Kill();
            process.WaitForExit();
            Assert.Equal(ProcessLife.Gone, other.Life(own));
        }
        finally
        {
            process.Kill();
        }
    }

    [Fact]
    public void Another_machine_or_container_is_not_looked_into_nor_one_whose_number_was_given_away()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("the system says nothing of others' processes");
        var own = RankProcess.FromBytes(RankProcess.Own().ToBytes());
        Assert.Equal(RankProcess.Own(), own);
        Assert.NotEqual(ProcessLife.Unknown, own.Life(own));
        Assert.Equal(ProcessLife.Unknown, (own with { Host = "elsewhere" }).Life(own));
        Assert.Equal(ProcessLife.Unknown, (own with { Machine = "another start" }).Life(own));
        Assert.Equal(ProcessLife.Unknown, (own with { Machine = "" }).Life(own with { Machine = "" }));
        Assert.Equal(ProcessLife.Gone, (own with { Started = own.Started - 1 }).Life(own));
    }

    /// <summary>Its start is the 22nd of the fields, behind the name in brackets, which is the second.</summary>
    private static RankProcess Of(Process process) =>
        RankProcess.Own() with { Id = process.Id, Started = long.Parse(File.ReadAllText($"/proc/{process.Id}/stat").Split(") ")[1].Split(' ')[19], System.Globalization.CultureInfo.InvariantCulture) };

    private static void WaitFor(Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(clock.Elapsed < TimeSpan.FromMinutes(1), "it did not come about");
            Thread.Sleep(20);
        }
    }
}
