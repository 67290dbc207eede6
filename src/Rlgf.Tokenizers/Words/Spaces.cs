namespace Rlgf.Tokenizers.Words;

/// <summary><c>\s+(?!\S)|\s+</c>: white space, but for its last character where a word follows, since that belongs to the word if it is a space.</summary>
internal static class Spaces
{
    public static int EndOfRun(ReadOnlySpan<char> text, int start)
    {
        var end = CharacterClasses.EndOfRun(text, start, CharacterClass.Space);
        // All white space is in the basic plane, so the last character is one unit.
        return end == text.Length || end - start == 1 ? end : end - 1;
    }
}
