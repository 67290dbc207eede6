using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Checkpoints;

/// <summary>A copy of a fixture's folder in which something is stored in another way.</summary>
internal sealed class RewrittenFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Copies a fixture's configuration and weights.</summary>
    public RewrittenFolder(string fixture)
    {
        foreach (var path in Directory.GetFiles(Fixture.PathOf(fixture)).Where(path => Path.GetFileName(path) is "config.json" or "generation_config.json" || Path.GetFileName(path).StartsWith("model", StringComparison.Ordinal)))
            File.Copy(path, FileOf(Path.GetFileName(path)));
    }

    public string Folder => _folder.Path;

    public string FileOf(string name) => _folder.File(name);

    /// <summary>Writes the weights again.</summary>
    /// <param name="change">Changes the tensors by name; within a dispose scope.</param>
    /// <param name="metadata">What the file says beside them.</param>
    public RewrittenFolder Weights(Action<Dictionary<string, Tensor>> change, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var scope = NewDisposeScope();
        Dictionary<string, Tensor> tensors;
        using (var file = SafetensorsFile.Open(FileOf("model.safetensors"))) tensors = file.Entries.Keys.ToDictionary(name => name, name => file.Read(name), StringComparer.Ordinal);
        change(tensors);
        SafetensorsWriter.Write(FileOf("model.safetensors"), tensors, metadata);
        return this;
    }

    /// <summary>Gives tensors other names.</summary>
    public RewrittenFolder Rename(Func<string, string> rename) => Weights(tensors =>
    {
        var renamed = tensors.Select(pair => (rename(pair.Key), pair.Value)).ToArray();
        tensors.Clear();
        foreach (var (name, tensor) in renamed) tensors.Add(name, tensor);
    });

    /// <summary>Changes a JSON file.</summary>
    public RewrittenFolder Json(string name, Action<JsonObject> change)
    {
        var json = JsonNode.Parse(File.ReadAllText(FileOf(name)))!.AsObject();
        change(json);
        File.WriteAllText(FileOf(name), json.ToJsonString());
        return this;
    }

    public void Dispose() => _folder.Dispose();
}
