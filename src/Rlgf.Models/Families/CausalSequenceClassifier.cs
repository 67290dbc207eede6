using System.Text.Json.Nodes;
using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>A classifier on a decoder-only trunk: the labels' scores are read at a row's last token.</summary>
/// <remarks>
/// As in transformers the last token is the rightmost that isn't <c>pad_token_id</c>, so that padding ids which stand at the end of a row, and an EOS where it is the padding id too, are passed over.
/// </remarks>
internal sealed class CausalSequenceClassifier : ISequenceClassifier
{
    private readonly ICausalTransformer _transformer;
    private readonly int _vocabulary;
    private readonly int? _padId;
    private readonly Device _device;
    private readonly JsonObject _configuration;

    public CausalSequenceClassifier(ICausalTransformer transformer, IReadOnlyList<string> labels, LanguageModelShape shape, int? padId, Device device, JsonObject configuration)
    {
        _transformer = transformer;
        _vocabulary = shape.Vocabulary;
        _padId = padId;
        _device = device;
        _configuration = configuration;
        Labels = labels;
        ContextLength = shape.ContextLength;
    }

    public IReadOnlyList<string> Labels { get; }

    public int ContextLength { get; }

    public nn.Module Module => (nn.Module)_transformer;

    public IReadOnlyList<string> LoadingNotes { get; set; } = [];

    public JsonObject Configuration => (JsonObject)_configuration.DeepClone();

    public Tensor Logits(IReadOnlyList<int[]> rows, IReadOnlyList<int[]>? segments = null)
    {
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        using var scope = NewDisposeScope();
        var lengths = rows.Select(ReadLength).ToArray();
        var columns = lengths.Max();
        var ids = new long[rows.Count * columns];
        var last = new long[rows.Count];
        for (var b = 0; b < rows.Count; b++)
        {
            Rows.Copy(rows[b].AsSpan(0, lengths[b]), ids.AsSpan(b * columns));
            last[b] = (long)b * columns + lengths[b] - 1;
        }

        var states = _transformer.States(tensor(ids, [rows.Count, columns], device: _device), null, new CausalAttention(columns, _transformer.Windows, _device));
        var read = states.view(-1, states.size(2)).index_select(0, tensor(last, device: _device));
        return _transformer.Logits(read).MoveToOuterDisposeScope();
    }

    public void Initialise(ulong seed)
    {
        using var random = new Generator(seed, _device);
        _transformer.Initialise(random);
    }

    public void Dispose() => Module.Dispose();

    /// <summary>The row's length up to its last token that isn't padding; 1 where all are. What follows can't change the score.</summary>
    private int ReadLength(int[] row)
    {
        Rows.CheckText(row, ContextLength, _vocabulary);
        var length = row.Length;
        while (length > 1 && row[length - 1] == _padId) length--;
        return length;
    }
}
