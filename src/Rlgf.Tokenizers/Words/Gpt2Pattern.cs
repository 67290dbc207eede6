namespace Rlgf.Tokenizers.Words;

/// <summary>GPT-2's pattern: <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>.</summary>
internal sealed class Gpt2Pattern : IWordPattern
{
    public int EndOfMatch(ReadOnlySpan<char> text, int start)
    {
        if (Contractions.LengthAt(text, start, ignoreCase: false) is var contraction and > 0)
            return start + contraction;

        var body = start;
        var first = CharacterClasses.ClassAt(text, body, out _);
        if (text[start] == ' ' && start + 1 < text.Length)
            first = CharacterClasses.ClassAt(text, ++body, out _);
        if (first != CharacterClass.Space)
            return CharacterClasses.EndOfRun(text, body, first);

        return Spaces.EndOfRun(text, start);
    }
}
