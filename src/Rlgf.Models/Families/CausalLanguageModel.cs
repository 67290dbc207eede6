using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>A decoder-only language model of any family: a row is its prompt and its response one after the other.</summary>
internal sealed class CausalLanguageModel : ILanguageModel
{
    private readonly ICausalTransformer _transformer;
    private readonly JsonObject _configuration;
    private readonly Func<ILanguageModel> _another;

    /// <summary>Wraps a transformer.</summary>
    /// <param name="transformer">The family's layers and head, a module.</param>
    /// <param name="shape">Its sizes.</param>
    /// <param name="device">Where its parameters are.</param>
    /// <param name="configuration">Its config.json.</param>
    /// <param name="another">Builds a model like it whose parameters have no values yet.</param>
    public CausalLanguageModel(ICausalTransformer transformer, LanguageModelShape shape, Device device, JsonObject configuration, Func<ILanguageModel> another)
    {
        _transformer = transformer;
        _configuration = configuration;
        _another = another;
        Shape = shape;
        Device = device;
    }

    public LanguageModelShape Shape { get; }

    public nn.Module Module => (nn.Module)_transformer;

    public Device Device { get; }

    public JsonObject Configuration => (JsonObject)_configuration.DeepClone();

    public JsonObject? GenerationSettings { get; set; }

    public bool RecomputesActivations
    {
        get => _transformer.RecomputesActivations;
        set => _transformer.RecomputesActivations = Recomputable.Checked(Module, Device, value);
    }

    public IReadOnlyList<string> LoadingNotes { get; set; } = [];

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
    {
        using var scope = NewDisposeScope();
        var batch = ResponseBatch.Of(rows, Shape, Device);
        var states = _transformer.States(batch.Ids, null, new CausalAttention((int)batch.Ids.size(1), _transformer.Windows, Device, batch.Longest));
        return batch.Responses(states).MoveToOuterDisposeScope();
    }

    public Tensor Logits(Tensor states) => _transformer.Logits(states);

    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens) => new CausalDecoder(_transformer, Shape, Device, rows, maxNewTokens);

    public void Initialise(ulong seed)
    {
        using var random = new Generator(seed, Device);
        _transformer.Initialise(random);
    }

    public ILanguageModel Clone()
    {
        ILanguageModel clone;
        using (new Weights.TypeScope(Module.parameters().First().dtype)) clone = _another();
        Lora.ModuleWeights.Copy(Module, clone.Module);
        clone.GenerationSettings = GenerationSettings;
        return clone;
    }

    public void Dispose() => Module.Dispose();
}

/// <summary>Whether activations may be computed again.</summary>
internal static class Recomputable
{
    /// <summary>What is asked for.</summary>
    /// <exception cref="InputException">The same dropout can't be drawn again: only the processor's random numbers can be set back.</exception>
    public static bool Checked(nn.Module module, Device device, bool isAsked) =>
        isAsked && device.type != DeviceType.CPU && Lora.LoraAdapters.ConfigurationOf(module) is { Dropout: > 0 }
            ? throw new InputException("recompute_activations does not work with an adapter's dropout on an accelerator; set its dropout to 0, or leave it out.") : isAsked;
}

/// <summary>Checks and copies of token rows.</summary>
internal static class Rows
{
    public static void Check(TokenRow row, LanguageModelShape shape)
    {
        if (row.Prompt.Length == 0) throw new InputException("a prompt holds no token: this model needs at least one, such as its BOS or EOS token.");
        if (row.Response.Length > shape.Room(row.Prompt.Length))
            throw new InputException($"a row has {row.Prompt.Length + row.Response.Length} tokens (prompt {row.Prompt.Length}, response {row.Response.Length}), more than {shape.Limits}: shorten it.");
        CheckIds(row.Prompt, shape.Vocabulary);
        CheckIds(row.Response, shape.Vocabulary);
    }

    /// <summary>A text for a classifier.</summary>
    public static void CheckText(int[] row, int contextLength, int vocabulary)
    {
        if (row.Length == 0) throw new InputException("a text to classify holds no token: give at least one.");
        if (row.Length > contextLength) throw new InputException($"a text to classify has {row.Length} tokens and the classifier's context is {contextLength}: shorten it.");
        CheckIds(row, vocabulary);
    }

    /// <summary>The library reads beyond its table for an id that isn't in it, or ends with a long message of its own.</summary>
    public static void CheckIds(ReadOnlySpan<int> ids, int vocabulary)
    {
        foreach (var id in ids)
        {
            if ((uint)id >= (uint)vocabulary) throw new InputException($"there is a token id {id} and the model's vocabulary has {vocabulary}: the tokenizer doesn't fit the model.");
        }
    }

    public static void Copy(ReadOnlySpan<int> from, Span<long> to)
    {
        for (var i = 0; i < from.Length; i++) to[i] = from[i];
    }
}
