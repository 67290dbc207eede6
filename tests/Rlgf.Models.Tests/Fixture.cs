using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>
/// A folder of fixtures/models or fixtures/families: a checkpoint and what transformers computes from it. RLGF_FAMILY_CASES names another folder of the same layout, which takes the place of fixtures/families.
/// </summary>
internal sealed class Fixture : IDisposable
{
    private readonly SafetensorsFile _tensors;

    public Fixture(string name)
    {
        Folder = PathOf(name);
        Expected = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "expected.json")))!;
        _tensors = SafetensorsFile.Open(Path.Combine(Folder, "expected.safetensors"));
    }

    public string Folder { get; }

    public JsonNode Expected { get; }

    /// <summary>Where the folders of further families are.</summary>
    public static string Families { get; } = Environment.GetEnvironmentVariable("RLGF_FAMILY_CASES") is { Length: > 0 } folder
        ? Directory.Exists(Path.Combine(folder, "models")) ? Path.Combine(folder, "models") : folder
        : Path.Combine(AppContext.BaseDirectory, "fixtures", "families");

    private static string Models { get; } = Path.Combine(AppContext.BaseDirectory, "fixtures", "models");

    /// <summary>How far logits may be from those of transformers; more for a family that divides by what can be small (README of the fixtures).</summary>
    public double Tolerance => Path.GetFileName(Folder).StartsWith("qwen3_5", StringComparison.Ordinal) ? 2e-4 : 1e-4;

    public static string PathOf(string name) => Path.Combine(Directory.Exists(Path.Combine(Models, name)) ? Models : Families, name);

    /// <summary>Names of the folders of one kind and of a known family, in order, those of the first families before the others.</summary>
    public static IEnumerable<string> Of(string kind, Func<JsonNode, bool>? also = null) => [.. In(Models, kind, also), .. InFamilies(kind, also)];

    /// <summary>Names of further families' folders of one kind.</summary>
    public static IEnumerable<string> InFamilies(string kind, Func<JsonNode, bool>? also = null) => In(Families, kind, also).Where(name => IsKnown(Path.Combine(Families, name)));

    /// <summary>Names of folders of families that aren't known.</summary>
    public static IEnumerable<string> Unknown => Directory.EnumerateDirectories(Families).Where(folder => File.Exists(Path.Combine(folder, "config.json")) && !IsKnown(folder)).Select(Path.GetFileName).Order(StringComparer.Ordinal)!;

    private static bool IsKnown(string folder)
    {
        // An adapter's folder says nothing of its family.
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path)) path = Path.Combine(folder, (string)JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "adapter_config.json")))!["base_model_name_or_path"]!, "config.json");
        var type = (string)JsonNode.Parse(File.ReadAllText(path))!["model_type"]!;
        return Rlgf.Models.Families.Known.ModelFamilies.Types.Contains(type);
    }

    private static IEnumerable<string> In(string root, string kind, Func<JsonNode, bool>? also)
    {
        foreach (var folder in Directory.EnumerateDirectories(root).Order(StringComparer.Ordinal))
        {
            var path = Path.Combine(folder, "expected.json");
            if (!File.Exists(path)) continue;
            var expected = JsonNode.Parse(File.ReadAllText(path))!;
            if ((string?)expected["kind"] == kind && also?.Invoke(expected) != false) yield return Path.GetFileName(folder);
        }
    }

    /// <summary>Names of the tensors that are expected.</summary>
    public IEnumerable<string> Tensors => _tensors.Entries.Keys;

    public Tensor Tensor(string name) => _tensors.Read(name);

    public void Dispose() => _tensors.Dispose();

    public static int[][] Ints(JsonNode? node) => [.. node!.AsArray().Select(row => row!.AsArray().Select(item => (int)item!).ToArray())];

    /// <summary>The rows of a padded batch without their padding.</summary>
    public static int[][] Rows(JsonNode batch)
    {
        var mask = Ints(batch["attention_mask"]);
        return [.. Ints(batch["input_ids"]).Select((ids, row) => ids.Where((_, column) => mask[row][column] == 1).ToArray())];
    }

    /// <summary>Left-padded prompts up to a column, right-padded continuations from it.</summary>
    public static TokenRow[] Continuations(JsonNode batch, int first)
    {
        var mask = Ints(batch["attention_mask"]);
        return [.. Ints(batch["input_ids"]).Select((ids, b) => new TokenRow(
            ids.Where((_, column) => column < first && mask[b][column] == 1).ToArray(),
            ids.Where((_, column) => column >= first && mask[b][column] == 1).ToArray()))];
    }

    /// <summary>Both folders hold the same names, each with the same type, shape and numbers to the last bit.</summary>
    public static void SameWeights(string expectedFolder, string folder, string file = "model.safetensors")
    {
        using var expected = SafetensorsFile.Open(System.IO.Path.Combine(expectedFolder, file));
        using var actual = SafetensorsFile.Open(System.IO.Path.Combine(folder, file));
        Assert.Equal(expected.Entries.Keys.Order(StringComparer.Ordinal), actual.Entries.Keys.Order(StringComparer.Ordinal));
        foreach (var name in expected.Entries.Keys)
        {
            using var scope = NewDisposeScope();
            Assert.Equal(expected.Entries[name].Type, actual.Entries[name].Type);
            Assert.Equal(expected.Entries[name].Shape, actual.Entries[name].Shape);
            Assert.True(expected.Read(name).bytes.SequenceEqual(actual.Read(name).bytes), name);
        }
    }

    /// <summary>Logits after every token of every row, packed [N, V].</summary>
    public static Tensor AllLogits(ILanguageModel model, int[][] rows)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        // The last token of a response is never read, so one more is put there: then each token of the row is followed by a prediction.
        var states = model.ResponseStates([.. rows.Select(row => new TokenRow([row[0]], [.. row[1..], 0]))]);
        var packed = cat([.. rows.Select((row, b) => states[b].narrow(0, 0, row.Length))], 0);
        return model.Logits(packed).MoveToOuterDisposeScope();
    }

    public static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        using var scope = NewDisposeScope();
        var difference = (expected.to(float64) - actual.detach().to(float64)).abs().max().item<double>();
        Assert.True(difference <= tolerance, $"The largest difference is {difference}, above {tolerance}.");
    }
}

/// <summary>A folder of its own for a test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("rlgf-test-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
