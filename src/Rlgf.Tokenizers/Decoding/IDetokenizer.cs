namespace Rlgf.Tokenizers.Decoding;

/// <summary>Turns tokens back into text. It is given only ids that have a token, without the special ones where those are to be left out.</summary>
internal interface IDetokenizer
{
    /// <summary>The text of tokens.</summary>
    /// <param name="ids">The tokens.</param>
    /// <param name="startsText">Whether a text begins with them, so that a space which only marks its first word is dropped.</param>
    string Decode(ReadOnlySpan<int> ids, bool startsText);

    /// <summary>Whether the text ends between two characters.</summary>
    bool EndsOnCharacter(ReadOnlySpan<int> ids);

    /// <summary>How many of the tokens write text that no later token can change.</summary>
    int SettledTokens(ReadOnlySpan<int> ids);
}
