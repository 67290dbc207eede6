namespace Rlgf.Tokenizers.Normalization;

/// <summary>Several normalizers in a row.</summary>
internal sealed class NormalizerSequence(IReadOnlyList<INormalizer> steps) : INormalizer
{
    public Word Normalize(Word text) => steps.Aggregate(text, (result, step) => step.Normalize(result));
}
