using System.Buffers.Binary;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>Reads the head of a GGUF file from front to back: numbers are little-endian, texts have a 64-bit length before them. Counts are believed only as far as the file is long.</summary>
internal sealed class GgufReader(MappedFile file)
{
    /// <summary>Bytes read ahead.</summary>
    private const int Window = 1 << 20;

    private byte[] _window = [];
    private long _windowStart;

    /// <summary>Where it stands, in bytes from the file's start.</summary>
    public long Position { get; private set; }

    /// <summary>Bytes that are left.</summary>
    public long Left => file.Length - Position;

    public byte Byte() => Take(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public float Single() => BinaryPrimitives.ReadSingleLittleEndian(Take(4));

    public double Double() => BinaryPrimitives.ReadDoubleLittleEndian(Take(8));

    /// <summary>A text; bytes that are no UTF-8 become U+FFFD.</summary>
    public string Text() => Encoding.UTF8.GetString(Take(Count(leastBytes: 1, "the length of a text")));

    /// <summary>A count of things that take at least so many bytes each.</summary>
    /// <exception cref="InputException">The file isn't long enough for so many.</exception>
    public int Count(int leastBytes, string what, int most = int.MaxValue)
    {
        var count = UInt64();
        if (count > (ulong)(Left / leastBytes) || count > (ulong)most) throw new InputException($"{file.Path}: at byte {Position - 8}, {what} is {count}, which can't be: it is damaged or cut short; copy or download it again.");
        return (int)count;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > Left) throw new InputException($"{file.Path}: it ends at byte {file.Length} in the middle of its head: it is cut short; copy or download it again.");
        if (Position + count > _windowStart + _window.Length)
        {
            _window = file.Read(Position, (int)Math.Min(Math.Max(count, Window), Left));
            _windowStart = Position;
        }

        var bytes = _window.AsSpan((int)(Position - _windowStart), count);
        Position += count;
        return bytes;
    }
}
