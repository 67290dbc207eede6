using System.Text;

namespace Rlgf.Base;

/// <summary>Recognises what stands in a file's place where it was not really downloaded: such a file has the right name and nothing of the right content.</summary>
public static class ForeignContent
{
    /// <summary>How many bytes of a file's beginning are enough to tell.</summary>
    public const int Enough = 128;

    private const int ShownText = 40;

    // Fewer bytes are more likely the beginning of something.
    private const int LeastText = 9;

    private static readonly string[] PageBeginnings = ["<!doctype html", "<html", "<?xml"];

    /// <summary>Says what a file is, if it is a git-LFS pointer or a web page, and what to do; null otherwise.</summary>
    /// <param name="start">Its first <see cref="Enough"/> bytes, or all that it has.</param>
    public static string? Describe(ReadOnlySpan<byte> start)
    {
        var text = Encoding.UTF8.GetString(start[..Math.Min(start.Length, Enough)]).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        if (text.StartsWith("version https://git-lfs.github.com/", StringComparison.Ordinal))
            return "it is a git-LFS pointer, not the file itself; run 'git lfs pull' in its folder, or 'rlgf fetch' for a model of a hub";
        return Array.Exists(PageBeginnings, page => text.StartsWith(page, StringComparison.OrdinalIgnoreCase))
            ? "it is a web page, not the file itself; a server answered the download with a page (a wrong address, or one that asks for a token): download it again, such as with 'rlgf fetch'"
            : null;
    }

    /// <summary>The same for a file that must not be text: also any other text is recognised, such as "Entry not found".</summary>
    /// <param name="start">Its first <see cref="Enough"/> bytes, or all that it has.</param>
    public static string? DescribeInBinary(ReadOnlySpan<byte> start)
    {
        if (Describe(start) is { } known) return known;
        start = start[..Math.Min(start.Length, Enough)];
        if (start.Length < LeastText || !IsText(start)) return null;
        var text = Encoding.ASCII.GetString(start).ReplaceLineEndings(" ").Trim();
        return $"it is text ('{(text.Length <= ShownText ? text : $"{text[..ShownText]}…")}'), not the file itself; download or copy it again";
    }

    /// <summary>The fault of a file that is one of these.</summary>
    /// <param name="path">The file; one that can't be read is none of these.</param>
    public static InputException? Fault(string path)
    {
        try
        {
            using var file = RegularFile.Open(path, FileShare.ReadWrite);
            var start = new byte[Enough];
            return Describe(start.AsSpan(0, file.ReadAtLeast(start, Enough, throwOnEndOfStream: false))) is { } what ? new InputException($"{path}: {what}.") : null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static bool IsText(ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            if (value is not ((>= 0x20 and < 0x7F) or (byte)'\t' or (byte)'\r' or (byte)'\n')) return false;
        }

        return true;
    }
}
