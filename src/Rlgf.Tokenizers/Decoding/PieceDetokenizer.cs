using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers.Decoding;

/// <summary>Tokens that are pieces of text, put together by steps.</summary>
internal sealed class PieceDetokenizer : IDetokenizer
{
    private readonly string?[] _tokens;
    private readonly IReadOnlyList<IPieceStep> _steps;
    private readonly bool _cleansUp;
    private readonly byte?[]? _bytes;
    private readonly ByteLevelDetokenizer? _byteLevel;
    private readonly bool _settlesLast;

    /// <summary>Creates it.</summary>
    /// <param name="tokens">The vocabulary, id to token.</param>
    /// <param name="steps">What is done to the tokens, in order.</param>
    /// <param name="cleansUp">Whether the whole text is cleaned of spaces before punctuation at the end.</param>
    public PieceDetokenizer(string?[] tokens, IReadOnlyList<IPieceStep> steps, bool cleansUp)
    {
        (_tokens, _steps, _cleansUp) = (tokens, steps, cleansUp);
        if (steps.Any(step => step is ByteFallbackStep))
            _bytes = [.. tokens.Select(token => token is null ? null : ByteFallback.ByteOf(token))];
        if (steps.Any(step => step is ByteLevelStep))
            _byteLevel = new ByteLevelDetokenizer(tokens);
        // What is replaced in the whole text may reach from one token into the next.
        _settlesLast = steps.SkipWhile(step => !step.Fuses).Any(step => step is ReplaceStep { MayJoin: true });
    }

    public string Decode(ReadOnlySpan<int> ids, bool startsText)
    {
        var text = Join(ids, startsText);
        return _cleansUp ? CleanUp.Apply(text) : text;
    }

    public bool EndsOnCharacter(ReadOnlySpan<int> ids)
    {
        var run = BytesAtEnd(ids);
        return (run == 0 || Utf8.EndsOnCharacter([.. ids[^Math.Min(run, 3)..].ToArray().Select(id => _bytes![id]!.Value)])) && _byteLevel?.EndsOnCharacter(ids) != false;
    }

    public int SettledTokens(ReadOnlySpan<int> ids)
    {
        if (_settlesLast || _byteLevel?.EndsOnCharacter(ids) == false)
            return 0;
        // Whether a run of bytes is text shows only when it has ended.
        var settled = ids.Length - BytesAtEnd(ids);
        while (_cleansUp && settled > 0 && CleanUp.MayChange(Join(ids[Math.Max(0, settled - 4)..settled], startsText: false)))
            settled--;
        return settled;
    }

    private string Join(ReadOnlySpan<int> ids, bool startsText)
    {
        var pieces = new List<string>(ids.Length);
        foreach (var id in ids)
            pieces.Add(_tokens[id]!);
        if (pieces.Count == 0)
            return "";
        foreach (var step in _steps)
            step.Apply(pieces, startsText);
        return string.Concat(pieces);
    }

    private int BytesAtEnd(ReadOnlySpan<int> ids)
    {
        var run = 0;
        while (_bytes is not null && run < ids.Length && _bytes[ids[ids.Length - 1 - run]] is not null)
            run++;
        return run;
    }
}
