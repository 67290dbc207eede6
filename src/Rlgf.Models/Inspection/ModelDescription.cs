namespace Rlgf.Models.Inspection;

/// <summary>What a folder or file holds. What isn't known is null.</summary>
public sealed record ModelDescription
{
    /// <summary>The folder or file.</summary>
    public required string Path { get; init; }

    /// <summary>"folder" (Hugging Face's layout), "gguf", "safetensors" or "pytorch".</summary>
    public required string Format { get; init; }

    /// <summary>The family: <c>model_type</c>, or GGUF's architecture.</summary>
    public string? Family { get; init; }

    /// <summary>The class that the configuration names.</summary>
    public string? Architecture { get; init; }

    /// <summary>"language model", "classifier", "adapter" or "tensors".</summary>
    public required string Kind { get; init; }

    /// <summary>The model that an adapter is for, as its configuration names it.</summary>
    public string? Base { get; init; }

    /// <summary>Whether that model isn't there, so that nothing is known but what the adapter itself says.</summary>
    public bool BaseIsMissing { get; init; }

    /// <summary>A classifier's labels.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>The sizes.</summary>
    public ModelSizes? Sizes { get; init; }

    /// <summary>Numbers in the model, each once: copies of tied weights and buffers are left out where the family is known. Null where the weights can't be read.</summary>
    public long? Parameters { get; init; }

    /// <summary>How many of them are an adapter's; null where there is none.</summary>
    public long? AdapterParameters { get; init; }

    /// <summary>How many numbers are stored in each type; buffers and copies included.</summary>
    public IReadOnlyDictionary<string, long> StoredTypes { get; init; } = new Dictionary<string, long>();

    /// <summary>The files.</summary>
    public required IReadOnlyList<FileSize> Files { get; init; }

    /// <summary>The tokenizer; null where there is none or it can't be read.</summary>
    public TokenizerDescription? Tokenizer { get; init; }

    /// <summary>What ends a text that the model writes; null for what writes none, and where the ids that are named are none of the model's.</summary>
    public EndTokens? EndTokens { get; init; }

    /// <summary>Whether there is a chat template.</summary>
    public bool ChatTemplate { get; init; }

    /// <summary>What keeps the chat template from rendering a conversation of one message; null where it can or there is none.</summary>
    public string? ChatTemplateProblem { get; init; }

    /// <summary>What is read under another name than the family's own, such as a tied embedding that is stored as the head; one sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>What keeps it from being used here, one sentence each; none where it can be.</summary>
    public required IReadOnlyList<string> NotSupported { get; init; }

    /// <summary>Whether it can be used: a folder as it is, a GGUF file after conversion.</summary>
    public bool Supported => NotSupported.Count == 0;

    /// <summary>The memory that it needs; null where its parameters aren't known.</summary>
    public MemoryNeed? Memory => Parameters is { } parameters ? new(parameters, AdapterParameters ?? parameters, Sizes) : null;
}

/// <summary>Sizes of a model; null where the configuration doesn't say.</summary>
/// <param name="Layers">L.</param>
/// <param name="DecoderLayers">Layers of the decoder, where <paramref name="Layers"/> are an encoder's.</param>
/// <param name="Width">D.</param>
/// <param name="Heads">H.</param>
/// <param name="KeyValueHeads">Heads that have keys and values.</param>
/// <param name="HeadSize">Numbers per head.</param>
/// <param name="Vocabulary">V.</param>
/// <param name="Context">The most tokens of a row.</param>
public sealed record ModelSizes(int? Layers, int? DecoderLayers, int? Width, int? Heads, int? KeyValueHeads, int? HeadSize, int? Vocabulary, int? Context);

/// <summary>A file and its length in bytes.</summary>
public sealed record FileSize(string Name, long Bytes);

/// <summary>A tokenizer.</summary>
/// <param name="Kind">How it works, in words.</param>
/// <param name="Vocabulary">How many ids it has.</param>
/// <param name="Bos">The token that begins a text.</param>
/// <param name="Eos">The token that ends one.</param>
/// <param name="Pad">The token that fills up batches.</param>
public sealed record TokenizerDescription(string Kind, int Vocabulary, SpecialToken? Bos, SpecialToken? Eos, SpecialToken? Pad);

/// <summary>A token with a role.</summary>
public sealed record SpecialToken(int Id, string Text);

/// <summary>The tokens that end a text.</summary>
/// <param name="Tokens">Any of them does; none where nobody names one.</param>
/// <param name="From">The file that names them, "tokenizer" where no file of the model does, or a GGUF file's keys; null where nobody names one.</param>
public sealed record EndTokens(IReadOnlyList<SpecialToken> Tokens, string? From);

/// <summary>The memory that a model needs, in bytes, beside what a batch takes.</summary>
/// <remarks>
/// To run: parameters × 4 (float32) or × 2 (bfloat16), and for each token that is kept while text is written 2 · layers · key heads · head size numbers. To train by AdamW in float32: parameters × 4, and for
/// each trained one 12 more (its gradient and two moments at 4 bytes each): 16 where all are trained.
/// </remarks>
public sealed record MemoryNeed
{
    /// <summary>Computes it.</summary>
    /// <param name="parameters">All parameters.</param>
    /// <param name="trained">Those that training changes: all, or an adapter's.</param>
    /// <param name="sizes">The sizes, where they are known.</param>
    public MemoryNeed(long parameters, long trained, ModelSizes? sizes)
    {
        RunFloat32 = parameters * 4;
        RunBfloat16 = parameters * 2;
        TrainFloat32 = parameters * 4 + trained * 12;
        if (sizes is { HeadSize: { } headSize, KeyValueHeads: { } heads } && (sizes.DecoderLayers ?? sizes.Layers) is { } layers) CacheFloat32PerToken = 2L * layers * heads * headSize * 4;
    }

    /// <summary>Weights in float32.</summary>
    public long RunFloat32 { get; }

    /// <summary>Weights in bfloat16.</summary>
    public long RunBfloat16 { get; }

    /// <summary>Keys and values of one token of one row, in float32; null where the sizes aren't known.</summary>
    public long? CacheFloat32PerToken { get; }

    /// <summary>Weights in float32, and gradients and AdamW's two moments of those that are trained.</summary>
    public long TrainFloat32 { get; }
}
