namespace Rlgf.Tokenizers.Words;

/// <summary>
/// A regular expression for words, written out as a scanner that reads code points. .NET's own regular expressions read UTF-16 units: there <c>\p{L}</c>
/// doesn't match a letter beyond the basic plane, and the tokens would come out different.
/// </summary>
internal interface IWordPattern
{
    /// <summary>The end (exclusive) of the match that begins at <paramref name="start"/>. Every pattern matches somewhere at every position.</summary>
    int EndOfMatch(ReadOnlySpan<char> text, int start);
}
