using System.Text;

namespace Rlgf.Tokenizers.Normalization;

/// <summary>
/// A text being written anew, character by character, beside the one it comes from. A character that replaces another stands for the same part of the original;
/// one that is added stands for the part of the character before it, as in the <c>tokenizers</c> library.
/// </summary>
internal sealed class Rewriting(Word original)
{
    private readonly StringBuilder _text = new(original.End - original.Start + 8);
    private readonly List<(int, int)> _sources = new(original.End - original.Start + 8);
    private int _read;

    /// <summary>Whether a character of the original is left.</summary>
    public bool HasMore => _read < original.End - original.Start;

    /// <summary>The next character of the original; a lone surrogate is U+FFFD.</summary>
    public Rune Next
    {
        get
        {
            Rune.DecodeFromUtf16(original.Span[_read..], out var rune, out _);
            return rune;
        }
    }

    /// <summary>Writes a character in the place of the original's next one.</summary>
    public void Replace(Rune rune)
    {
        if (!HasMore)
        {
            Insert(rune);
            return;
        }
        var start = _read;
        Drop();
        Append(rune, original.SourceOf(start, _read));
    }

    /// <summary>Keeps the original's next character.</summary>
    public void Keep() => Replace(Next);

    /// <summary>Leaves the original's next character out.</summary>
    public void Drop()
    {
        if (!HasMore)
            return;
        Rune.DecodeFromUtf16(original.Span[_read..], out _, out var length);
        _read += length;
    }

    /// <summary>Adds a character.</summary>
    public void Insert(Rune rune)
    {
        if (_read > 0)
            Append(rune, original.SourceOf(_read - 1, _read));
        else
            Append(rune, HasMore ? (original.SourceOf(0, 1).Start, original.SourceOf(0, 1).Start) : (0, 0));
    }

    /// <summary>Writes a character that makes the text longer or shorter: 1 if it is added, 0 if it replaces one, -n if n more go with the one it replaces.</summary>
    public void Write(Rune rune, int surplus)
    {
        if (surplus > 0)
        {
            Insert(rune);
            return;
        }
        Replace(rune);
        for (; surplus < 0; surplus++)
            Drop();
    }

    /// <summary>The new text.</summary>
    public Word Finish() => new(new NormalizedText(_text.ToString(), [.. _sources]), 0, _text.Length, original.Continues);

    private void Append(Rune rune, (int, int) source)
    {
        _text.Append(rune);
        for (var i = 0; i < rune.Utf16SequenceLength; i++)
            _sources.Add(source);
    }
}
