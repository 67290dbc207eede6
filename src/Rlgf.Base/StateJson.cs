using System.Text.Json;

namespace Rlgf.Base;

/// <summary>Parts of a checkpoint that are JSON.</summary>
public static class StateJson
{
    /// <summary>Reads one.</summary>
    /// <param name="path">The file.</param>
    /// <param name="what">What it holds, as the beginning of a sentence with its verb, such as <c>the prompts' cuts are</c>.</param>
    /// <param name="format">The format's name, for messages.</param>
    /// <param name="isWhole">Whether what was read is of that format and has all that it must.</param>
    /// <exception cref="InputException">It is of another format or damaged; names it.</exception>
    public static T Read<T>(string path, string what, string format, Func<T, bool> isWhole)
        where T : class
    {
        try
        {
            using var stream = RegularFile.Open(path);
            return JsonSerializer.Deserialize<T>(stream) is { } read && isWhole(read)
                ? read
                : throw new InputException($"{path}: {what} not in the format '{format}', which this version reads: resume with the version that made it.");
        }
        catch (JsonException fault)
        {
            throw new InputException($"{path}: {what} damaged; resume from another checkpoint.", fault);
        }
    }
}
