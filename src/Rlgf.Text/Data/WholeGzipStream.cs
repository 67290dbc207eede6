using System.Buffers.Binary;
using System.IO.Compression;

namespace Rlgf.Text.Data;

/// <summary>
/// Decompresses a gzip file and finds out where it was cut off, which <see cref="GZipStream"/> takes for its end: the last four bytes of a whole file say how long
/// the text is (RFC 1952, ISIZE).
/// </summary>
internal sealed class WholeGzipStream : Stream
{
    private readonly GZipStream _inner;
    private readonly uint _length;
    private uint _read;

    public WholeGzipStream(FileStream file)
    {
        Span<byte> size = stackalloc byte[4];
        file.Seek(-Math.Min(4, file.Length), SeekOrigin.End);
        file.ReadAtLeast(size, 4, throwOnEndOfStream: false);
        _length = BinaryPrimitives.ReadUInt32LittleEndian(size);
        file.Position = 0;
        _inner = new GZipStream(file, CompressionMode.Decompress);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count)
    {
        var read = _inner.Read(buffer, offset, count);
        unchecked
        {
            _read += (uint)read;
        }

        return read > 0 || count == 0 || _read == _length ? read : throw new InvalidDataException("the gzip file ends before its text does");
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }
}
