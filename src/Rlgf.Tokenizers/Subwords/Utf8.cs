using System.Buffers;
using System.Text;

namespace Rlgf.Tokenizers.Subwords;

/// <summary>Where characters end in UTF-8.</summary>
internal static class Utf8
{
    /// <summary>Whether no character is left unfinished at the end. Bytes that can't be part of any character leave nothing unfinished.</summary>
    public static bool EndsOnCharacter(ReadOnlySpan<byte> bytes)
    {
        // Only the last three bytes can begin a character that more bytes would complete.
        for (var length = 1; length <= Math.Min(3, bytes.Length); length++)
        {
            if (Rune.DecodeFromUtf8(bytes[^length..], out _, out _) == OperationStatus.NeedMoreData)
                return false;
        }
        return true;
    }
}
