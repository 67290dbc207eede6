using System.Text;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers.Decoding;

/// <summary>One of the steps that turn the tokens of a vocabulary of pieces into the parts of a text.</summary>
internal interface IPieceStep
{
    /// <summary>Rewrites the pieces.</summary>
    /// <param name="pieces">Tokens, or what the step before left of them.</param>
    /// <param name="startsText">Whether a text begins with them.</param>
    void Apply(List<string> pieces, bool startsText);

    /// <summary>Whether all pieces are one after it.</summary>
    bool Fuses => false;
}

/// <summary>Spaces in place of sentencepiece's marks; those of the first token are dropped where a text gets one before it.</summary>
internal sealed class MetaspaceStep(char mark, bool dropsFirst) : IPieceStep
{
    public void Apply(List<string> pieces, bool startsText)
    {
        for (var i = 0; i < pieces.Count; i++)
            pieces[i] = i == 0 && startsText && dropsFirst ? pieces[i].Replace(mark.ToString(), "", StringComparison.Ordinal) : pieces[i].Replace(mark, ' ');
    }
}

/// <summary>Characters in place of the tokens that spell their bytes. A run of bytes that isn't UTF-8 becomes one U+FFFD a byte.</summary>
internal sealed class ByteFallbackStep : IPieceStep
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public void Apply(List<string> pieces, bool startsText)
    {
        var text = new List<string>(pieces.Count);
        var bytes = new List<byte>();
        foreach (var piece in pieces)
        {
            if (ByteFallback.ByteOf(piece) is { } value)
            {
                bytes.Add(value);
                continue;
            }
            Flush();
            text.Add(piece);
        }
        Flush();
        pieces.Clear();
        pieces.AddRange(text);

        void Flush()
        {
            if (bytes.Count == 0)
                return;
            try
            {
                text.Add(Strict.GetString([.. bytes]));
            }
            catch (DecoderFallbackException)
            {
                text.AddRange(Enumerable.Repeat("\uFFFD", bytes.Count));
            }
            bytes.Clear();
        }
    }
}

/// <summary>Makes all pieces one.</summary>
internal sealed class FuseStep : IPieceStep
{
    public bool Fuses => true;

    public void Apply(List<string> pieces, bool startsText)
    {
        var whole = string.Concat(pieces);
        pieces.Clear();
        pieces.Add(whole);
    }
}

/// <summary>Takes a character off the ends, up to a number of times at each.</summary>
/// <param name="character">The character.</param>
/// <param name="start">How often at the start.</param>
/// <param name="stop">How often at the end.</param>
/// <param name="afterFuse">Whether the pieces are one by then, so that their start is the text's.</param>
internal sealed class StripStep(char character, int start, int stop, bool afterFuse) : IPieceStep
{
    public void Apply(List<string> pieces, bool startsText)
    {
        for (var i = 0; i < pieces.Count; i++)
        {
            var (from, to) = (0, pieces[i].Length);
            while ((startsText || !afterFuse) && from < to && from < start && pieces[i][from] == character)
                from++;
            while (to > from && pieces[i].Length - to < stop && pieces[i][to - 1] == character)
                to--;
            pieces[i] = pieces[i][from..to];
        }
    }
}

/// <summary>Writes one text in the place of another.</summary>
internal sealed class ReplaceStep(TextPattern pattern, string content) : IPieceStep
{
    /// <summary>Whether what it finds may have more than one character.</summary>
    public bool MayJoin => !pattern.IsOneCharacter;

    public void Apply(List<string> pieces, bool startsText)
    {
        for (var i = 0; i < pieces.Count; i++)
        {
            var matches = pattern.Matches(pieces[i]);
            if (matches.Count == 0)
                continue;
            var text = new StringBuilder();
            var done = 0;
            foreach (var (start, end) in matches)
            {
                text.Append(pieces[i], done, start - done).Append(content);
                done = end;
            }
            pieces[i] = text.Append(pieces[i], done, pieces[i].Length - done).ToString();
        }
    }
}

