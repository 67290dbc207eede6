using Rlgf.Tokenizers.Normalization;

namespace Rlgf.Tokenizers.Parts;

/// <summary>Cuts added tokens out of a text and normalises what lies between them.</summary>
internal sealed class AddedTokenCutter
{
    private readonly INormalizer? _normalizer;
    private readonly TokenFinder? _inOriginal;
    private readonly TokenFinder? _inNormalized;

    public AddedTokenCutter(IReadOnlyList<AddedToken> tokens, INormalizer? normalizer)
    {
        _normalizer = normalizer;
        _inOriginal = Finder(tokens.Where(token => !token.IsNormalized).Select(token => (token.Content, token)));
        _inNormalized = Finder(tokens.Where(token => token.IsNormalized).Select(token => (Normalize(Word.Whole(token.Content)).Span.ToString(), token)));
    }

    /// <summary>A piece of a text: an added token, or normalised text between such tokens where <paramref name="Token"/> is null.</summary>
    /// <param name="Text">The text.</param>
    /// <param name="Token">The token.</param>
    /// <param name="IsOrdinary">Whether the text is what would be an added token elsewhere and is ordinary text here.</param>
    public readonly record struct Piece(Word Text, AddedToken? Token, bool IsOrdinary = false);

    /// <summary>The pieces of a text in order; none is empty.</summary>
    /// <param name="text">The text.</param>
    /// <param name="continues">Whether it goes on from tokens that are there already; then every piece does.</param>
    /// <param name="ordinary">Parts of the text in which added tokens are ordinary text: one that touches such a part is a piece of its own without a token.</param>
    public List<Piece> Split(string text, bool continues = false, IReadOnlyList<(int Start, int End)>? ordinary = null)
    {
        List<Piece> pieces = text.Length == 0 ? [] : [new Piece(Word.Whole(text, continues), null)];
        pieces = CutOut(_inOriginal, pieces, continues);
        MakeOrdinary(pieces, ordinary);
        for (var i = 0; i < pieces.Count && _normalizer is not null; i++)
        {
            if (pieces[i].Token is null)
                pieces[i] = pieces[i] with { Text = Normalize(pieces[i].Text) };
        }
        pieces = CutOut(_inNormalized, pieces, continues);
        MakeOrdinary(pieces, ordinary);
        return pieces;
    }

    private static void MakeOrdinary(List<Piece> pieces, IReadOnlyList<(int Start, int End)>? ordinary)
    {
        for (var i = 0; i < pieces.Count && ordinary is { Count: > 0 }; i++)
        {
            var text = pieces[i].Text;
            var (start, end) = text.SourceOf(0, text.Span.Length);
            // Text in the middle of a text: nothing is put before it, nor before what follows.
            if (pieces[i].Token is not null && ordinary.Any(part => start < part.End && part.Start < end))
                pieces[i] = new Piece(text with { Continues = true }, null, IsOrdinary: true);
            else if (pieces[i].Token is null && i > 0 && pieces[i - 1].IsOrdinary)
                pieces[i] = pieces[i] with { Text = text with { Continues = true } };
        }
    }

    private static TokenFinder? Finder(IEnumerable<(string, AddedToken)> tokens)
    {
        var list = tokens.ToList();
        return list.Count == 0 ? null : new TokenFinder(list);
    }

    private static List<Piece> CutOut(TokenFinder? finder, List<Piece> pieces, bool continues)
    {
        if (finder is null)
            return pieces;
        var cut = new List<Piece>(pieces.Count);
        foreach (var piece in pieces)
        {
            var first = cut.Count;
            if (piece is { Token: null, IsOrdinary: false })
                finder.Split(piece.Text, cut);
            else
                cut.Add(piece);
            for (var i = first; i < cut.Count && continues; i++)
                cut[i] = cut[i] with { Text = cut[i].Text with { Continues = i > first || piece.Text.Continues } };
        }
        return cut;
    }

    private Word Normalize(Word text) => _normalizer?.Normalize(text) ?? text;
}
