using Rlgf.Tokenizers.Normalization;

namespace Rlgf.Tokenizers.Words;

/// <summary>Cuts normalised text into words; tokens never reach over the end of a word.</summary>
internal interface IPreTokenizer
{
    /// <summary>Appends the words of a stretch of text, in order.</summary>
    void Split(Word text, List<Word> into);
}
