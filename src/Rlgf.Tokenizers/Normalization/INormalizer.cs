namespace Rlgf.Tokenizers.Normalization;

/// <summary>Rewrites the text between special tokens before it is cut into words.</summary>
internal interface INormalizer
{
    /// <summary>Normalises a stretch of text; returns the same stretch where nothing changes.</summary>
    Word Normalize(Word text);
}
