using Rlgf.Text.Tokenization.Normalization;

namespace Rlgf.Text.Tokenization;

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
        _inNormalized = Finder(tokens.Where(token => token.IsNormalized).Select(token => (Normalize(Whole(token.Content)).Span.ToString(), token)));
    }

    /// <summary>A piece of a text: an added token, or normalised text between such tokens where <paramref name="Token"/> is null.</summary>
    public readonly record struct Piece(Word Text, AddedToken? Token);

    /// <summary>The pieces of a text in order; none is empty.</summary>
    public List<Piece> Split(string text)
    {
        List<Piece> pieces = text.Length == 0 ? [] : [new Piece(Whole(text), null)];
        pieces = CutOut(_inOriginal, pieces);
        for (var i = 0; i < pieces.Count && _normalizer is not null; i++)
        {
            if (pieces[i].Token is null)
                pieces[i] = new Piece(Normalize(pieces[i].Text), null);
        }
        return CutOut(_inNormalized, pieces);
    }

    private static TokenFinder? Finder(IEnumerable<(string, AddedToken)> tokens)
    {
        var list = tokens.ToList();
        return list.Count == 0 ? null : new TokenFinder(list);
    }

    private static List<Piece> CutOut(TokenFinder? finder, List<Piece> pieces)
    {
        if (finder is null)
            return pieces;
        var cut = new List<Piece>(pieces.Count);
        foreach (var piece in pieces)
        {
            if (piece.Token is null)
                finder.Split(piece.Text, cut);
            else
                cut.Add(piece);
        }
        return cut;
    }

    private static Word Whole(string text) => new(new NormalizedText(text), 0, text.Length);

    private Word Normalize(Word text) => _normalizer?.Normalize(text) ?? text;
}