/// <summary>A space before every token but those that go on within a word.</summary>
internal sealed class WordPieceStep(string prefix, bool cleansUp) : IPieceStep
{
    public void Apply(List<string> pieces, bool startsText)
    {
        for (var i = 0; i < pieces.Count; i++)
        {
            if (i > 0 || !startsText)
                pieces[i] = Continues(pieces[i]) ? pieces[i][prefix.Length..] : " " + pieces[i];
            if (cleansUp)
                pieces[i] = CleanUp.OfPiece(pieces[i]);
        }
    }

    private bool Continues(string piece) => piece.StartsWith(prefix, StringComparison.Ordinal);
}

/// <summary>The text whose bytes the tokens spell, as one piece; bytes that aren't UTF-8 become U+FFFD.</summary>
internal sealed class ByteLevelStep : IPieceStep
{
    public bool Fuses => true;

    public void Apply(List<string> pieces, bool startsText)
    {
        var text = Encoding.UTF8.GetString([.. pieces.SelectMany(ByteAlphabet.Read)]);
        pieces.Clear();
        pieces.Add(text);
    }
}

/// <summary>A space between all tokens: what is done where a tokenizer has no decoder.</summary>
internal sealed class SpacesStep : IPieceStep
{
    public void Apply(List<string> pieces, bool startsText)
    {
        for (var i = startsText ? 1 : 0; i < pieces.Count; i++)
            pieces[i] = " " + pieces[i];
    }
}

/// <summary>A space in place of the mark of a word's end; nothing in place of the last token's.</summary>
internal sealed class BpeStep(string suffix) : IPieceStep
{
    public void Apply(List<string> pieces, bool startsText)
    {
        for (var i = 0; i < pieces.Count; i++)
            pieces[i] = pieces[i].Replace(suffix, i == pieces.Count - 1 ? "" : " ", StringComparison.Ordinal);
    }
}

/// <summary>Connectionist temporal classification (Graves et al. 2006): a token that repeats the one before it is the same, and padding parts such tokens.</summary>
internal sealed class CtcStep(string padding, string delimiter, bool cleansUp) : IPieceStep
{
    public void Apply(List<string> pieces, bool startsText)
    {
        var kept = new List<string>(pieces.Count);
        for (var i = 0; i < pieces.Count; i++)
        {
            if (i > 0 && pieces[i] == pieces[i - 1])
                continue;
            var piece = pieces[i].Replace(padding, "", StringComparison.Ordinal);
            if (cleansUp)
                piece = CleanUp.OfPiece(piece).Replace(delimiter, " ", StringComparison.Ordinal);
            if (piece.Length > 0)
                kept.Add(piece);
        }
        pieces.Clear();
        pieces.AddRange(kept);
    }
}

/// <summary>Takes the spaces off that cutting words apart left before punctuation and within English contractions.</summary>
internal static class CleanUp
{
    /// <summary>The parts of what is replaced that a text may end with while the rest is still to come.</summary>
    private static readonly string[] Unfinished = [" ", " '", " n", " n'", " 'v", " 'r"];

    private static readonly (string Spaced, string Clean)[] Rules =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    /// <summary>The text without those spaces, rule by rule.</summary>
    public static string Apply(string text) => Rules.Aggregate(text, (cleaned, rule) => cleaned.Replace(rule.Spaced, rule.Clean, StringComparison.Ordinal));

    /// <summary>The same of a single token, where the tokenizers library has one more rule.</summary>
    public static string OfPiece(string text) => Apply(text).Replace(" do not", " don't", StringComparison.Ordinal);

    /// <summary>Whether what follows might change how a text, not cleaned yet, ends.</summary>
    public static bool MayChange(string text) => Unfinished.Any(end => text.EndsWith(end, StringComparison.Ordinal));
}
