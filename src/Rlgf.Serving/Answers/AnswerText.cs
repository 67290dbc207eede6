using Rlgf.Tokenizers;

namespace Rlgf.Serving.Answers;

/// <summary>
/// An answer's text while its tokens come: characters of several tokens are held back until they are whole, and so is what may be the beginning of a stop text. What stands before a stop text is the answer,
/// wherever in a token it begins.
/// </summary>
/// <param name="decoder">Decodes the answer.</param>
/// <param name="stops">Texts that end it.</param>
/// <param name="includesStop">Whether the stop text stays in the answer.</param>
internal sealed class AnswerText(StreamingDecoder decoder, IReadOnlyList<string> stops, bool includesStop)
{
    private string _held = "";

    /// <summary>The stop text that ended the answer; null for none so far.</summary>
    public string? StoppedAt { get; private set; }

    /// <summary>Takes the next token.</summary>
    /// <returns>Text that is certain now.</returns>
    public string Append(int id) => Take(decoder.Append(id), isLast: false);

    /// <summary>Ends the answer.</summary>
    /// <returns>The rest of its text.</returns>
    public string Finish() => Take(decoder.Finish(), isLast: true);

    private string Take(string text, bool isLast)
    {
        if (StoppedAt is not null) return "";
        _held += text;
        var first = stops.Select(stop => (Stop: stop, At: _held.IndexOf(stop, StringComparison.Ordinal))).Where(found => found.At >= 0)
            .OrderBy(found => found.At).ThenBy(found => found.Stop.Length).FirstOrDefault();
        if (first.Stop is not null)
        {
            StoppedAt = first.Stop;
            return _held[..(includesStop ? first.At + first.Stop.Length : first.At)];
        }

        var certain = isLast ? _held.Length : _held.Length - LongestBeginning();
        var given = _held[..certain];
        _held = _held[certain..];
        return given;
    }

    /// <summary>How many characters at the end of what is held may be the beginning of a stop text.</summary>
    private int LongestBeginning() => stops.Count == 0 ? 0
        : Enumerable.Range(0, Math.Min(_held.Length, stops.Max(stop => stop.Length) - 1) + 1).Reverse()
            .First(length => length == 0 || stops.Any(stop => stop.Length > length && stop.AsSpan().StartsWith(_held.AsSpan(_held.Length - length), StringComparison.Ordinal)));
}
