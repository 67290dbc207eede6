using System.IO.Hashing;
using System.Text;

namespace Rlgf.Runs;

/// <summary>
/// Checksums against damage by disks and hands, not against forgery: XXH3 of 128 bits, which keeps up with memory, so that a checkpoint of many gigabytes waits for the disk and not for its sum.
/// </summary>
internal static class Checksum
{
    private const string Kind = "xxh128:";

    /// <summary>The checksum of a file's content.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    public static string OfFile(string path)
    {
        var hash = new XxHash128();
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        hash.Append(stream);
        return Kind + Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    /// <summary>The checksum of a text.</summary>
    public static string Of(string text) => Kind + Convert.ToHexStringLower(XxHash128.Hash(Encoding.UTF8.GetBytes(text)));
}
