using Rlgf.Tokenizers.Decoding;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Subwords;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.Parts;

/// <summary>What a tokenizer is made of, in the order in which text goes through it.</summary>
internal sealed record TokenizerParts
{
    /// <summary>Tokens that are found in the text itself.</summary>
    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Whether the special ones among them are not looked for, so that their names are plain text.</summary>
    public bool SplitsSpecialTokens { get; init; }

    /// <summary>Rewrites the text between added tokens, if anything does.</summary>
    public INormalizer? Normalizer { get; init; }

    /// <summary>Cuts text into words.</summary>
    public IPreTokenizer PreTokenizer { get; init; } = new PreTokenizerSequence([]);

    /// <summary>Cuts words into tokens.</summary>
    public required ISubwordModel Model { get; init; }

    /// <summary>What is put around one text.</summary>
    public Template Single { get; init; } = Template.One;

    /// <summary>What is put around two.</summary>
    public Template Pair { get; init; } = Template.Two;

    /// <summary>How offsets leave out the spaces of a token, if they do.</summary>
    public OffsetTrimming? OffsetTrimming { get; init; }

    /// <summary>How texts are shortened where that is asked for.</summary>
    public Truncation Truncation { get; init; } = new();

    /// <summary>Turns pieces back into text; null where the vocabulary spells bytes.</summary>
    public IReadOnlyList<IPieceStep>? DecoderSteps { get; init; }

    /// <summary>Whether decoded text is cleaned of spaces before punctuation.</summary>
    public bool CleansUp { get; init; }

    /// <summary>The tokens with a role.</summary>
    public int? BosId { get; init; }

    /// <inheritdoc cref="BosId"/>
    public int? EosId { get; init; }

    /// <inheritdoc cref="BosId"/>
    public int? PadId { get; init; }
}
