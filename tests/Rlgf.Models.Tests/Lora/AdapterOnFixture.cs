using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Lora;

/// <summary>An adapter's folder in PEFT's format that is made for a test, on a fixture's model.</summary>
internal sealed class AdapterOnFixture : IDisposable
{
    /// <summary>What products are multiplied by: alpha / r.</summary>
    public const double Scaling = 2;

    public const int Rank = 3;

    private readonly TemporaryFolder _folder = new();

    /// <param name="model">The fixture of the base.</param>
    /// <param name="tensors">The adapter's tensors, by names without PEFT's prefix.</param>
    /// <param name="settings">Keys of <c>adapter_config.json</c> beside the usual ones.</param>
    public AdapterOnFixture(string model, IReadOnlyDictionary<string, Tensor> tensors, JsonObject? settings = null)
    {
        SafetensorsWriter.Write(_folder.File("adapter_model.safetensors"), tensors.Select(pair => KeyValuePair.Create($"base_model.model.{pair.Key}", pair.Value)));
        var json = new JsonObject
        {
            ["peft_type"] = "LORA", ["task_type"] = "CAUSAL_LM", ["base_model_name_or_path"] = Fixture.PathOf(model), ["r"] = Rank, ["lora_alpha"] = Scaling * Rank, ["bias"] = "none", ["init_lora_weights"] = true,
        };
        foreach (var (key, value) in settings ?? []) json[key] = value?.DeepClone();
        File.WriteAllText(_folder.File("adapter_config.json"), json.ToJsonString());
    }

    public string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();
}
