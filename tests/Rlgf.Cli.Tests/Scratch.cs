using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary>A folder of a test's own, gone afterwards.</summary>
internal sealed class Scratch : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlgf-test-");

    /// <summary>A path in the folder.</summary>
    public string this[string name] => Path.Combine(_folder.FullName, name);

    /// <summary>Writes a file and gives its path.</summary>
    public string Write(string name, params string[] lines)
    {
        File.WriteAllLines(this[name], lines);
        return this[name];
    }

    /// <summary>A copy of a fixture's folder that may be damaged.</summary>
    public string CopyOf(string fixture)
    {
        var copy = Directory.CreateDirectory(this[fixture]).FullName;
        foreach (var file in Directory.EnumerateFiles(Fixtures.Model(fixture)))
        {
            File.WriteAllBytes(Path.Combine(copy, Path.GetFileName(file)), File.ReadAllBytes(file)); // A copied file would keep a read-only mode.
        }

        return copy;
    }

    public void Dispose() => _folder.Delete(recursive: true);
}

/// <summary>The tiny models that lie beside the tests of Rlgf.Models.</summary>
internal static class Fixtures
{
    public static string Model(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "models", name);

    public static JsonNode Expected(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(Model(name), "expected.json")))!;

    /// <summary>The rows of a JSON lines file.</summary>
    public static JsonNode[] Rows(string path) => [.. File.ReadLines(path).Select(line => JsonNode.Parse(line)!)];

    /// <summary>The ids of a padded row where the mask is 1.</summary>
    public static int[] Unpadded(JsonNode batch, int row)
    {
        var ids = batch["input_ids"]![row]!.AsArray().Select(id => id!.GetValue<int>());
        var mask = batch["attention_mask"]![row]!.AsArray().Select(bit => bit!.GetValue<int>() == 1);
        return [.. ids.Zip(mask).Where(pair => pair.Second).Select(pair => pair.First)];
    }

    public static double[] Numbers(JsonNode? array) => [.. array!.AsArray().Select(number => number!.GetValue<double>())];

    public static int[] Ids(JsonNode? array) => [.. array!.AsArray().Select(number => number!.GetValue<int>())];
}
