using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using Rlgf.Text;
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

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
    {
        using var scope = NewDisposeScope();
        var batch = ResponseBatch.Of(rows, Shape);
        var states = _transformer.States(batch.Ids.to(Device), null, new CausalAttention((int)batch.Ids.size(1), _transformer.AttentionShape.Window, Device));
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
        var clone = _another();
        Checkpoints.ModuleWeights.Copy(Module, clone.Module);
        return clone;
    }

    public void Dispose() => Module.Dispose();

    /// <summary>Rows side by side, padded on the right. The last response token is left out: nothing is predicted from it.</summary>
    private readonly struct ResponseBatch
    {
        private readonly int _responseLength;
        private readonly int _commonPrompt;
        private readonly long[]? _places;

        private ResponseBatch(Tensor ids, int responseLength, int commonPrompt, long[]? places)
        {
            Ids = ids;
            _responseLength = responseLength;
            _commonPrompt = commonPrompt;
            _places = places;
        }

        /// <summary>[B, T] int64 on the CPU.</summary>
        public Tensor Ids { get; }

        public static ResponseBatch Of(IReadOnlyList<TokenRow> rows, LanguageModelShape shape)
        {
            if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
            var responseLength = rows.Max(row => row.Response.Length);
            var columns = 1;
            var samePrompt = true;
            foreach (var row in rows)
            {
                Rows.Check(row, shape);
                columns = Math.Max(columns, row.Prompt.Length + Math.Max(0, row.Response.Length - 1));
                samePrompt &= row.Prompt.Length == rows[0].Prompt.Length;
            }

            // A multiple of 8: oneDNN compiles a product for each new shape and keeps it, so that few shapes are quicker and take less memory than many.
            columns = Math.Min(shape.ContextLength, (columns + 7) / 8 * 8);
            var ids = new long[rows.Count * columns];
            for (var b = 0; b < rows.Count; b++)
            {
                var (prompt, response) = rows[b];
                Rows.Copy(prompt, ids.AsSpan(b * columns));
                Rows.Copy(response.AsSpan(0, Math.Max(0, response.Length - 1)), ids.AsSpan(b * columns + prompt.Length));
            }

            var tensorOfIds = tensor(ids, [rows.Count, columns]);
            if (samePrompt) return new ResponseBatch(tensorOfIds, responseLength, rows[0].Prompt.Length, null);

            // Response token t of a row is predicted from column P − 1 + t; beyond a row's own end any column will do.
            var places = new long[rows.Count * responseLength];
            for (var b = 0; b < rows.Count; b++)
            {
                for (var t = 0; t < responseLength; t++)
                    places[b * responseLength + t] = (long)b * columns + Math.Min(rows[b].Prompt.Length - 1 + t, columns - 1);
            }

            return new ResponseBatch(tensorOfIds, responseLength, 0, places);
        }

        /// <summary>[B, T, D] → [B, A, D].</summary>
        public Tensor Responses(Tensor states)
        {
            if (_places is null) return states.narrow(1, _commonPrompt - 1, _responseLength);
            long width = states.size(2);
            return states.reshape(-1, width).index_select(0, tensor(_places).to(states.device)).view(states.size(0), _responseLength, width);
        }
    }
}

/// <summary>Checks and copies of token rows.</summary>
internal static class Rows
{
    public static void Check(TokenRow row, LanguageModelShape shape)
    {
        if (row.Prompt.Length == 0) throw new InputException("A prompt holds no token: this model needs at least one, such as its BOS or EOS token.");
        var length = row.Prompt.Length + row.Response.Length;
        if (length > shape.ContextLength)
            throw new InputException($"A row has {length} tokens (prompt {row.Prompt.Length}, response {row.Response.Length}) and the model's context is {shape.ContextLength}: shorten it.");
        CheckIds(row.Prompt, shape.Vocabulary);
        CheckIds(row.Response, shape.Vocabulary);
    }

    /// <summary>A text for a classifier.</summary>
    public static void CheckText(int[] row, int contextLength, int vocabulary)
    {
        if (row.Length == 0) throw new InputException("A text to classify holds no token: give at least one.");
        if (row.Length > contextLength) throw new InputException($"A text to classify has {row.Length} tokens and the classifier's context is {contextLength}: shorten it.");
        CheckIds(row, vocabulary);
    }

    /// <summary>The library reads beyond its table for an id that isn't in it, or ends with a long message of its own.</summary>
    public static void CheckIds(ReadOnlySpan<int> ids, int vocabulary)
    {
        foreach (var id in ids)
        {
            if ((uint)id >= (uint)vocabulary) throw new InputException($"There is a token id {id} and the model's vocabulary has {vocabulary}: the tokenizer doesn't fit the model.");
        }
    }

    public static void Copy(ReadOnlySpan<int> from, Span<long> to)
    {
        for (var i = 0; i < from.Length; i++) to[i] = from[i];
    }
}
