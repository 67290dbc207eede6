namespace Rlgf.Text.Tokenization.Subwords;

/// <summary>A token of a word.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Start">Where in the word the token's first character begins, in UTF-16 units.</param>
/// <param name="End">Where its last character ends. Tokens that share a character both cover all of it.</param>
internal readonly record struct WordToken(int Id, int Start, int End);

/// <summary>Cuts words into tokens of a vocabulary.</summary>
internal interface ISubwordModel
{
    /// <summary>The tokens of a word, in order.</summary>
    ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word);

    /// <summary>The vocabulary: token to id.</summary>
    IReadOnlyDictionary<string, int> Vocabulary { get; }
}
