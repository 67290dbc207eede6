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
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        foreach (var row in rows) Rows.Check(row, Shape);
        return Read(rows, Plan(rows));
    }

    /// <summary>The rows' states as <see cref="ResponseStates"/> gives them, by one of the ways to read them.</summary>
    internal Tensor Read(IReadOnlyList<TokenRow> rows, ReadingPlan plan)
    {
        using var scope = NewDisposeScope();
        // Where a rotation depends on the longest row, it is that of all of them, whichever are read together.
        var longest = Longest(rows);
        if (plan.Whole.Count == 1) return States(rows, longest, isPart: false).MoveToOuterDisposeScope();
        (int[] Rows, Tensor States)[] parts =
            [.. plan.Whole.Select(pass => (pass, States([.. pass.Select(row => rows[row])], longest, isPart: true))), .. plan.Shared.SelectMany(part => States(rows, part, longest))];
        var steps = parts.Max(part => part.States.size(1));
        var states = cat([.. parts.Select(part => part.States.size(1) == steps ? part.States : nn.functional.pad(part.States, [0, 0, 0, steps - part.States.size(1)]))]);
        // Back into the order of the rows.
        var place = new long[rows.Count];
        foreach (var (row, at) in parts.SelectMany(part => part.Rows).Select((row, at) => (row, at))) place[row] = at;
        return states.index_select(0, tensor(place, device: Device)).MoveToOuterDisposeScope();
    }

    /// <summary>How rows are read. With gradients in one pass where an adapter's dropout leaves out other numbers in each row, and without shared prompts where activations are computed again or layers keep a state of their own.</summary>
    internal ReadingPlan Plan(IReadOnlyList<TokenRow> rows)
    {
        var longest = Longest(rows);
        var dropsOut = is_grad_enabled() && Lora.LoraAdapters.ConfigurationOf(Module) is { Dropout: > 0 };
        var sharing = _transformer.OnlyAttends && !dropsOut && !(is_grad_enabled() && RecomputesActivations) && !_transformer.Windows.Any(window => window < longest);
        return ReadingPlan.Of(rows, Shape.ContextLength, Device, inParts: !dropsOut, sharing);
    }

    /// <summary>Tokens that are read of the longest row.</summary>
    private static int Longest(IReadOnlyList<TokenRow> rows) => rows.Max(row => row.Prompt.Length + Math.Max(0, row.Response.Length - 1));

    /// <summary>[B, A, D], in one pass.</summary>
    private Tensor States(IReadOnlyList<TokenRow> rows, int longest, bool isPart)
    {
        using var scope = NewDisposeScope();
        var batch = ResponseBatch.Of(rows, Shape, Device);
        var states = Layers(batch.Ids, null, new CausalAttention((int)batch.Ids.size(1), _transformer.Windows, Device, longest), isPart);
        return batch.Responses(states).MoveToOuterDisposeScope();
    }

    /// <summary>The states [b, a, D] of rows whose prompts are read once; belong to the caller's scope.</summary>
    private List<(int[] Rows, Tensor States)> States(IReadOnlyList<TokenRow> rows, SharedPrompts part, int longest)
    {
        using var scope = NewDisposeScope();
        int[] lengths = [.. part.Prompts.Select(row => rows[row].Prompt.Length)];
        var columns = LengthBuckets.Columns(lengths.Max(), Shape.ContextLength);
        using var attention = new PromptAttention(_transformer.Layers, lengths, columns, longest, Device);
        var ofPrompts = Pass([.. part.Prompts.Select(row => rows[row].Prompt)], columns, null, attention);
        var last = ofPrompts.reshape(-1, ofPrompts.size(2)).index_select(0, tensor(lengths.Select((length, prompt) => ((long)prompt * columns) + length - 1).ToArray(), device: Device));
        var promptOf = part.Rows.SelectMany((of, prompt) => of.Select(row => (row, prompt))).ToDictionary(pair => pair.row, pair => pair.prompt);

        List<(int[] Rows, Tensor States)> parts = [];
        var brief = part.Rows.SelectMany(of => of).Except(part.Responses.SelectMany(pass => pass)).Order().ToArray();
        if (brief.Length > 0) parts.Add((brief, First(brief)));
        foreach (var pass in part.Responses)
        {
            int[][] read = [.. pass.Select(row => rows[row].Response[..^1])];
            int[] begins = [.. pass.Select(row => rows[row].Prompt.Length)];
            var steps = read.Max(tokens => tokens.Length);
            var width = LengthBuckets.Columns(steps, Shape.ContextLength);
            attention.Begin([.. pass.Select(row => promptOf[row])], width);
            parts.Add((pass, cat([First(pass), Pass(read, width, begins, attention).narrow(1, 0, steps)], 1)));
        }

        return [.. parts.Select(one => (one.Rows, one.States.MoveToOuterDisposeScope()))];

        Tensor First(int[] of) => last.index_select(0, tensor(Array.ConvertAll(of, row => (long)promptOf[row]), device: Device)).unsqueeze(1);
    }

    /// <summary>[B, T, D] of tokens padded on the right.</summary>
    /// <param name="tokens">B rows.</param>
    /// <param name="columns">T.</param>
    /// <param name="begins">Position of each row's first token; null for 0.</param>
    /// <param name="attention">Who sees whom.</param>
    private Tensor Pass(int[][] tokens, int columns, int[]? begins, IAttention attention)
    {
        using var scope = NewDisposeScope();
        long rows = tokens.Length;
        var ids = new long[rows * columns];
        for (var row = 0; row < tokens.Length; row++) Rows.Copy(tokens[row], ids.AsSpan(row * columns));
        TokenPositions? positions = null;
        if (begins is not null)
        {
            // Beyond a row's end any position will do.
            var of = begins.SelectMany(begin => Enumerable.Range(begin, columns).Select(position => (long)Math.Min(position, Shape.ContextLength - 1))).ToArray();
            positions = new(tensor(of, device: Device), (int)of.Max() + 1);
        }

        return Layers(tensor(ids, [rows, columns], device: Device), positions, attention, isPart: true).MoveToOuterDisposeScope();
    }

    private Tensor Layers(Tensor ids, TokenPositions? positions, IAttention attention, bool isPart)
    {
        if (!isPart || ids.numel() > PackedWeight.MostRows) return _transformer.States(ids, positions, attention);
        // A model that only reads isn't to have copies of all its weights because a part of what it reads is short.
        using var packing = PackedProducts.Off();
        return _transformer.States(ids, positions, attention);
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
