using System.Text;
using Rlgf.Base;

namespace Rlgf.Text.Data;

/// <summary>Opens text for reading: a file, a gzip file (told by its first bytes), or standard input.</summary>
internal static class TextInput
{
    /// <summary>The path that stands for standard input or output.</summary>
    public const string Standard = "-";

    /// <summary>The name of a path for messages.</summary>
    public static string NameOf(string path) => path == Standard ? "standard input" : path;

    /// <summary>Opens a file and says clearly where that fails.</summary>
    /// <param name="path">The file.</param>
    /// <param name="isReadOnce">Whether it is read once from its beginning to its end.</param>
    public static FileStream OpenFile(string path, bool isReadOnce = false)
    {
        if (Directory.Exists(path))
        {
            throw new InputException($"{path}: this is a folder; name a .jsonl, .csv, .tsv or .parquet file in it (folders written by save_to_disk aren't read)");
        }

        try
        {
            return RegularFile.Open(path, bufferSize: 1 << 16, options: FileOptions.SequentialScan, isReadOnce: isReadOnce);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: there is no such file (looked in {Path.GetDirectoryName(Path.GetFullPath(path))})", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be read: {e.Message}", e);
        }
    }

    /// <summary>Opens UTF-8 text; bytes that aren't valid are an error at the time they are read, never replaced.</summary>
    public static StreamReader OpenText(string path)
    {
        Stream stream = path == Standard ? Console.OpenStandardInput() : OpenFile(path, isReadOnce: true);
        if (stream.CanSeek)
        {
            var compressed = stream.ReadByte() == 0x1F && stream.ReadByte() == 0x8B;
            stream.Position = 0;
            if (compressed)
            {
                stream = new WholeGzipStream((FileStream)stream);
            }
        }

        return new StreamReader(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true), detectEncodingFromByteOrderMarks: true, 1 << 16);
    }

    /// <summary>What an exception from reading means for the user, or null where it is none of reading's.</summary>
    public static InputException? Explain(Exception exception, string location) => exception switch
    {
        DecoderFallbackException => new InputException($"{location}: not valid UTF-8", exception),
        InvalidDataException => new InputException($"{location}: the gzip data is damaged or cut off (or several gzip files one after another, which aren't read)", exception),
        IOException or UnauthorizedAccessException => new InputException($"{location}: can't be read: {exception.Message}", exception),
        _ => null,
    };
}
