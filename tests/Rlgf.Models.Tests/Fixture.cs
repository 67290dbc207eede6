using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests;

/// <summary>A folder of fixtures/models: a checkpoint and what transformers computes from it.</summary>
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

    public static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "models", name);

    public Tensor Tensor(string name) => _tensors.Read(name);

    public void Dispose() => _tensors.Dispose();

    public static int[][] Ints(JsonNode? node) => [.. node!.AsArray().Select(row => row!.AsArray().Select(item => (int)item!).ToArray())];

    /// <summary>The rows of a padded batch without their padding.</summary>
    public static int[][] Rows(JsonNode batch)
    {
        var mask = Ints(batch["attention_mask"]);
        return [.. Ints(batch["input_ids"]).Select((ids, row) => ids.Where((_, column) => mask[row][column] == 1).ToArray())];
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

    /// <summary>Two folders hold tensors of the same names, shapes and bytes.</summary>
    public static void SameWeights(string expectedFolder, string actualFolder)
    {
        using var expected = SafetensorsFile.Open(Path.Combine(expectedFolder, "model.safetensors"));
        using var actual = SafetensorsFile.Open(Path.Combine(actualFolder, "model.safetensors"));
        Assert.Equal(expected.Entries.Keys.Order(StringComparer.Ordinal), actual.Entries.Keys.Order(StringComparer.Ordinal));
        using var scope = NewDisposeScope();
        foreach (var (name, entry) in expected.Entries)
        {
            Assert.Equal(entry.Shape, actual.Entries[name].Shape);
            Assert.True(expected.Read(name).bytes.SequenceEqual(actual.Read(name).bytes), name);
        }
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
