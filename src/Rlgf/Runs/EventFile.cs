using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace Rlgf.Runs;

/// <summary>
/// TensorBoard's event file: records of tensorflow/core/util/event.proto, each framed with its length and masked CRC-32C as in tensorflow/core/lib/io/record_writer.h.
/// </summary>
/// <remarks>Written here rather than through TorchSharp's writer, which puts the machine's name into the file's and opens the file anew for each value.</remarks>
internal sealed class EventFile : IDisposable
{
    // event.proto, summary.proto
    private const int EventWallTime = 1, EventStep = 2, EventFileVersion = 3, EventSummary = 5, EventSessionLog = 7;
    private const int SummaryValue = 1, ValueTag = 1, ValueSimple = 2;
    private const int SessionLogStatus = 1, SessionLogStart = 1;

    private readonly FileStream _stream;

    /// <summary>Opens a new file in the folder. TensorBoard forgets what older files of the folder say about <paramref name="firstStep"/> and later.</summary>
    public EventFile(string folder, int firstStep)
    {
        Directory.CreateDirectory(folder);
        var seconds = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var count = Directory.GetFiles(folder).Length;
        // The name must hold "tfevents"; files are read in the order of their names.
        var path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{seconds}.{count:000}"));
        _stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        Write(new Message().Double(EventWallTime, Now()).Text(EventFileVersion, "brain.Event:2"));
        Write(new Message().Double(EventWallTime, Now()).Number(EventStep, firstStep)
            .Nested(EventSessionLog, new Message().Number(SessionLogStatus, SessionLogStart)));
    }

    /// <summary>Writes scalars of one step; those that are not finite are left out.</summary>
    public void Scalars(int step, IEnumerable<KeyValuePair<string, double>> values)
    {
        var summary = new Message();
        foreach (var (tag, value) in values)
        {
            if (double.IsFinite(value)) summary.Nested(SummaryValue, new Message().Text(ValueTag, tag).Float(ValueSimple, (float)value));
        }
        Write(new Message().Double(EventWallTime, Now()).Number(EventStep, step).Nested(EventSummary, summary));
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private static double Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() / 1000.0;

    private void Write(Message message)
    {
        var data = message.ToArray();
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, data.Length);
        Span<byte> crc = stackalloc byte[4];
        _stream.Write(length);
        BinaryPrimitives.WriteUInt32LittleEndian(crc, MaskedCrc(length));
        _stream.Write(crc);
        _stream.Write(data);
        BinaryPrimitives.WriteUInt32LittleEndian(crc, MaskedCrc(data));
        _stream.Write(crc);
        _stream.Flush();
    }

    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var b in data) crc = BitOperations.Crc32C(crc, b);
        crc = ~crc;
        return BitOperations.RotateRight(crc, 15) + 0xA282EAD8;
    }

    /// <summary>A protocol buffers message: https://protobuf.dev/programming-guides/encoding.</summary>
    private sealed class Message
    {
        private readonly List<byte> _bytes = [];

        public Message Number(int field, int value)
        {
            Tag(field, 0);
            Varint((ulong)value);
            return this;
        }

        public Message Double(int field, double value)
        {
            Tag(field, 1);
            Span<byte> bytes = stackalloc byte[8];
            BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
            _bytes.AddRange(bytes);
            return this;
        }

        public Message Float(int field, float value)
        {
            Tag(field, 5);
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
            _bytes.AddRange(bytes);
            return this;
        }

        public Message Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

        public Message Nested(int field, Message value) => Bytes(field, value.ToArray());

        public byte[] ToArray() => _bytes.ToArray();

        private Message Bytes(int field, byte[] value)
        {
            Tag(field, 2);
            Varint((ulong)value.Length);
            _bytes.AddRange(value);
            return this;
        }

        private void Tag(int field, int wireType) => Varint((ulong)(field << 3 | wireType));

        private void Varint(ulong value)
        {
            for (; value >= 0x80; value >>= 7) _bytes.Add((byte)(value | 0x80));
            _bytes.Add((byte)value);
        }
    }
}
