using Rlgf.Base;
using Rlgf.Tokenizers.Subwords;

namespace Rlgf.Tokenizers.Training;

/// <summary>Trains a byte-level BPE tokenizer with GPT-2's words (Sennrich et al. 2016, algorithm 1; Radford et al. 2019, section 2.2).</summary>
/// <remarks>
/// The same texts and options always give the same tokenizer: of pairs that are equally frequent, the one whose symbols are older is merged first.
/// Special tokens that occur in the texts count as ordinary text.
/// </remarks>
public static class BpeTrainer
{
    private const int TextsBetweenReports = 1000;
    private const int MergesBetweenReports = 100;

    /// <summary>Trains a tokenizer.</summary>
    /// <param name="texts">The texts, read once; only their words are kept in memory.</param>
    /// <param name="options">Vocabulary size, special tokens and so on.</param>
    /// <param name="progress">Told every now and then how far it is.</param>
    /// <param name="cancellationToken">Stops the training.</param>
    /// <exception cref="InputException">The options contradict each other, or there is no text.</exception>
    public static ITokenizer Train(
        IEnumerable<string> texts, BpeTrainerOptions options, IProgress<BpeTrainerProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        Check(options);

        var words = new WordCounts();
        var read = 0L;
        foreach (var text in texts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            words.Add(text);
            if (++read % TextsBetweenReports == 0)
                progress?.Report(new BpeTrainerProgress(read, 0, options.VocabularySize - 256 - options.SpecialTokens.Count));
        }
        if (words.IsEmpty)
            throw new InputException("the tokenizer's training texts are empty; it takes at least one word to train one.");

        var (vocabulary, merges) = Learn(words, options, count => progress?.Report(count with { Texts = read }), cancellationToken);
        return TokenizerFolder.Build(TrainedTokenizerFiles.Make(vocabulary, merges, options));
    }

    private static (List<string> Vocabulary, List<(string Left, string Right)> Merges) Learn(
        WordCounts words, BpeTrainerOptions options, Action<BpeTrainerProgress> report, CancellationToken cancellationToken)
    {
        var wanted = options.VocabularySize - 256 - options.SpecialTokens.Count;
        // The bytes have the first ids, in the order of the characters that spell them, as in GPT-2's vocabulary.
        var vocabulary = Enumerable.Range(0, 256).Select(value => ByteAlphabet.CharacterOf((byte)value)).Order().Select(character => character.ToString()).ToList();
        var ids = vocabulary.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id, StringComparer.Ordinal);
        var byteIds = Enumerable.Range(0, 256).Select(value => ids[ByteAlphabet.CharacterOf((byte)value).ToString()]).ToArray();
        var reserved = options.SpecialTokens.ToHashSet(StringComparer.Ordinal);

        var pairs = new PairCounts();
        foreach (var (bytes, count) in words.InOrder())
            pairs.Add(Array.ConvertAll(bytes, value => byteIds[value]), count);

        var merges = new List<(string, string)>(wanted);
        while (vocabulary.Count < 256 + wanted && pairs.TakeMostFrequent() is var (pair, frequency) && frequency >= options.MinFrequency)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var (left, right) = (vocabulary[pair.Left], vocabulary[pair.Right]);
            var token = left + right;
            if (reserved.Contains(token))
                continue;
            // Two ways to one token ("ab" + "c", "a" + "bc") share its id.
            if (ids.TryAdd(token, vocabulary.Count))
                vocabulary.Add(token);
            merges.Add((left, right));
            pairs.Merge(pair, ids[token]);
            if (merges.Count % MergesBetweenReports == 0)
                report(new BpeTrainerProgress(0, merges.Count, wanted));
        }
        return (vocabulary, merges);
    }

    private static void Check(BpeTrainerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var special = options.SpecialTokens;
        if (special.Any(string.IsNullOrEmpty) || special.Distinct(StringComparer.Ordinal).Count() != special.Count)
            throw new InputException("the tokenizer's special tokens must be different from each other and not empty.");
        if (special.FirstOrDefault(token => token.Length == 1 && ByteAlphabet.Has(token[0])) is { } letter)
            throw new InputException($"the tokenizer's special token \"{letter}\" is also how a byte is spelled; choose a longer one.");
        if (options.VocabularySize < 256 + special.Count)
            throw new InputException($"the tokenizer's vocabulary size {options.VocabularySize} is too small: 256 bytes and {special.Count} special tokens need {256 + special.Count}.");
        if (options.MinFrequency < 1)
            throw new InputException($"the tokenizer's minimum frequency {options.MinFrequency} must be at least 1.");
        foreach (var (role, token) in ((string, string?)[])[("BOS", options.BosToken), ("EOS", options.EosToken), ("padding", options.PadToken)])
        {
            if (token is not null && !special.Contains(token))
                throw new InputException($"the tokenizer's {role} token \"{token}\" isn't one of its special tokens; add it to them.");
        }
    }
}
