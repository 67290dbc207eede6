using System.Buffers.Binary;
using System.IO.Compression;
using System.Numerics;
using System.Text;
using K4os.Compression.LZ4;
using Parquet.Meta;
using Parquet.Schema;
using Snappier;
using Encoding = Parquet.Meta.Encoding;

namespace Rlgf.Text.Data;

/// <summary>
/// Reads a column whose data pages are of version 2: where Parquet.Net 6.1 fails (lists) or reads wrongly (booleans by run length). Plain, dictionary and run-length
/// encoded values, every compression. Format: github.com/apache/parquet-format, README.md and Encodings.md.
/// </summary>
internal sealed class ParquetVersion2Pages
{
    private readonly ColumnMetaData _column;
    private readonly DataField _field;
    private readonly List<object> _values = [];
    private readonly List<int> _definition = [];
    private readonly List<int> _repetition = [];
    private object[] _dictionary = [];

    private ParquetVersion2Pages(ColumnMetaData column, DataField field)
    {
        _column = column;
        _field = field;
    }

    /// <summary>Reads a column of one row group.</summary>
    /// <param name="file">The file, which is moved.</param>
    /// <param name="column">What the file's footer says of the column.</param>
    /// <param name="field">The column's values.</param>
    /// <returns>The values that are there, and the definition and repetition levels of all.</returns>
    public static (object[] Values, int[] Definition, int[] Repetition) Read(Stream file, ColumnMetaData column, DataField field)
    {
        var start = column.DictionaryPageOffset is > 0 and { } dictionary ? Math.Min(dictionary, column.DataPageOffset) : column.DataPageOffset;
        var bytes = new byte[column.TotalCompressedSize];
        file.Position = start;
        file.ReadExactly(bytes);
        var pages = new ParquetVersion2Pages(column, field);
        for (var at = 0; pages._definition.Count < column.NumValues;)
        {
            var header = ThriftStruct.Read(bytes, ref at);
            var size = header.Number(3);
            pages.ReadPage(header, bytes.AsSpan(at, size));
            at += size;
        }

        return ([.. pages._values], [.. pages._definition], [.. pages._repetition]);
    }

    private void ReadPage(ThriftStruct header, ReadOnlySpan<byte> page)
    {
        // Fields of PageHeader: 2 size without compression, 7 dictionary page, 8 data page of version 2.
        if (header.Struct(7) is { } dictionary)
        {
            _dictionary = Plain(Decompress(page, header.Number(2)), dictionary.Number(1));
            return;
        }

        // Fields of DataPageHeaderV2: 1 values (nulls included), 4 encoding, 5 and 6 bytes of definition and repetition levels, 7 whether the values are compressed.
        var data = header.Struct(8) ?? throw new NotSupportedException("a column mixes data pages of versions 1 and 2");
        var count = data.Number(1);
        var (definitionBytes, repetitionBytes) = (data.Number(5), data.Number(6));
        _repetition.AddRange(RunLength(page[..repetitionBytes], BitsFor(_field.MaxRepetitionLevel), count));
        var definition = RunLength(page.Slice(repetitionBytes, definitionBytes), BitsFor(_field.MaxDefinitionLevel), count);
        _definition.AddRange(definition);

        var body = page[(repetitionBytes + definitionBytes)..];
        var present = definition.Count(level => level == _field.MaxDefinitionLevel);
        var values = data.Number(7, fallback: 1) == 1 ? Decompress(body, header.Number(2) - repetitionBytes - definitionBytes) : body;
        _values.AddRange((Encoding)data.Number(4) switch
        {
            _ when present == 0 => [],
            Encoding.PLAIN => Plain(values, present),
            Encoding.RLE when _column.Type == Parquet.Meta.Type.BOOLEAN => RunLength(values[4..], 1, present).Select(bit => (object)(bit == 1)),
            Encoding.RLE_DICTIONARY or Encoding.PLAIN_DICTIONARY => RunLength(values[1..], values[0], present).Select(index => _dictionary[index]),
            var other => throw new NotSupportedException($"lists and booleans encoded as {other} aren't read"),
        });
    }

