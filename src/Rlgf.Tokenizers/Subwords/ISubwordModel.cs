namespace Rlgf.Tokenizers.Subwords;

/// <summary>A token of a word.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Start">Where in the word the token's first character begins, in UTF-16 units.</param>
/// <param name="End">Where its last character ends. Tokens that share a character both cover all of it.</param>
internal readonly record struct WordToken(int Id, int Start, int End);

/// <summary>Cuts words into tokens of a vocabulary.</summary>
internal interface ISubwordModel
{
    /// <summary>The tokens of a word, in order.</summary>
    /// <param name="word">The word.</param>
    /// <param name="continues">Whether the word was begun by tokens that are there already, for vocabularies that spell a word's beginning in another way.</param>
    ReadOnlySpan<WordToken> Tokenize(ReadOnlySpan<char> word, bool continues = false);

    /// <summary>The vocabulary: token to id.</summary>
    IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>The same model, which never gives some of its tokens; used for text in which a special token's name is nothing special.</summary>
    ISubwordModel Without(IReadOnlySet<int> ids);
}
