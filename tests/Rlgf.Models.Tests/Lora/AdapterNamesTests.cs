using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Loading;
using Rlgf.Models.Tests.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Lora;

/// <summary>Names under which adapters are saved by others than PEFT itself, and ranks that differ by map.</summary>
public sealed class AdapterNamesTests : IDisposable
{
    private const double Tolerance = 1e-4;

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData(".lora_A.default.weight", ".lora_B.default.weight", "base_model.model.")]
    [InlineData(".lora_A.policy.weight", ".lora_B.policy.weight", "base_model.model.")]
    [InlineData(".lora_A.weight", ".lora_B.weight", "")]
    public void Names_of_a_whole_state_are_read_as_PEFTs_own(string down, string up, string prefix)
    {
        using var fixture = new Fixture("gpt2_lora");
        using var folder = new TemporaryFolder();
        var settings = JsonNode.Parse(File.ReadAllText(Path.Combine(fixture.Folder, "adapter_config.json")))!;
        settings["base_model_name_or_path"] = Fixture.PathOf("gpt2");
        File.WriteAllText(folder.File("adapter_config.json"), settings.ToJsonString());
        using (var file = SafetensorsFile.Open(Path.Combine(fixture.Folder, "adapter_model.safetensors")))
        {
            SafetensorsWriter.Write(folder.File("adapter_model.safetensors"), file.Entries.Keys.Select(name => KeyValuePair.Create(
                name.Replace("base_model.model.", prefix, StringComparison.Ordinal).Replace(".lora_A.weight", down, StringComparison.Ordinal).Replace(".lora_B.weight", up, StringComparison.Ordinal), file.Read(name))));
        }

        using var model = LanguageModelFolder.Load(folder.Path);
        Fixture.Close(fixture.Tensor("logits_with_adapter"), Fixture.AllLogits(model, Fixture.Rows(fixture.Expected["right_padded"]!)), Tolerance);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Ranks_and_alphas_by_pattern_are_those_of_the_first_pattern_that_a_maps_name_ends_with(bool rankStabilised)
    {
        int[][] rows = [[5, 6, 7, 8, 9]];
        using var random = new Generator(1);
        // r = 3 and alpha = 6 but for the pattern: v_proj of all layers has r = 5, and layer 1's alpha 4.
        (string Map, int Rank, double Alpha)[] maps =
        [
            ("model.layers.0.self_attn.q_proj", 3, 6), ("model.layers.0.self_attn.v_proj", 5, 6), ("model.layers.1.self_attn.v_proj", 5, 4),
        ];
        var tensors = new Dictionary<string, Tensor>();
        using var whole = new RewrittenFolder("llama").Weights(weights =>
        {
            foreach (var (map, rank, alpha) in maps)
            {
                var weight = weights[$"{map}.weight"];
                var (down, up) = (randn([rank, weight.size(1)], generator: random) * 0.1, randn([weight.size(0), rank], generator: random) * 0.1);
                weights[$"{map}.weight"] = weight + alpha / (rankStabilised ? Math.Sqrt(rank) : rank) * up.matmul(down);
                tensors[$"{map}.lora_A.weight"] = down.MoveToOuterDisposeScope();
                tensors[$"{map}.lora_B.weight"] = up.MoveToOuterDisposeScope();
            }
        });
        var settings = new JsonObject
        {
            ["rank_pattern"] = new JsonObject { ["v_proj"] = 5, ["proj"] = 9 }, ["alpha_pattern"] = new JsonObject { [@"layers\.1\..*v_proj"] = 4, ["k_proj"] = 100 }, ["use_rslora"] = rankStabilised,
        };
        using var adapter = new AdapterOnFixture("llama", tensors, settings);
        using var model = LanguageModelFolder.Load(adapter.Folder);
        using var expected = LanguageModelFolder.Load(whole.Folder);
        Fixture.Close(Fixture.AllLogits(expected, rows), Fixture.AllLogits(model, rows), Tolerance);
        using var clone = model.Clone();
        Fixture.Close(Fixture.AllLogits(expected, rows), Fixture.AllLogits(clone, rows), Tolerance);
        using var saved = new TemporaryFolder();
        LanguageModelFolder.Save(model, saved.Path);
        Fixture.SameWeights(adapter.Folder, saved.Path, "adapter_model.safetensors");
    }
}
