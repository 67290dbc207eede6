using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>An encoder–decoder language model of any family: the encoder reads the prompt, the decoder writes the response after its start token. A prompt that several rows have is read once.</summary>
internal sealed class EncoderDecoderLanguageModel : ILanguageModel
{
    private readonly IEncoderDecoder _transformer;
    private readonly EncoderShape _encoder;
    private readonly JsonObject _configuration;
    private readonly Func<ILanguageModel> _another;

    /// <summary>Wraps a transformer.</summary>
    /// <param name="transformer">The family's halves and head, a module.</param>
    /// <param name="shape">Its sizes, those of the encoder among them.</param>
    /// <param name="device">Where its parameters are.</param>
    /// <param name="configuration">Its config.json.</param>
    /// <param name="another">Builds a model like it whose parameters have no values yet.</param>
    public EncoderDecoderLanguageModel(IEncoderDecoder transformer, LanguageModelShape shape, Device device, JsonObject configuration, Func<ILanguageModel> another)
    {
        _transformer = transformer;
        _encoder = shape.Encoder ?? throw new ArgumentException("There is no encoder.", nameof(shape));
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

    /// <summary>What the decoder itself is: its start token takes one place more than the response.</summary>
    private LanguageModelShape DecoderShape => new(Shape.Vocabulary, Shape.Width, Shape.ContextLength == int.MaxValue ? int.MaxValue : Shape.ContextLength + 1);

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
    {
        using var scope = NewDisposeScope();
        var prompts = ReadPrompts(rows);
        var batch = ResponseBatch.Of(DecoderRows(rows), DecoderShape, Device);
        var states = _transformer.Decode(batch.Ids, null, new CausalAttention((int)batch.Ids.size(1), [null], Device), prompts);
        return batch.Responses(states).MoveToOuterDisposeScope();
    }

    public Tensor Logits(Tensor states) => _transformer.Logits(states);

    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens)
    {
        using var scope = NewDisposeScope();
        using var gradients = no_grad();
        var prompts = ReadPrompts(rows);
        prompts.Own();
        return new PromptedDecoder(_transformer, prompts, DecoderShape, Device, DecoderRows(rows), maxNewTokens);
    }

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

    /// <summary>[U, P, D]: the encoder's states of prompts; meaningless beyond a prompt's own length.</summary>
    internal Tensor Encode(IReadOnlyList<int[]> prompts) => _transformer.Encode(prompts, _encoder.ContextLength, Device);

    private TokenRow[] DecoderRows(IReadOnlyList<TokenRow> rows)
    {
        int[] start = [_encoder.StartToken];
        return [.. rows.Select(row => new TokenRow(start, row.Response))];
    }

    /// <summary>What the decoder sees of the rows' prompts; belongs to the caller's scope.</summary>
    private CrossAttention ReadPrompts(IReadOnlyList<TokenRow> rows)
    {
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        var places = new Dictionary<TokenRow, int>(TokenRowEquality.Instance);
        var promptOf = new int[rows.Count];
        for (var b = 0; b < rows.Count; b++)
        {
            Rows.Check(rows[b], Shape);
            var prompt = rows[b] with { Response = [] };
            if (!places.TryGetValue(prompt, out promptOf[b])) places[prompt] = promptOf[b] = places.Count;
        }

        return _transformer.Read([.. places.OrderBy(place => place.Value).Select(place => place.Key.Prompt)], promptOf, _encoder.ContextLength, Device);
    }

    /// <summary>Writes responses: the decoder with its own cache beside the prompts' keys and values.</summary>
    private sealed class PromptedDecoder : IDecoder
    {
        private readonly CrossAttention _prompts;
        private readonly CausalDecoder _decoder;

        public PromptedDecoder(IEncoderDecoder transformer, CrossAttention prompts, LanguageModelShape shape, Device device, TokenRow[] rows, int maxNewTokens)
        {
            _prompts = prompts;
            _decoder = new CausalDecoder(new DecoderHalf(transformer, prompts), shape, device, rows, maxNewTokens);
        }

        int IDecoder.Rows => ((IDecoder)_decoder).Rows;

        public Tensor NextLogits => _decoder.NextLogits;

        public void Append(ReadOnlySpan<int> tokens) => _decoder.Append(tokens);

        public void Select(ReadOnlySpan<int> rows)
        {
            _prompts.Select(rows);
            _decoder.Select(rows);
        }

        public void Dispose()
        {
            _decoder.Dispose();
            _prompts.Dispose();
        }
    }

    /// <summary>The decoder with given prompts, which to the cache is a decoder-only transformer.</summary>
    private sealed class DecoderHalf(IEncoderDecoder transformer, CrossAttention prompts) : ICausalTransformer
    {
        public int Layers => transformer.DecoderLayers;

        public IReadOnlyList<int?> Windows => [null];

        public bool RecomputesActivations
        {
            get => transformer.RecomputesActivations;
            set => transformer.RecomputesActivations = value;
        }

        public Tensor States(Tensor ids, TokenPositions? positions, IAttention attention) => transformer.Decode(ids, positions, attention, prompts);

        public Tensor Logits(Tensor states) => transformer.Logits(states);

        public void Initialise(Generator random) => transformer.Initialise(random);
    }
}
