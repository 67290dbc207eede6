namespace Rlgf.Tokenizers.Training;

/// <summary>What a byte-level BPE tokenizer is trained to be.</summary>
public sealed record BpeTrainerOptions
{
    /// <summary>Number of ids, the 256 bytes and the special tokens included. Training ends earlier where no pair is frequent enough.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>A pair is merged only if it occurs at least this often.</summary>
    public int MinFrequency { get; init; } = 2;

    /// <summary>Special tokens, which get the last ids as GPT-2's does. They are found in a text as a whole, and decoding can leave them out.</summary>
    public IReadOnlyList<string> SpecialTokens { get; init; } = [EndOfText];

    /// <summary>The special token that begins a text, or null for none.</summary>
    public string? BosToken { get; init; } = EndOfText;

    /// <summary>The special token that ends a text, or null for none.</summary>
    public string? EosToken { get; init; } = EndOfText;

    /// <summary>The special token that fills up batches, or null for none.</summary>
    public string? PadToken { get; init; }

    /// <summary>GPT-2's end of text, which also begins texts.</summary>
    public const string EndOfText = "<|endoftext|>";
}

/// <summary>How far training is.</summary>
/// <param name="Texts">Texts read so far.</param>
/// <param name="Merges">Merges learned so far; 0 until all texts are read.</param>
/// <param name="MergesWanted">Merges that the vocabulary has room for.</param>
public sealed record BpeTrainerProgress(long Texts, int Merges, int MergesWanted);
