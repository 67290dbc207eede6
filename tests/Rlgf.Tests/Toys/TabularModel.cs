using System.Text.Json.Nodes;
using Rlgf.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Tests.Toys;

/// <summary>
/// A language model that is a table: one row of logits for each response prefix, whatever the prompt. A state is the one-hot vector of the prefix, so that a linear
/// head on states is a table of values, and every gradient can be computed by hand.
/// </summary>
internal sealed class TabularModel : ILanguageModel
{
    private readonly Table _module;
    private readonly Dictionary<string, int> _index;

    /// <summary>Makes the table of a task in which token <paramref name="end"/>, if any, ends a response, and responses have at most <paramref name="horizon"/> tokens.</summary>
    public TabularModel(int vocabulary, int horizon, int? end, Func<int[], double[]>? logits = null, ScalarType dtype = ScalarType.Float32)
    {
        (Vocabulary, Horizon, End) = (vocabulary, horizon, end);
        Prefixes = [.. Enumerate([], vocabulary, horizon, end)];
        _index = Prefixes.Select((prefix, i) => (Key(prefix), i)).ToDictionary(pair => pair.Item1, pair => pair.i);
        _module = new Table(Prefixes.SelectMany(prefix => logits?.Invoke(prefix) ?? new double[vocabulary]).ToArray(), Prefixes.Count, vocabulary, dtype);
        Shape = new(vocabulary, Prefixes.Count, int.MaxValue);
    }

    public int Vocabulary { get; }
    public int Horizon { get; }
    public int? End { get; }

    /// <summary>All unfinished prefixes, the empty one first.</summary>
    public IReadOnlyList<int[]> Prefixes { get; }

    /// <summary>[N, V]: the logits.</summary>
    public Parameter Logit => _module.theta;

    public LanguageModelShape Shape { get; }
    public nn.Module Module => _module;
    public Device Device => CPU;
    public JsonObject Configuration => [];

    public void Initialise(ulong seed)
    {
        using var generator = new Generator(seed);
        using var noGradient = no_grad();
        _module.theta.normal_(0, 0.5, generator);
    }

    public int IndexOf(ReadOnlySpan<int> prefix) => _index[Key(prefix)];

    public double[] Probabilities(ReadOnlySpan<int> prefix)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        return [.. _module.theta[IndexOf(prefix)].to(ScalarType.Float64).softmax(0).data<double>()];
    }

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows)
    {
        using var scope = NewDisposeScope();
        var steps = rows.Max(row => row.Response.Length);
        var states = zeros([rows.Count, steps, Prefixes.Count], _module.theta.dtype);
        for (var b = 0; b < rows.Count; b++)
            for (var t = 0; t < rows[b].Response.Length; t++)
                if (_index.TryGetValue(Key(rows[b].Response.AsSpan(0, t)), out var prefix)) states[b, t, prefix] = 1;
        return states.MoveToOuterDisposeScope();
    }

    public Tensor Logits(Tensor states) => states.matmul(_module.theta);

    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens) => new Decoder(this, rows);

    public ILanguageModel Clone()
    {
        var values = _module.theta.detach().to(ScalarType.Float64).data<double>().ToArray();
        return new TabularModel(Vocabulary, Horizon, End, prefix => values[(IndexOf(prefix) * Vocabulary)..((IndexOf(prefix) + 1) * Vocabulary)], _module.theta.dtype);
    }

    public void Dispose() => _module.Dispose();

    private static IEnumerable<int[]> Enumerate(int[] prefix, int vocabulary, int horizon, int? end)
    {
        if (prefix.Length == horizon || (end is not null && prefix.Contains(end.Value))) yield break;
        yield return prefix;
        for (var token = 0; token < vocabulary; token++)
            foreach (var longer in Enumerate([.. prefix, token], vocabulary, horizon, end)) yield return longer;
    }

    private static string Key(ReadOnlySpan<int> prefix) => string.Join(',', prefix.ToArray());

    private sealed class Table : nn.Module
    {
        public readonly Parameter theta;

        public Table(double[] values, int rows, int columns, ScalarType dtype) : base(nameof(Table))
        {
            theta = new Parameter(tensor(values, rows, columns).to(dtype).DetachFromDisposeScope());
            RegisterComponents();
        }
    }

    private sealed class Decoder : IDecoder
    {
        private readonly TabularModel _model;
        private List<List<int>> _rows;

        public Decoder(TabularModel model, IReadOnlyList<TokenRow> rows)
        {
            (_model, _rows) = (model, [.. rows.Select(row => row.Response.ToList())]);
            NextLogits = Next();
        }

        public int Rows => _rows.Count;

        public Tensor NextLogits { get; private set; }

        public void Append(ReadOnlySpan<int> tokens)
        {
            for (var i = 0; i < tokens.Length; i++) _rows[i].Add(tokens[i]);
            Replace();
        }

        public void Select(ReadOnlySpan<int> rows)
        {
            _rows = [.. rows.ToArray().Select(row => _rows[row].ToList())];
            Replace();
        }

        public void Dispose() => NextLogits.Dispose();

        private void Replace()
        {
            NextLogits.Dispose();
            NextLogits = Next();
        }

        // Finished rows that are carried along get the logits of the empty prefix; nobody reads them.
        private Tensor Next()
        {
            using var noGradient = no_grad();
            using var index = tensor(_rows.Select(row => (long)_model._index.GetValueOrDefault(Key(row.ToArray()))).ToArray());
            return _model._module.theta.index_select(0, index).DetachFromDisposeScope();
        }
    }
}
