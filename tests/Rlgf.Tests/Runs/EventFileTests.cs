using System.Buffers.Binary;
using Google.Protobuf;
using Rlgf.Rollouts;
using Rlgf.Runs;
using Tensorboard;

namespace Rlgf.Tests.Runs;

/// <summary>The event files are read with TensorBoard's own message types, which TorchSharp has.</summary>
public sealed class EventFileTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Fact]
    public void Events_hold_the_scalars_and_a_resumed_run_says_where_it_starts()
    {
        var folder = new RunFolder(_temporary.File("run"));
        var plan = new RolloutPlan(Actor.Policy, Actor.Guide, 0.8, RollInLengths.Limit);
        var metrics = new Dictionary<string, double> { ["reward/mean"] = 0.75, ["loss/value"] = double.NaN };
        using (var log = FolderRunLog.Begin(folder, new RunDescription("r", "aggrevated", 1), RunEnvironment.Capture()))
        {
            log.Iteration(new IterationRecord(300, plan, metrics));
        }
        using (FolderRunLog.Resume(folder, 300)) { }

        var files = Directory.GetFiles(folder.EventsFolder).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(2, files.Length);
        Assert.All(files, file => Assert.Matches(@"^events\.out\.tfevents\.\d+\.\d+$", Path.GetFileName(file)));

        var first = ReadEvents(files[0]);
        Assert.Equal("brain.Event:2", first[0].FileVersion);
        Assert.Equal(300, first[2].Step);
        Assert.Equal(
            [("reward/mean", 0.75f), ("plan/roll_in_probability", 0.8f), ("plan/guide_credit", 0f), ("plan/guide_rolls_out", 1f)],
            first[2].Summary.Value.Select(v => (v.Tag, v.SimpleValue)));

        var second = ReadEvents(files[1]);
        Assert.Equal(300, second[1].Step);
        Assert.Equal(SessionLog.Types.SessionStatus.Start, second[1].SessionLog.Status);
    }

    private static List<Event> ReadEvents(string file)
    {
        var bytes = File.ReadAllBytes(file);
        var events = new List<Event>();
        for (var at = 0; at < bytes.Length;)
        {
            var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(MaskedCrc(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            var data = bytes.AsSpan(at + 12, length);
            Assert.Equal(MaskedCrc(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            events.Add(Event.Parser.ParseFrom(new CodedInputStream(data.ToArray())));
            at += 12 + length + 4;
        }
        return events;
    }

    [Fact]
    public void The_checksum_of_these_tests_is_CRC_32C() => Assert.Equal(0xE3069283u, Crc("123456789"u8));

    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = Crc(data);
        return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
    }

    // Bit by bit, reflected polynomial 0x82F63B78.
    private static uint Crc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var b in data)
        {
            crc ^= b;
            for (var k = 0; k < 8; k++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
        }
        return ~crc;
    }
}