    private byte[] Decompress(ReadOnlySpan<byte> bytes, int size)
    {
        var plain = new byte[size];
        switch (_column.Codec)
        {
            case var _ when size == 0:
                break;
            case CompressionCodec.UNCOMPRESSED:
                bytes.CopyTo(plain);
                break;
            case CompressionCodec.SNAPPY:
                Snappy.Decompress(bytes, plain);
                break;
            case CompressionCodec.GZIP:
                new GZipStream(new MemoryStream(bytes.ToArray()), CompressionMode.Decompress).ReadExactly(plain);
                break;
            case CompressionCodec.BROTLI:
                BrotliDecoder.TryDecompress(bytes, plain, out _);
                break;
            case CompressionCodec.LZ4_RAW:
                LZ4Codec.Decode(bytes, plain);
                break;
            case CompressionCodec.ZSTD:
                using (var decompressor = new ZstdSharp.Decompressor())
                {
                    decompressor.Unwrap(bytes, plain);
                }

                break;
            default:
                throw new NotSupportedException($"the compression {_column.Codec} isn't read");
        }

        return plain;
    }

    /// <summary>Values one after the other: numbers in little-endian order, texts after their length in bytes, truth values a bit each from the lowest.</summary>
    private object[] Plain(ReadOnlySpan<byte> bytes, int count)
    {
        var values = new object[count];
        var at = 0;
        for (var i = 0; i < count; i++)
        {
            switch (_column.Type)
            {
                case Parquet.Meta.Type.BOOLEAN:
                    values[i] = (bytes[i / 8] >> (i % 8) & 1) == 1;
                    break;
                case Parquet.Meta.Type.INT32:
                    var number = BinaryPrimitives.ReadInt32LittleEndian(bytes[at..]);
                    values[i] = _field.ClrType == typeof(uint) ? (long)(uint)number : number;
                    at += 4;
                    break;
                case Parquet.Meta.Type.INT64:
                    values[i] = BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]);
                    at += 8;
                    break;
                case Parquet.Meta.Type.FLOAT:
                    values[i] = (double)BinaryPrimitives.ReadSingleLittleEndian(bytes[at..]);
                    at += 4;
                    break;
                case Parquet.Meta.Type.DOUBLE:
                    values[i] = BinaryPrimitives.ReadDoubleLittleEndian(bytes[at..]);
                    at += 8;
                    break;
                case Parquet.Meta.Type.BYTE_ARRAY:
                    var length = BinaryPrimitives.ReadInt32LittleEndian(bytes[at..]);
                    values[i] = System.Text.Encoding.UTF8.GetString(bytes.Slice(at + 4, length));
                    at += 4 + length;
                    break;
                default:
                    throw new NotSupportedException($"values of type {_column.Type} aren't read");
            }
        }

        return values;
    }

    /// <summary>The hybrid of runs and bit-packed groups of eight that levels, dictionary indices and booleans are written in.</summary>
    private static int[] RunLength(ReadOnlySpan<byte> bytes, int bits, int count)
    {
        var numbers = new int[count];
        if (bits == 0)
        {
            return numbers;
        }

        for (int filled = 0, at = 0; filled < count;)
        {
            var head = (int)ThriftStruct.Unsigned(bytes, ref at);
            if ((head & 1) == 0)
            {
                var number = 0;
                for (var i = 0; i < (bits + 7) / 8; i++)
                {
                    number |= bytes[at++] << (8 * i);
                }

                var run = Math.Min(head >> 1, count - filled);
                numbers.AsSpan(filled, run).Fill(number);
                filled += run;
                continue;
            }

            var packed = Math.Min((head >> 1) * 8, count - filled);
            for (var i = 0; i < packed; i++)
            {
                for (var bit = 0; bit < bits; bit++)
                {
                    var from = (i * bits) + bit;
                    numbers[filled + i] |= (bytes[at + (from / 8)] >> (from % 8) & 1) << bit;
                }
            }

            at += (head >> 1) * bits;
            filled += packed;
        }

        return numbers;
    }

    private static int BitsFor(int highest) => 32 - BitOperations.LeadingZeroCount((uint)highest);
}
