using System.Runtime.InteropServices;

namespace Rlgf.Tokenizers;

/// <summary>Decodes tokens as they come, giving text out only when its last character is whole. The parts together are what decoding all at once gives.</summary>
/// <param name="tokenizer">The tokenizer of the ids.</param>
/// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
/// <param name="goesOn">Whether the text goes on from another, so that a space before its first word stays (<see cref="ITokenizer.DecodeContinuation"/>).</param>
public sealed class StreamingDecoder(ITokenizer tokenizer, bool skipSpecialTokens = true, bool goesOn = false)
{
    // The last tokens that are written out already: some tokenizers decode a text's first token differently, so there must be one before what is new.
    private readonly List<int> _ids = [];
    private int _written;

    /// <summary>Takes the next token.</summary>
    /// <returns>The text that is certain now: empty while a character is unfinished, or while what follows may still change it.</returns>
    public string Append(int id)
    {
        _ids.Add(id);
        return Take(tokenizer.SettledTokens(CollectionsMarshal.AsSpan(_ids)[_written..]));
    }

    /// <summary>Ends the text; the next token begins another.</summary>
    /// <returns>What is left: text that was held back, U+FFFD for a character that was never finished, or nothing.</returns>
    public string Finish()
    {
        var rest = Take(_ids.Count - _written);
        _ids.Clear();
        _written = 0;
        return rest;
    }

    private string Take(int count)
    {
        if (count == 0)
            return "";
        var ids = CollectionsMarshal.AsSpan(_ids);
        var text = Decode(ids[..(_written + count)])[Decode(ids[.._written]).Length..];
        if (text.Length > 0)
        {
            _ids.RemoveRange(0, _written);
            _written = 0;
        }
        _written += count;
        return text;
    }

    private string Decode(ReadOnlySpan<int> ids) => goesOn ? tokenizer.DecodeContinuation(ids, skipSpecialTokens) : tokenizer.Decode(ids, skipSpecialTokens);
}
