using System.Buffers;
using System.Text;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.Parts;

/// <summary>Finds tokens in a text: the leftmost match first, the longest of those that begin at one place.</summary>
internal sealed class TokenFinder
{
    private readonly SearchValues<char> _firstCharacters;
    private readonly ILookup<char, (string Pattern, AddedToken Token)> _byFirstCharacter;

    /// <summary>Creates a finder of tokens, each with the text it is found by.</summary>
    public TokenFinder(IReadOnlyList<(string Pattern, AddedToken Token)> tokens)
    {
        _byFirstCharacter = tokens.Where(entry => entry.Pattern.Length > 0).OrderByDescending(entry => entry.Pattern.Length).ToLookup(entry => entry.Pattern[0]);
        _firstCharacters = SearchValues.Create([.. _byFirstCharacter.Select(group => group.Key)]);
    }

    /// <summary>Appends the pieces of a text in order; none is empty.</summary>
    public void Split(Word text, List<AddedTokenCutter.Piece> into)
    {
        var span = text.Span;
        var done = 0;
        var at = 0;
        while (at < span.Length)
        {
            var candidate = span[at..].IndexOfAny(_firstCharacters);
            if (candidate < 0)
                break;
            at += candidate;
            if (MatchAt(span, at) is not { } match)
            {
                at++;
                continue;
            }
            var start = at;
            var end = at + match.Pattern.Length;
            at = end;
            if (match.Token.IsSingleWord && (EndsInWord(span[..start]) || BeginsWithWord(span[end..])))
                continue;
            if (match.Token.TakesSpaceBefore)
                start = Math.Max(done, span[..start].TrimEnd().Length);
            if (match.Token.TakesSpaceAfter)
                at = end = span.Length - span[end..].TrimStart().Length;
            if (done < start)
                into.Add(new AddedTokenCutter.Piece(text.Part(done, start), null));
            into.Add(new AddedTokenCutter.Piece(text.Part(start, end), match.Token));
            done = end;
        }
        if (done < span.Length)
            into.Add(new AddedTokenCutter.Piece(text.Part(done, span.Length), null));
    }

    private (string Pattern, AddedToken Token)? MatchAt(ReadOnlySpan<char> text, int at)
    {
        foreach (var entry in _byFirstCharacter[text[at]])
        {
            if (text[at..].StartsWith(entry.Pattern, StringComparison.Ordinal))
                return entry;
        }
        return null;
    }

    private static bool EndsInWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var rune, out _) == OperationStatus.Done && WordCharacters.Has(rune);

    private static bool BeginsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var rune, out _) == OperationStatus.Done && WordCharacters.Has(rune);
}
