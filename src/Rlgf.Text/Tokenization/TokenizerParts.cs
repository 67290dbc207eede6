using Rlgf.Text.Tokenization.Normalization;
using Rlgf.Text.Tokenization.Subwords;
using Rlgf.Text.Tokenization.Words;

namespace Rlgf.Text.Tokenization;

/// <summary>What a tokenizer is made of, in the order in which text goes through it.</summary>
internal sealed record TokenizerParts
{
    /// <summary>Tokens that are found in the text itself.</summary>
    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Rewrites the text between added tokens, if anything does.</summary>
    public INormalizer? Normalizer { get; init; }

    /// <summary>Whether text that doesn't begin with a space gets one before it, so that a word at the start of a text is the same token as elsewhere.</summary>
    public bool AddsPrefixSpace { get; init; }

    /// <summary>Cuts text into words.</summary>
    public required IPreTokenizer PreTokenizer { get; init; }

    /// <summary>Cuts words into tokens.</summary>
    public required ISubwordModel Model { get; init; }

    /// <summary>Ids put before every text.</summary>
    public int[] Prefix { get; init; } = [];

    /// <summary>Ids put after every text.</summary>
    public int[] Suffix { get; init; } = [];

    /// <summary>How offsets leave out the spaces of a token, if they do.</summary>
    public OffsetTrimming? OffsetTrimming { get; init; }

    /// <summary>The tokens with a role.</summary>
    public int? BosId { get; init; }

    /// <inheritdoc cref="BosId"/>
    public int? EosId { get; init; }

    /// <inheritdoc cref="BosId"/>
    public int? PadId { get; init; }
}
