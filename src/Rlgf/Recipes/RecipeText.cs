using System.Text;
using Rlgf.Base;
using YamlDotNet.Core;

namespace Rlgf.Recipes;

/// <summary>A recipe's text: UTF-8 of a size that a person could have written.</summary>
internal static class RecipeText
{
    /// <summary>The most bytes of a file. The longest shipped recipe, resolved, has a two-hundredth of it.</summary>
    public const int MostBytes = 1 << 20;

    private const int MostShown = 60;

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">It is missing, can't be read, is too large, or isn't UTF-8; names the line.</exception>
    public static string Read(string path)
    {
        try
        {
            using var file = RegularFile.Open(path, isReadOnce: true);
            // Read to one byte beyond the limit: the length of a device or a pipe is not known before.
            var bytes = new byte[MostBytes + 1];
            var count = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return count <= MostBytes ? Decode(bytes.AsSpan(0, count), path) : throw TooLong(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: there is no such recipe", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be read: {e.Message}", e);
        }
    }

    /// <summary>Refuses text that no recipe has: too much of it, or control characters, which hide what is there.</summary>
    /// <param name="text">The text.</param>
    /// <param name="locate">Makes a location from a line, from 1.</param>
    public static void RequireReadable(string text, Func<long, string> locate)
    {
        if (text.Length > MostBytes) throw TooLong(locate(1));
        for (var at = 0; at < text.Length; at++)
        {
            if (char.IsControl(text[at]) && text[at] is not ('\t' or '\n' or '\r' or '\u0085'))
                throw new InputException($"{locate(LineOf(text, at))}: holds the control character U+{(int)text[at]:X4}; a recipe is text in UTF-8");
        }
    }

    /// <summary>The line, from 1, whose indentation holds the tab that makes YAML unreadable; null if that is not what is wrong.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="failure">What its parser said. Where it names the tab, its place is that of the section that the line would belong to; where it stumbles over what the tab made of the line, it is near.</param>
    public static int? TabThatSpoils(string text, YamlException failure)
    {
        var lines = text.Split('\n');
        if (failure.Message.Contains(" tab ", StringComparison.Ordinal))
        {
            // The least number of lines that fail like this; more lines fail like this too.
            var (good, bad) = (0, lines.Length);
            while (bad - good > 1)
            {
                var middle = (good + bad) / 2;
                if (Failure(string.Join('\n', lines.Take(middle))) == failure.Message) bad = middle;
                else good = middle;
            }

            return bad;
        }

        for (var line = (int)failure.Start.Line; line <= lines.Length; line++)
        {
            var indentation = lines[line - 1].AsSpan();
            if (indentation.IsWhiteSpace()) continue;
            indentation = indentation[..indentation.IndexOfAnyExcept(' ', '\t')];
            if (indentation.Contains('\t')) return line;
            if (line > failure.End.Line) return null;
        }

        return null;
    }

    private static string? Failure(string text)
    {
        try
        {
            var parser = new Parser(new StringReader(text));
            while (parser.MoveNext())
            {
            }

            return null;
        }
        catch (Exception e) when (e is YamlException or InvalidOperationException or EndOfStreamException)
        {
            return e.Message;
        }
    }

    /// <summary>A text as messages show it: its beginning, where it is long.</summary>
    /// <param name="text">The text.</param>
    /// <param name="most">The most characters.</param>
    public static string Shown(string text, int most = MostShown)
    {
        if (text.Length <= most) return text;
        return text[..(char.IsHighSurrogate(text[most - 1]) ? most - 1 : most)] + "…";
    }

    private static string Decode(ReadOnlySpan<byte> bytes, string path)
    {
        var start = bytes.StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        bytes = bytes[start..];
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            var line = bytes[..e.Index].Count((byte)'\n') + 1;
            throw new InputException($"{path}:{line}: not UTF-8: byte {start + e.Index} is 0x{bytes[e.Index]:X2}; save the file in UTF-8", e);
        }
    }

    private static long LineOf(string text, int at) => text.AsSpan(0, at).Count('\n') + 1;

    private static InputException TooLong(string location) => new($"{location}: longer than {MostBytes / 1024} KiB, which no recipe is");
}
