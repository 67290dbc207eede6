namespace Rlgf.Text.Data;

/// <summary>
/// A structure in Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), of which whole numbers, truth values and inner structures are
/// kept by their field's number: all that the headers of Parquet's pages need.
/// </summary>
internal sealed class ThriftStruct
{
    private readonly Dictionary<int, long> _numbers = [];
    private readonly Dictionary<int, ThriftStruct> _structs = [];

    private ThriftStruct() { }

    /// <summary>The inner structure of a field, or null.</summary>
    public ThriftStruct? Struct(int field) => _structs.GetValueOrDefault(field);

    /// <summary>The number of a field; truth values are 0 and 1.</summary>
    public int Number(int field, int? fallback = null) =>
        _numbers.TryGetValue(field, out var number) ? checked((int)number) : fallback ?? throw new InvalidDataException($"a page header lacks its field {field}");

    /// <summary>Reads a structure and moves on behind it.</summary>
    public static ThriftStruct Read(ReadOnlySpan<byte> bytes, ref int at)
    {
        var result = new ThriftStruct();
        for (var field = 0; ;)
        {
            var head = bytes[at++];
            if (head == 0)
            {
                return result;
            }

            // The high half says how far the field's number is from the last one's; 0 means that it is written out.
            field = head >> 4 != 0 ? field + (head >> 4) : (int)ZigZag(Unsigned(bytes, ref at));
            switch (head & 0xF)
            {
                case 1 or 2:
                    result._numbers[field] = (head & 0xF) == 1 ? 1 : 0;
                    break;
                case 3:
                    result._numbers[field] = (sbyte)bytes[at++];
                    break;
                case 4 or 5 or 6:
                    result._numbers[field] = ZigZag(Unsigned(bytes, ref at));
                    break;
                case 7:
                    at += 8;
                    break;
                case 8:
                    var length = (int)Unsigned(bytes, ref at);
                    at += length;
                    break;
                case 12:
                    result._structs[field] = Read(bytes, ref at);
                    break;
                default:
                    throw new InvalidDataException($"a page header has a field of type {head & 0xF}");
            }
        }
    }

    /// <summary>A number of 7 bits a byte, the lowest first.</summary>
    public static ulong Unsigned(ReadOnlySpan<byte> bytes, ref int at)
    {
        ulong number = 0;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[at++];
            number |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return number;
            }
        }
    }

    private static long ZigZag(ulong number) => (long)(number >> 1) ^ -(long)(number & 1);
}
