using System.Globalization;
using System.Text.RegularExpressions;
using Rlgf.Base;

namespace Rlgf.Gguf;

/// <summary>Models that are split into several files, NAME-00001-of-00003.gguf and so on: the first has the keys, each has some of the tensors.</summary>
internal static partial class GgufParts
{
    private const string CountKey = "split.count";
    private const string NumberKey = "split.no";
    private const int MostParts = 10_000;

    /// <summary>The whole model of which a file may be a part.</summary>
    /// <param name="file">The file, which is disposed of where it is not the first part.</param>
    /// <param name="open">Opens a file alone.</param>
    /// <returns>The file itself where it isn't split, else the first part with the tensors of all.</returns>
    /// <exception cref="InputException">Parts are missing, which are all named, or are not of one model.</exception>
    public static GgufFile Join(GgufFile file, Func<string, GgufFile> open)
    {
        var count = file.Metadata.Whole(CountKey) ?? 1;
        if (count <= 1) return file;
        if (count > MostParts) throw file.Metadata.Fault(CountKey, $"is {count}, which can't be");
        if (PartName().Match(file.Path) is not { Success: true } name)
            throw new InputException($"{file.Path}: it is one of the {count} parts of a model, and the others can't be found by its name; give it back the name that it had, which ends in -{Place(1, count)}.gguf.");
        string[] paths = [.. Enumerable.Range(1, count).Select(number => $"{name.Groups[1].Value}-{Place(number, count)}.gguf")];
        string[] missing = [.. paths.Where(path => !File.Exists(path)).Select(path => Path.GetFileName(path))];
        if (missing.Length > 0) throw new InputException($"{file.Path}: it is one of the {count} parts of a model; missing beside it: {NameList.Of(missing)}.");

        var first = open(paths[0]);
        try
        {
            RequirePart(first, 0, count);
            for (var number = 1; number < count; number++)
            {
                var part = open(paths[number]);
                // From here on the first disposes of it.
                first.Add(part);
                RequirePart(part, number, count);
            }

            if (first.Metadata.Whole("split.tensors.count") is { } tensors && tensors != first.Tensors.Count)
                throw first.Metadata.Fault("split.tensors.count", $"is {tensors}, and the parts have {first.Tensors.Count} tensors together");
        }
        catch
        {
            first.Dispose();
            throw;
        }

        file.Dispose();
        return first;
    }

    private static void RequirePart(GgufFile part, int number, int count)
    {
        if (part.Metadata.Whole(CountKey) != count || part.Metadata.Whole(NumberKey) != number)
            throw new InputException($"{part.Path}: it says that it is part {(part.Metadata.Whole(NumberKey) ?? 0) + 1} of {part.Metadata.Whole(CountKey) ?? 1}, and its name that it is part {number + 1} of {count}; put together the parts of one model.");
    }

    private static string Place(int number, int count) => string.Create(CultureInfo.InvariantCulture, $"{number:00000}-of-{count:00000}");

    [GeneratedRegex(@"^(.*)-\d{5}-of-\d{5}\.gguf$", RegexOptions.Singleline)]
    private static partial Regex PartName();
}
