using System.Text.Json.Nodes;
using Rlgf.Base;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Families.Encoders;

/// <summary>A sequence classifier on an encoder: every token sees those on both sides of it, and the labels' scores are read at the first token or from the mean of all.</summary>
internal sealed class EncoderClassifier : ISequenceClassifier
{
    private readonly EncoderClassifierModule _module;
    private readonly EncoderShape _shape;
    private readonly int? _positionsAfterPad;
    private readonly Device _device;
    private readonly JsonObject _configuration;

    /// <summary>Wraps the module.</summary>
    /// <param name="module">The encoder with its head.</param>
    /// <param name="labels">Names of the C labels.</param>
    /// <param name="positionsAfterPad">
    /// Null where positions are 0, 1, 2 …; otherwise the padding id (RoBERTa): positions are counted from the one after it over the tokens that are not it, and a token that is it has it as its position.
    /// </param>
    /// <param name="device">Where its parameters are.</param>
    /// <param name="configuration">Its config.json.</param>
    public EncoderClassifier(EncoderClassifierModule module, IReadOnlyList<string> labels, int? positionsAfterPad, Device device, JsonObject configuration)
    {
        _module = module;
        _shape = module.Shape;
        _positionsAfterPad = positionsAfterPad;
        _device = device;
        _configuration = configuration;
        Labels = labels;
        ContextLength = _shape.Positions - (positionsAfterPad + 1 ?? 0);
    }

    public IReadOnlyList<string> Labels { get; }

    public int ContextLength { get; }

    public nn.Module Module => _module;

    public IReadOnlyList<string> LoadingNotes { get; set; } = [];

    public JsonObject Configuration => (JsonObject)_configuration.DeepClone();

    public Tensor Logits(IReadOnlyList<int[]> rows, IReadOnlyList<int[]>? segments = null)
    {
        using var scope = NewDisposeScope();
        return _module.Logits(States(rows, segments), Lengths(rows)).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Number of layers.</summary>
    internal int Layers => _shape.Layers;

    /// <summary>[B, T, D]: states of all tokens after some of the layers, or all (null); meaningless beyond a row's own length.</summary>
    internal Tensor States(IReadOnlyList<int[]> rows, IReadOnlyList<int[]>? segments = null, int? layers = null)
    {
        if (rows.Count == 0) throw new ArgumentException("There are no rows.", nameof(rows));
        for (var b = 0; b < rows.Count; b++) Check(rows[b], segments?[b]);
        using var scope = NewDisposeScope();

        // A multiple of 8, as in training: few shapes for oneDNN to compile and keep.
        var columns = Math.Min(ContextLength, (rows.Max(row => row.Length) + 7) / 8 * 8);
        var input = new long[3 * rows.Count * columns];
        for (var b = 0; b < rows.Count; b++)
        {
            Rows.Copy(rows[b], input.AsSpan(b * columns));
            WritePositions(rows[b], input.AsSpan((rows.Count + b) * columns));
            if (segments is not null && _shape.Segments > 0) Rows.Copy(segments[b], input.AsSpan((2 * rows.Count + b) * columns));
        }

        var tensors = tensor(input, [3, rows.Count, columns], device: _device);
        return _module.States(new EncoderInput(tensors[0], tensors[1], tensors[2], Lengths(rows)), layers).MoveToOuterDisposeScope();
    }

    public void Initialise(ulong seed)
    {
        using var random = new Generator(seed, _device);
        _module.Initialise(random);
    }

    public void Dispose() => _module.Dispose();

    private static int[] Lengths(IReadOnlyList<int[]> rows) => [.. rows.Select(row => row.Length)];

    private void WritePositions(int[] row, Span<long> positions)
    {
        if (_positionsAfterPad is not { } pad)
        {
            for (var t = 0; t < row.Length; t++) positions[t] = t;
            return;
        }

        var counted = pad;
        for (var t = 0; t < row.Length; t++) positions[t] = row[t] == pad ? pad : ++counted;
    }

    private void Check(int[] row, int[]? segments)
    {
        Rows.CheckText(row, ContextLength, _shape.Vocabulary);
        if (segments is null || _shape.Segments == 0) return;
        if (segments.Length != row.Length) throw new ArgumentException($"A row has {row.Length} tokens and {segments.Length} segments.", nameof(segments));
        if (segments.FirstOrDefault(segment => segment < 0 || segment >= _shape.Segments) is var wrong and not 0)
            throw new InputException($"a token belongs to text {wrong} (counted from 0) of its row and the classifier tells {_shape.Segments} apart: give fewer texts.");
    }
}
