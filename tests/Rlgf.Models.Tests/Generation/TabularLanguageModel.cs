using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Tests.Generation;

/// <summary>A language model whose next logits are a given function of a row's tokens, so that what generation should do is known exactly; it counts what it is asked.</summary>
internal sealed class TabularLanguageModel(int vocabulary, Func<IReadOnlyList<int>, float[]> nextLogits, int contextLength = 64) : ILanguageModel
{
    public LanguageModelShape Shape { get; } = new(vocabulary, 1, contextLength);

    public nn.Module Module => throw new NotSupportedException();

    public Device Device => CPU;

    /// <summary>Number of rows of each batch that was read.</summary>
    public List<int> RowsRead { get; } = [];

    /// <summary>Number of rows at each step.</summary>
    public List<int> RowsAppended { get; } = [];

    /// <summary>Logits that depend on the whole row: pseudo-random numbers of standard deviation about 2, named by a hash of its tokens.</summary>
    public static TabularLanguageModel OfWholeHistory(int vocabulary, int contextLength = 64) =>
        new(vocabulary, tokens =>
        {
            var hash = tokens.Aggregate(17UL, (sum, token) => Base.RandomStream.Combine(sum, (ulong)token));
            return [.. Enumerable.Range(0, vocabulary).Select(v => (float)(7 * (Base.RandomStream.Uniform(1, hash, (ulong)v) - 0.5)))];
        }, contextLength);

    public Tensor ResponseStates(IReadOnlyList<TokenRow> rows) => throw new NotSupportedException();

    public Tensor Logits(Tensor states) => throw new NotSupportedException();

    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens)
    {
        RowsRead.Add(rows.Count);
        return new Decoder(this, [.. rows.Select(row => row.Prompt.Concat(row.Response).ToList())], maxNewTokens);
    }

    public System.Text.Json.Nodes.JsonObject Configuration => throw new NotSupportedException();

    public void Initialise(ulong seed) => throw new NotSupportedException();

    public ILanguageModel Clone() => throw new NotSupportedException();

    public void Dispose() { }

    private sealed class Decoder : IDecoder
    {
        private readonly TabularLanguageModel _model;
        private readonly int _maxNewTokens;
        private List<List<int>> _rows;
        private int _appended;

        public Decoder(TabularLanguageModel model, List<List<int>> rows, int maxNewTokens)
        {
            (_model, _rows, _maxNewTokens) = (model, rows, maxNewTokens);
            NextLogits = Compute();
        }

        public int Rows => _rows.Count;

        public Tensor NextLogits { get; private set; }

        public void Append(ReadOnlySpan<int> tokens)
        {
            Assert.Equal(Rows, tokens.Length);
            Assert.True(++_appended <= _maxNewTokens, "more tokens than announced");
            for (var i = 0; i < Rows; i++)
            {
                _rows[i].Add(tokens[i]);
                Assert.True(_rows[i].Count <= _model.Shape.ContextLength, "longer than the context");
            }

            _model.RowsAppended.Add(Rows);
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
            NextLogits = Compute();
        }

        private Tensor Compute() =>
            tensor(_rows.SelectMany(row => _model.NextLogitsOf(row)).ToArray(), Rows, _model.Shape.Vocabulary).DetachFromDisposeScope();
    }

    public float[] NextLogitsOf(IReadOnlyList<int> row) => nextLogits(row);
}
