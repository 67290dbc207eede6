namespace Rlgf.Text.Tokenization.Words;

/// <summary>Cuts text where a pattern's matches begin and end.</summary>
internal sealed class PatternPreTokenizer(IWordPattern pattern) : IPreTokenizer
{
    public void Split(Word text, List<Word> into)
    {
        var span = text.Span;
        for (var start = 0; start < span.Length;)
        {
            var end = pattern.EndOfMatch(span, start);
            into.Add(text.Part(start, end));
            start = end;
        }
    }
}

/// <summary>Several pre-tokenizers in a row, each cutting what the one before it left.</summary>
internal sealed class PreTokenizerSequence(IReadOnlyList<IPreTokenizer> steps) : IPreTokenizer
{
    public void Split(Word text, List<Word> into)
    {
        var words = new List<Word> { text };
        for (var i = 0; i < steps.Count; i++)
        {
            var next = i == steps.Count - 1 ? into : new List<Word>(words.Count);
            foreach (var word in words)
                steps[i].Split(word, next);
            words = next;
        }
    }
}
