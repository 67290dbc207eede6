using System.Text.Json;
using Rlgf.Losses;
using Rlgf.Models;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Rollouts;
using Rlgf.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Tests.Losses;

/// <summary>
/// What TRL's trainers made of fixed inputs (fixtures/losses; its README has the formulas), or another folder of the same layout, which <c>RLGF_LOSS_CASES</c> names. Models lie in <c>models/</c> beside the files,
/// beside their folder, or among the fixtures.
/// </summary>
internal static class TrlCases
{
    public static string Folder => Environment.GetEnvironmentVariable("RLGF_LOSS_CASES") is { Length: > 0 } folder ? folder : Path.Combine(AppContext.BaseDirectory, "fixtures", "losses");

    public static bool IsOwnFolder => Environment.GetEnvironmentVariable("RLGF_LOSS_CASES") is not { Length: > 0 };

    public static JsonElement Load(string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, file)));
        return document.RootElement.Clone();
    }

    public static IEnumerable<TrlCase> Of(string file) => Load(file).GetProperty("cases").EnumerateArray().Select(one => new TrlCase(one));

    public static ILanguageModel Model(string file) => LanguageModelFolder.Load(ModelFolder(file));

    public static ISequenceClassifier RewardModel(string file) => SequenceClassifierFolder.Load(ModelFolder(file));

    public static SafetensorsFile Gradients(string file) => SafetensorsFile.Open(Path.Combine(Folder, Path.ChangeExtension(file, ".safetensors")));

    private static string ModelFolder(string file)
    {
        var name = Load(file).GetProperty("model").GetString()!;
        string[] places = [Path.Combine(Folder, "models", name), Path.Combine(Folder, "..", "models", name), Path.Combine(AppContext.BaseDirectory, "fixtures", "models", name)];
        return places.FirstOrDefault(Directory.Exists) ?? throw new DirectoryNotFoundException($"the model '{name}' of {file} is in none of {string.Join(", ", places)}");
    }
}

/// <summary>One case: TRL's settings, what the loss was given, what came out.</summary>
internal sealed class TrlCase(JsonElement json)
{
    public string Name { get; } = json.GetProperty("name").GetString()!;

    public JsonElement Inputs { get; } = json.GetProperty("inputs");

    public JsonElement Outputs { get; } = json.GetProperty("outputs");

    public bool Has(string input) => Inputs.TryGetProperty(input, out _);

    public string? Text(string setting) => Setting(setting) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    public double? Number(string setting) => Setting(setting) is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : null;

    public bool Flag(string setting) => Setting(setting) is { ValueKind: JsonValueKind.True };

    public bool IsNull(string setting) => Setting(setting) is null or { ValueKind: JsonValueKind.Null };

    public double[] List(string setting) => Setting(setting) is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray().Select(one => one.GetDouble())] : [];

    public IEnumerable<string> Texts(string setting) => Setting(setting) is { ValueKind: JsonValueKind.Array } list ? list.EnumerateArray().Select(one => one.GetString()!) : Text(setting) is { } text ? [text] : [];

    /// <summary>Rewards by function, NaN where it gave none.</summary>
    public double[][] Rewards
    {
        get
        {
            var given = Inputs.GetProperty("rewards");
            return given[0].ValueKind == JsonValueKind.Array ? [.. given.EnumerateArray().Select(Numbers)] : [Numbers(given)];

            static double[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(one => one.ValueKind == JsonValueKind.Null ? double.NaN : (double)(float)one.GetDouble())];
        }
    }

    /// <summary>[8] or [8, A] float64 of the float32 that are written.</summary>
    public Tensor Tensor(string input) => Inputs.GetProperty(input).Tensor().to(ScalarType.Float32).to(ScalarType.Float64);

    public Tensor Output(string name) => Outputs.GetProperty(name).Tensor().to(ScalarType.Float32).to(ScalarType.Float64);

    /// <summary>[8, A] bool: the tokens that the policy wrote.</summary>
    public Tensor Mask => (Has("tool_mask") ? Tensor("completion_mask") * Tensor("tool_mask") : Tensor("completion_mask")) != 0;

    /// <summary>Groups of as many rows as share a prompt.</summary>
    public int[] Groups => [.. Enumerable.Range(0, Rewards[0].Length).Select(row => row / (int)Number("num_generations")!)];

    /// <summary>The rows' real tokens, which no mask of tools leaves out.</summary>
    public TokenRow[] Rows
    {
        get
        {
            return [.. Real("prompt").Zip(Real("completion"), (prompt, completion) => new TokenRow(prompt, completion))];

            IEnumerable<int[]> Real(string part) => Inputs.GetProperty($"{part}_ids").EnumerateArray().Zip(Inputs.GetProperty($"{part}_mask").EnumerateArray(), (ids, mask) =>
                ids.EnumerateArray().Zip(mask.EnumerateArray()).Where(pair => pair.Second.GetInt32() == 1).Select(pair => pair.First.GetInt32()).ToArray());
        }
    }

    private JsonElement? Setting(string name) => json.GetProperty("settings").TryGetProperty(name, out var value) ? value : null;
}

