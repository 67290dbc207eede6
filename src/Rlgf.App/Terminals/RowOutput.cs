using System.Text;
using System.Text.Json;
using Rlgf.Base;
using Rlgf.Runs;
using Rlgf.Text.Data;

namespace Rlgf.App.Terminals;

/// <summary>
/// Rows of JSON lines into a file or to standard output. A file is written under another name beside it and gets its own when all rows are there: what an earlier command
/// wrote is never half replaced, and rows of a command that was stopped are kept.
/// </summary>
internal sealed class RowOutput : IDisposable
{
    private const string Devices = "/dev/";

    /// <summary>Endings that stand for other formats.</summary>
    private static readonly string[] OtherFormats = [".csv", ".tsv", ".parquet", ".gz", ".arrow", ".feather"];

    private readonly string? _path;
    private readonly string? _unfinished;
    private readonly TextWriter _writer;

    /// <summary>Makes sure that rows can be written and replace nothing that they are made from, under a name that says what they are: better now than after the work.</summary>
    /// <param name="path">A file, or "-" for standard output.</param>
    /// <param name="inputs">Files and folders that the rows are made from.</param>
    /// <exception cref="InputException">They can't be.</exception>
    public static void Require(string path, params IEnumerable<string> inputs)
    {
        if (path == "-" || path.StartsWith(Devices, StringComparison.Ordinal)) return;
        if (OtherFormats.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase))
            throw new InputException($"{path}: JSON is written, and the ending {Path.GetExtension(path)} stands for another format, as which it would be read; let the name end in .jsonl");
        Outputs.RequireFile(path, inputs);
    }

    /// <summary>Makes sure that no earlier command was stopped on the way to the same file, whose rows took long or cost money: they would be replaced.</summary>
    /// <param name="path">A file, or "-" for standard output.</param>
    /// <exception cref="InputException">There are such rows.</exception>
    public static void RequireNothingUnfinished(string path)
    {
        if (path + Outputs.UnfinishedEnding is var unfinished && File.Exists(unfinished) && new FileInfo(unfinished).Length > 0)
            throw new InputException($"{unfinished}: has rows of a command that was stopped, which this one would replace; give them another name to keep them, or remove them");
    }

    /// <summary>Opens the output.</summary>
    /// <param name="path">A file, or "-" for standard output.</param>
    /// <param name="terminal">Has standard output.</param>
    /// <exception cref="InputException">The file can't be written.</exception>
    public RowOutput(string path, Terminal terminal)
    {
        if (path is "-" or "/dev/stdout")
        {
            _writer = terminal.Out;
            return;
        }

        try
        {
            var existing = File.Exists(path) ? new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.Read) : null;
            if (existing is not null && (!existing.CanSeek || path.StartsWith(Devices, StringComparison.Ordinal)))
            {
                // A pipe or a device has no content to keep and can't be renamed: it is written to as it is.
                (_path, _unfinished) = (path, path);
                _writer = NewWriter(existing);
                return;
            }

            existing?.Dispose();
            (_path, _unfinished) = (path, path + Outputs.UnfinishedEnding);
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            // Elsewhere than on Windows only a file that nobody shares is one's own.
            _writer = NewWriter(new FileStream(_unfinished, FileMode.Create, FileAccess.Write, OperatingSystem.IsWindows() ? FileShare.Read : FileShare.None));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be written: {failure.Message}", failure);
        }
    }

    /// <summary>The work was stopped: says how many rows there are, and where.</summary>
    /// <param name="total">How many there would have been; null where that is not known.</param>
    public StoppedException Stopped(int? total = null) => new(Count == 0
        ? "stopped before the first row was written"
        : $"stopped after {Count} {(total is { } all ? $"of {all} " : "")}rows; they are in {_unfinished ?? "standard output"}");

    /// <summary>Number of rows written.</summary>
    public int Count { get; private set; }

    /// <summary>Writes one row; its properties become keys in snake_case.</summary>
    public void Write<T>(T row)
    {
        _writer.WriteLine(JsonSerializer.Serialize(row, JsonLines.WriteOptions));
        Count++;
    }

    /// <summary>Hands the rows to the operating system, so that a kill loses none of them.</summary>
    public void Flush() => _writer.Flush();

    /// <summary>Gives the file its name.</summary>
    public void Complete()
    {
        _writer.Flush();
        if (_path is null || _unfinished is null)
        {
            return;
        }

        _writer.Dispose();
        if (_unfinished != _path)
        {
            AtomicFile.Complete(_unfinished, _path);
        }
    }

    private static StreamWriter NewWriter(Stream stream) => new(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { NewLine = "\n" };

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_path is null)
        {
            return;
        }

        _writer.Dispose();
        if (Count == 0 && _unfinished != _path)
        {
            File.Delete(_unfinished!);
        }
    }
}
