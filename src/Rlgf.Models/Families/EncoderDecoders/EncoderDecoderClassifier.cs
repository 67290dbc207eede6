using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.EncoderDecoders;

/// <summary>
/// A sequence classifier on an encoder–decoder: the encoder reads the text, the decoder reads it again after its start token, and the labels' scores are read where the decoder is about to write the last end
/// token (<c>T5ForSequenceClassification</c>, <c>BartForSequenceClassification</c>; Lewis et al. 2020, section 3.1).
/// </summary>
internal sealed class EncoderDecoderClassifier : ISequenceClassifier
{
    private readonly IEncoderDecoder _transformer;
    private readonly EncoderShape _encoder;
    private readonly int _vocabulary;
    private readonly int _end;
    private readonly Device _device;
    private readonly JsonObject _configuration;

    /// <summary>Wraps a transformer whose head scores labels.</summary>
    /// <param name="transformer">The family's halves and head, a module.</param>
    /// <param name="labels">Names of the C labels.</param>
    /// <param name="encoder">What the encoder reads, and the decoder's start token.</param>
    /// <param name="vocabulary">V.</param>
    /// <param name="end">The end token, which the tokenizer puts behind a text.</param>
    /// <param name="device">Where its parameters are.</param>
    /// <param name="configuration">Its config.json.</param>
    public EncoderDecoderClassifier(IEncoderDecoder transformer, IReadOnlyList<string> labels, EncoderShape encoder, int vocabulary, int end, Device device, JsonObject configuration)
    {
        _transformer = transformer;
        _encoder = encoder;
        _vocabulary = vocabulary;
        _end = end;
        _device = device;
        _configuration = configuration;
        Labels = labels;
    }

    public IReadOnlyList<string> Labels { get; }

    public int ContextLength => _encoder.ContextLength;

    public nn.Module Module => (nn.Module)_transformer;

    public IReadOnlyList<string> LoadingNotes { get; set; } = [];

    public JsonObject Configuration => (JsonObject)_configuration.DeepClone();

    public Tensor Logits(IReadOnlyList<int[]> rows, IReadOnlyList<int[]>? segments = null)
    {
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        using var scope = NewDisposeScope();
        var ends = rows.Select(EndOf).ToArray();
        var columns = ends.Max() + 1;
        var ids = new long[rows.Count * columns];
        var read = new long[rows.Count];
        for (var b = 0; b < rows.Count; b++)
        {
            // What comes after the end token can't change the state before it.
            ids[b * columns] = _encoder.StartToken;
            Rows.Copy(rows[b].AsSpan(0, ends[b]), ids.AsSpan(b * columns + 1));
            read[b] = (long)b * columns + ends[b];
        }

        var texts = _transformer.Read(rows, [.. Enumerable.Range(0, rows.Count)], ContextLength, _device);
        var states = _transformer.Decode(tensor(ids, [rows.Count, columns], device: _device), null, new CausalAttention(columns, [null], _device), texts);
        return _transformer.Logits(states.view(-1, states.size(2)).index_select(0, tensor(read, device: _device))).MoveToOuterDisposeScope();
    }

    public void Initialise(ulong seed)
    {
        using var random = new Generator(seed, _device);
        _transformer.Initialise(random);
    }

    public void Dispose() => Module.Dispose();

    private int EndOf(int[] row)
    {
        Rows.CheckText(row, ContextLength, _vocabulary);
        var end = Array.LastIndexOf(row, _end);
        return end >= 0 ? end : throw new InputException($"a text has no end token ({_end}), at which the classifier reads its labels: let the tokenizer add its special tokens.");
    }
}
