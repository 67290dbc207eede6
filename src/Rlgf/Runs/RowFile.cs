using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Runs;

/// <summary>Files of one JSON value a line, appended to while a run goes on.</summary>
internal static class RowFile
{
    /// <summary>Appends one line, with its end in one write, and forces it to disk: a kill or a power cut loses at most the line being written.</summary>
    public static void Append(string path, string line) => AtomicFile.AppendText(path, line + "\n");

    /// <summary>Writes a whole file of lines.</summary>
    public static void Write(string path, IEnumerable<string> lines) => AtomicFile.WriteText(path, string.Concat(lines.Select(line => line + "\n")));

    /// <summary>Reads all lines; a cut last line is left out.</summary>
    /// <exception cref="InputException">Not there, or another line is malformed.</exception>
    public static IReadOnlyList<T> Read<T>(string path, Func<string, T> parse)
    {
        RunFolder.RequireFile(path);
        var text = RegularFile.ReadText(path);
        var values = new List<T>();
        for (int start = 0, line = 1; start < text.Length; line++)
        {
            var end = text.IndexOf('\n', start);
            var isCut = end < 0;
            if (isCut) end = text.Length;
            try
            {
                values.Add(parse(text[start..end]));
            }
            catch (JsonException e)
            {
                // Only a line without its end can be one that was being written when the run was killed.
                if (!isCut) throw JsonFault.InLine(path, line, e);
            }
            start = end + 1;
        }
        return values;
    }

    /// <summary>As <see cref="Read"/>; empty where there is no file yet.</summary>
    public static IReadOnlyList<T> ReadIfExists<T>(string path, Func<string, T> parse) => File.Exists(path) ? Read(path, parse) : [];
}
