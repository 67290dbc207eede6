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
    public IReadOnlyList<RowHistory> Histories => HistoriesOf(withPadding: false, int.MaxValue);

    /// <summary>What the processors of a case look at. Padding is no part of a row here; transformers shows it to n-grams always, and to all where no mask is given.</summary>
    public IReadOnlyList<RowHistory> HistoriesOf(JsonNode @case)
    {
        var columns = Expected["input_ids"]![0]!.AsArray().Count;
        var seesPadding = !(bool)@case["attention_mask"]! || (string)@case["name"]! == "no_repeat_ngram_size_1";
        return HistoriesOf(seesPadding, @case["settings"]!["max_length"] is { } limit ? (int)limit - columns : int.MaxValue);
    }

    /// <summary>What the processors of a case are given: beam methods show them log-probabilities.</summary>
    public Tensor Input(JsonNode @case) => ((string)@case["name"]!).StartsWith("beam", StringComparison.Ordinal) ? Tensor("logits").log_softmax(1) : Tensor("logits");

    public Tensor Tensor(string name) => _tensors.Read(name);

    public void Dispose() => _tensors.Dispose();

    /// <summary>Settings of a case.</summary>
    public SamplingSettings Settings(JsonNode @case)
    {
        var settings = new SamplingSettings { MaxNewTokens = 100, EndTokens = [(int)Expected["eos_token_id"]!] };
        if (!(bool)@case["sampling"]!) settings = settings with { Beams = new BeamSettings { Width = 4 } };
        foreach (var (key, value) in @case["settings"]!.AsObject())
        {
            settings = key switch
            {
                "temperature" => settings with { Temperature = (double)value! },
                "top_k" => settings with { TopK = (int)value! },
                "top_p" => settings with { TopP = (double)value! },
                "min_p" => settings with { MinP = (double)value! },
                "typical_p" => settings with { TypicalP = (double)value! },
                "repetition_penalty" => settings with { RepetitionPenalty = (double)value! },
                "min_new_tokens" => settings with { MinNewTokens = (int)value! },
                // Counts the prompt's columns too.
                "min_length" => settings with { MinNewTokens = (int)value! - (int)Expected["prompt_length"]! },
                "no_repeat_ngram_size" => settings with { NoRepeatNgram = (int)value! },
                "suppress_tokens" => settings with { ForbiddenSequences = [.. value!.Deserialize<int[]>()!.Select(id => (int[])[id])] },
                "bad_words_ids" => settings with { ForbiddenSequences = value!.Deserialize<int[][]>()! },
                "forced_eos_token_id" => settings with { ForcedLastToken = (int)value! },
                // In the histories.
                "max_length" => settings,
                _ => throw new NotSupportedException(key),
            };
        }

        return settings;
    }

    private IReadOnlyList<RowHistory> HistoriesOf(bool withPadding, int tokensLeft)
    {
        var ids = Expected["input_ids"].Deserialize<int[][]>()!;
        var mask = Expected["attention_mask"].Deserialize<int[][]>()!;
        var response = ids[0].Length - (int)Expected["prompt_length"]!;
        return [.. ids.Zip(mask, (row, isToken) => new RowHistory(row.Where((_, i) => withPadding || isToken[i] == 1).ToList(), response, tokensLeft))];
    }
}
