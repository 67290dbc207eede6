using System.Text;
using Rlgf.Base;
using Rlgf.Tokenizers;

namespace Rlgf.Models.Generation;

/// <summary>Texts that end a response once it holds one of them, wherever in a token they end. The text itself stays in the response, as in transformers.</summary>
public sealed class StopTexts
{
    private readonly ITokenizer _tokenizer;
    private readonly string[] _texts;
    private readonly int _tail;

    /// <summary>Takes the texts.</summary>
    /// <param name="texts">Each at least one character long.</param>
    /// <param name="tokenizer">Decodes what was written.</param>
    /// <exception cref="InputException">A text is empty.</exception>
    public StopTexts(IReadOnlyList<string> texts, ITokenizer tokenizer)
    {
        if (texts.Any(string.IsNullOrEmpty)) throw new InputException("a stop text is empty: every response would end at once; give at least one character.");
        _texts = [.. texts];
        _tokenizer = tokenizer;

        // A token writes a byte at least, and one more stands before, so that no decoder takes a text's first token for the first of all, whose space it may drop.
        _tail = texts.Select(Encoding.UTF8.GetByteCount).DefaultIfEmpty(0).Max() + 1;
    }

    /// <summary>Whether a response that held none before its last token now holds one of the texts.</summary>
    /// <param name="tokens">What a row holds.</param>
    /// <param name="response">Where its response begins: a stop text that the prompt ends in doesn't count.</param>
    internal bool IsAtEnd(List<int> tokens, int response)
    {
        var first = Math.Max(response, tokens.Count - _tail);
        var text = _tokenizer.Decode([.. tokens.Skip(first)]);
        return Array.Exists(_texts, stop => text.Contains(stop, StringComparison.Ordinal));
    }
}
