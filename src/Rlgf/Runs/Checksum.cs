using System.IO.Hashing;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Runs;

/// <summary>
/// Checksums against damage by disks and hands, not against forgery: XXH3 of 128 bits, which keeps up with memory, so that a checkpoint of many gigabytes waits for the disk and not for its sum.
/// </summary>
internal static class Checksum
{
    private const string Kind = "xxh128:", KindOfParts = "xxh128-parts:";

    /// <summary>The checksum of a file's content.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    public static string OfFile(string path)
    {
        var hash = new XxHash128();
        using var stream = RegularFile.Open(path, bufferSize: 1 << 20, options: FileOptions.SequentialScan);
        hash.Append(stream);
        return Kind + Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    /// <summary>The checksum of parts of a large file, spread evenly over it, the first and the last bytes among them: for files that are too large to be read for it.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    public static string OfParts(string path)
    {
        const int Parts = 64, PartBytes = 256 << 10;
        var hash = new XxHash128();
        RegularFile.Require(path);
        using var file = File.OpenHandle(path);
        var length = RandomAccess.GetLength(file);
        var part = new byte[PartBytes];
        for (var i = 0; i < Parts; i++)
        {
            var at = (long)((length - PartBytes) * (double)i / (Parts - 1));
            for (var read = 0; read < PartBytes;)
            {
                var count = RandomAccess.Read(file, part.AsSpan(read), at + read);
                if (count == 0) throw new EndOfStreamException($"{path} became shorter while it was read");
                read += count;
            }

            hash.Append(part);
        }

        return KindOfParts + Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    /// <summary>The checksum of a text.</summary>
    public static string Of(string text) => Kind + Convert.ToHexStringLower(XxHash128.Hash(Encoding.UTF8.GetBytes(text)));
}
