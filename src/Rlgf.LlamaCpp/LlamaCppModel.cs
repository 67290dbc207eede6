using LLama;
using LLama.Common;
using LLama.Native;
using Rlgf.Base;
using Rlgf.Models;

namespace Rlgf.LlamaCpp;

/// <summary>The model of a GGUF file in llama.cpp's hands: it writes, and is never trained. Its rows are sampled by <see cref="Rlgf.Models.Generation.TextGenerator"/>, as those of every other model.</summary>
public sealed class LlamaCppModel : IDecodingModel
{
    private readonly LLamaWeights _weights;
    private readonly LlamaCppSettings _settings;

    private LlamaCppModel(string path, LLamaWeights weights, LlamaCppSettings settings)
    {
        (Path, _weights, _settings) = (path, weights, settings);
        Shape = new LanguageModelShape(weights.Vocab.Count, weights.EmbeddingSize, weights.ContextSize);
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <inheritdoc/>
    public LanguageModelShape Shape { get; }

    /// <summary>Loads a file; its numbers are mapped into memory, not copied.</summary>
    /// <param name="path">The file, or the first part of a model that is split.</param>
    /// <param name="settings">How it computes; null for the defaults.</param>
    /// <exception cref="InputException">llama.cpp doesn't load on this machine, or refuses the file; or the model is none that goes on with a text.</exception>
    public static LlamaCppModel Load(string path, LlamaCppSettings? settings = null)
    {
        LlamaCppLibrary.Load();
        settings ??= new LlamaCppSettings();
        var weights = LlamaCppLibrary.Try(() => LLamaWeights.LoadFromFile(new ModelParams(path) { GpuLayerCount = 0 }), said => new InputException($"{path}: llama.cpp refuses it: {said}."));
        if (weights.NativeHandle.HasDecoder && !weights.NativeHandle.HasEncoder) return new LlamaCppModel(path, weights, settings);
        weights.Dispose();
        throw new InputException($"{path}: the model has an encoder; what goes on with a text is a decoder alone, such as Llama or Qwen.");
    }

    /// <inheritdoc/>
    public IDecoder StartDecoding(IReadOnlyList<TokenRow> rows, int maxNewTokens) => new LlamaCppDecoder(this, rows, maxNewTokens);

    /// <inheritdoc/>
    public void Dispose() => _weights.Dispose();

    /// <summary>The tokens that llama.cpp's own tokenizer makes of a text, to compare another with; none is put around it, and names of control tokens in it are text.</summary>
    public int[] Tokenize(string text) => Array.ConvertAll(_weights.NativeHandle.Tokenize(text, addBos: false, special: false, System.Text.Encoding.UTF8), token => (int)token);

    /// <summary>A context with room for some rows.</summary>
    /// <param name="rows">How many; each has a sequence of its own.</param>
    /// <param name="length">The most tokens of one.</param>
    internal LLamaContext Open(int rows, int length)
    {
        if (rows > LlamaCppLibrary.MostRows) throw new InputException($"{Path}: llama.cpp holds at most {LlamaCppLibrary.MostRows} rows at once, and {rows} are asked for; lower batch_rows of its sampling.");
        var type = _settings.FullPrecisionCache ? GGMLType.GGML_TYPE_F32 : GGMLType.GGML_TYPE_F16;
        var parameters = new ModelParams(Path)
        {
            ContextSize = checked((uint)(rows * CellsOf(length))),
            SeqMax = (uint)rows,
            // Each row attends to its own cells and not, masked, to those of all rows.
            KVUnified = false,
            BatchSize = LlamaCppDecoder.MostTokens,
            UBatchSize = LlamaCppDecoder.MostTokens,
            Threads = _settings.Threads,
            BatchThreads = _settings.Threads,
            FlashAttention = _settings.FullPrecisionCache ? false : null,
            TypeK = type,
            TypeV = type,
        };
        return LlamaCppLibrary.Try(
            () => _weights.CreateContext(parameters),
            said => new InputException($"{Path}: llama.cpp has no room for {rows} rows of {length} tokens: {said}; lower batch_rows of its sampling."));
    }

    /// <summary>llama.cpp rounds a row's cells up to a multiple of this.</summary>
    private static int CellsOf(int length)
    {
        const int Multiple = 256;
        return checked((length + Multiple - 1) / Multiple * Multiple);
    }
}

/// <summary>How llama.cpp computes.</summary>
public sealed record LlamaCppSettings
{
    /// <summary>Threads of one operation.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>Whether keys and values are kept as float32 and attention is computed step by step, for exact comparisons; false: as float16, and whichever way is faster.</summary>
    public bool FullPrecisionCache { get; init; }
}
