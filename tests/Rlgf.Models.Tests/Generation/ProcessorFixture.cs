using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

/// <summary>What transformers' processors make of given logits (fixtures/processors).</summary>
internal sealed class ProcessorFixture : IDisposable
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "processors");

    private readonly SafetensorsFile _tensors = SafetensorsFile.Open(Path.Combine(Folder, "expected.safetensors"));

    public JsonNode Expected { get; } = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "expected.json")))!;

    /// <summary>The rows' tokens without their padding; the last ones after the prompt's 6 columns are the response.</summary>
    public IReadOnlyList<RowHistory> Histories
    {
        get
        {
            var ids = Expected["input_ids"].Deserialize<int[][]>()!;
            var mask = Expected["attention_mask"].Deserialize<int[][]>()!;
            var response = ids[0].Length - (int)Expected["prompt_length"]!;
            return [.. ids.Zip(mask, (row, isToken) => new RowHistory(row.Where((_, i) => isToken[i] == 1).ToList(), response))];
        }
    }

    public Tensor Tensor(string name) => _tensors.Read(name);

    public void Dispose() => _tensors.Dispose();

    /// <summary>Settings of a case, or null where it uses something that is not there yet, or beams.</summary>
    public SamplingSettings? Settings(JsonNode @case)
    {
        var settings = new SamplingSettings { MaxNewTokens = 100, EndTokens = [(int)Expected["eos_token_id"]!] };
        if (!(bool)@case["attention_mask"]! || ((string)@case["name"]!).StartsWith("beam", StringComparison.Ordinal))
        {
            return null;
        }

        foreach (var (key, value) in @case["settings"]!.AsObject())
        {
            switch (key)
            {
                case "temperature": settings = settings with { Temperature = (double)value! }; break;
                case "top_k": settings = settings with { TopK = (int)value! }; break;
                case "top_p": settings = settings with { TopP = (double)value! }; break;
                case "repetition_penalty": settings = settings with { RepetitionPenalty = (double)value! }; break;
                case "min_new_tokens": settings = settings with { MinNewTokens = (int)value! }; break;
                default: return null;
            }
        }

        return settings;
    }
}