/// <summary>A case as this project's settings say it, computed by the terms that training uses.</summary>
internal sealed record TrlLoss(TrlCase Case, UpdateSettings Update, KlSettings Kl)
{
    /// <summary>The loss from given log-probabilities, in as many parts as TRL's micro-batches; parts are divided by the whole's counts.</summary>
    /// <param name="logProbs">[8, A], differentiable or not.</param>
    /// <param name="backward">Whether to differentiate each part.</param>
    public double Of(Tensor logProbs, bool backward = false)
    {
        using var scope = NewDisposeScope();
        var (mask, type) = (Case.Mask, logProbs.dtype);
        var old = Case.Has("old_per_token_logps") ? Case.Tensor("old_per_token_logps") : Case.Has("old_logps") ? SpreadOverTokens(Case.Tensor("old_logps"), mask) : logProbs.detach();
        var batch = new RolloutBatch
        {
            Rollouts = [], Tokens = zeros_like(mask).to(ScalarType.Int64), Lengths = mask.sum(1), IsPolicy = mask, TrainsPolicy = mask, IsGuide = zeros_like(mask), IsRollOut = mask,
            LogProbs = old.to(type), PolicyTokens = (int)mask.sum().item<long>(),
        };
        var advantages = Case.Tensor("advantages").to(type).unsqueeze(1).expand_as(old);
        var data = new LearningBatch(batch, advantages, null, null, Case.Has("ref_per_token_logps") ? Case.Tensor("ref_per_token_logps").to(type) : old, Kl.Coefficient!.Value);
        ILossTerm[] terms = [new ClippedPolicyTerm(Update), new KlTerm(Kl, Update.Ratio!.Value)];
        var prepared = terms.Select(term => term.Prepare(data)).OfType<TermOfRows>().ToArray();
        var longest = (int)Case.Number("max_completion_length")!.Value;
        var denominators = Array.ConvertAll(prepared, term => MaskedReduction.Denominator(term.Mask, term.Normaliser, longest));
        var total = 0.0;
        foreach (var rows in Enumerable.Range(0, (int)mask.size(0)).Chunk((int)Case.Number("per_device_train_batch_size")!.Value))
        {
            using var index = tensor(Array.ConvertAll(rows, row => (long)row));
            var part = new LearningPart(rows, index, logProbs.index_select(0, index), null);
            var loss = prepared.Select((term, i) => term.Compute(part, denominators[i]).Loss * term.Weight).Aggregate((sum, next) => sum + next);
            if (backward) loss.backward(retain_graph: true);
            total += loss.to(ScalarType.Float64).item<double>();
        }
        return total;
    }

    /// <summary>[8, A] float32: log-probabilities by a model, differentiable.</summary>
    public Tensor LogProbsBy(ILanguageModel model)
    {
        var sampling = new SamplingSettings { MaxNewTokens = (int)Case.Number("max_completion_length")!.Value, Temperature = Case.Number("temperature")!.Value };
        SampledRow[] samples = [.. Case.Rows.Select(row => new SampledRow(row, [.. Enumerable.Repeat(TokenSet.All, row.Response.Length)]))];
        var logProbs = TokenLogProbs.OfRows(model, samples, sampling);
        return nn.functional.pad(logProbs, [0, Case.Mask.size(1) - logProbs.size(1)]);
    }

    /// <summary>A sum of a row as numbers of its tokens: the ratio of the whole row depends on their sum alone.</summary>
    private static Tensor SpreadOverTokens(Tensor sums, Tensor mask) => mask.to(sums.dtype) * (sums.unsqueeze(1) / mask.sum(1, keepdim: true));
}
