using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Data;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;
using Rlgf.Tokenizers.Training;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class BpeTrainerTests
{
    private static readonly string[] Reviews =
    [
        "The film was good, the film was great: the best film I've seen. aaaa aaaaa ababab",
        "A bad film! A very, very bad film… und später größer 映画は面白い 😀😀",
        "It isn't the worst. 1999 2001 1999\n\n  indented  text\n",
    ];

    /// <summary>The first merges by hand: "low" 5 times, "lower" 2, "newest" 6, "widest" 3, the example of Sennrich et al. 2016, without end-of-word marks.</summary>
    [Fact]
    public void The_textbook_example_gives_the_merges_worked_out_by_hand()
    {
        // One word to a text, so that no spaces come in. Counts: es 9, st 9, we 8, lo 7, ow 7, ne 6, ew 6, wi 3, id 3, de 3, er 2.
        // "es" and "st" tie; e is older than s. Then est 9 (es+t), lo 7 (older than ow), low 7, and six each of ne, ew, wes: the oldest pair, (e, w), is first;
        // then n+ew and ew+est tie at 6: n is older than ew.
        string[] texts =
        [
            .. Enumerable.Repeat("low", 5), .. Enumerable.Repeat("lower", 2), .. Enumerable.Repeat("newest", 6), .. Enumerable.Repeat("widest", 3),
        ];
        var merges = MergesOf(BpeTrainer.Train(texts, new BpeTrainerOptions { VocabularySize = 256 + 1 + 7 }));
        Assert.Equal(["e s", "es t", "l o", "lo w", "e w", "n ew", "new est"], merges);
    }

    [Theory]
    [InlineData(1, 400)]
    [InlineData(2, 300)]
    public void Incremental_counts_learn_what_recounting_everything_at_every_step_learns(int minFrequency, int size)
    {
        var options = new BpeTrainerOptions { VocabularySize = size, MinFrequency = minFrequency };
        Assert.Equal(NaiveMerges(Reviews, options), MergesOf(BpeTrainer.Train(Reviews, options)));
    }

    [Fact]
    public void Incremental_counts_learn_the_same_on_random_words_of_few_letters()
    {
        var random = new Random(7);
        for (var round = 0; round < 30; round++)
        {
            var texts = Enumerable.Range(0, 20).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => "ab c"[random.Next(4)]))).ToArray();
            var options = new BpeTrainerOptions { VocabularySize = 290, MinFrequency = 1 };
            Assert.Equal(NaiveMerges(texts, options), MergesOf(BpeTrainer.Train(texts, options)));
        }
    }

    [Fact]
    public void On_the_texts_of_the_gpt2_fixture_the_tokenizers_library_learned_the_same_merges_and_ids()
    {
        var reviews = TextDataset.ReadRows(SharedData.Require("data", "imdb", "train.jsonl.gz")).Take(2500).Select(row => row.GetString("text"));
        var others = JsonSerializer.Deserialize<string[]>(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(""), "training_extra_text.json")))!;
        var texts = reviews.Concat(Enumerable.Repeat(others, 40).SelectMany(lines => lines));
        var expected = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json")))!["model"]!;

        using var folder = new TemporaryFolder();
        BpeTrainer.Train(texts, new BpeTrainerOptions { VocabularySize = 1200, MinFrequency = 1 }).Save(folder.Path);
        var trained = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path, "tokenizer.json")))!["model"]!;
        Assert.Equal(943, trained["merges"]!.AsArray().Count);
        Assert.True(JsonNode.DeepEquals(expected["merges"], trained["merges"]));
        Assert.True(JsonNode.DeepEquals(expected["vocab"], trained["vocab"]));
    }

    [Fact]
    public void A_trained_tokenizer_gives_every_text_back_and_saves_to_an_equal_one()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = BpeTrainer.Train(Reviews, new BpeTrainerOptions { VocabularySize = 320, MinFrequency = 1, SpecialTokens = ["<|endoftext|>", "<|pad|>"], PadToken = "<|pad|>" });
        tokenizer.Save(folder.Path);
        var saved = TokenizerFolder.Load(folder.Path);

        Assert.Equal(320, tokenizer.VocabularySize);
        Assert.Equal((318, 318, 319), (tokenizer.BosId, tokenizer.EosId, tokenizer.PadId));
        Assert.Equal((318, 318, 319), (saved.BosId, saved.EosId, saved.PadId));
        foreach (var text in TokenizerFixtures.Cases("gpt2").Cases.Select(expected => expected.Text).Concat(Reviews))
        {
            var ids = tokenizer.Encode(text);
            Assert.Equal(text, tokenizer.Decode(ids, skipSpecialTokens: false));
            Assert.Equal(ids, saved.Encode(text));
        }
    }

    [Fact]
    public void The_two_forms_that_are_saved_agree()
    {
        using var whole = new TemporaryFolder();
        using var parts = new TemporaryFolder();
        var tokenizer = BpeTrainer.Train(Reviews, new BpeTrainerOptions { VocabularySize = 320 });
        tokenizer.Save(whole.Path);
        foreach (var file in (string[])["vocab.json", "merges.txt", "tokenizer_config.json"])
            File.Copy(Path.Combine(whole.Path, file), Path.Combine(parts.Path, file));
        var fromParts = TokenizerFolder.Load(parts.Path);
        Assert.Equal((tokenizer.EosId, tokenizer.VocabularySize), (fromParts.EosId, fromParts.VocabularySize));
        foreach (var text in Reviews.Append("a<|endoftext|>b"))
            Assert.Equal(tokenizer.Encode(text), fromParts.Encode(text));
    }

    [Fact]
    public void A_special_token_is_one_id_and_is_never_learned_as_a_merge()
    {
        var tokenizer = BpeTrainer.Train(Enumerable.Repeat("||| ||| |||", 20), new BpeTrainerOptions { VocabularySize = 300, MinFrequency = 1, SpecialTokens = ["|||"], BosToken = null, EosToken = "|||" });
        Assert.Equal([tokenizer.EosId!.Value], tokenizer.Encode("|||"));
        Assert.Equal(tokenizer.VocabularySize - 1, tokenizer.EosId);
        Assert.Equal("a", tokenizer.Decode(tokenizer.Encode("a|||")));
    }

    [Theory]
    [InlineData("a𝕏b", 1)] // letters beyond the basic plane
    [InlineData("𠀀𞤀", 1)]
    [InlineData("1𝟙2", 1)] // digits there
    [InlineData("a😀b", 3)] // neither
    [InlineData("a𝟙", 2)]
    [InlineData(" 𝕏", 1)]
    [InlineData("😀\u0301!", 1)]
    public void Characters_beyond_the_basic_plane_make_words_like_others(string text, int words)
    {
        // Enough merges to make every word one token.
        var tokenizer = BpeTrainer.Train(Enumerable.Repeat(text, 5), new BpeTrainerOptions { VocabularySize = 300 });
        Assert.Equal(words, tokenizer.Encode(text).Length);
    }

    [Fact]
    public void Training_ends_early_where_no_pair_is_frequent_enough()
    {
        var tokenizer = BpeTrainer.Train(["abc"], new BpeTrainerOptions { VocabularySize = 1000 });
        Assert.Equal(257, tokenizer.VocabularySize);
    }

    [Theory]
    [InlineData("vocabulary size 100 is too small: 256 bytes and 1 special tokens need 257")]
    [InlineData("EOS token \"<eos>\" isn't one of its special tokens")]
    [InlineData("minimum frequency 0 must be at least 1")]
    [InlineData("training texts are empty")]
    public void Settings_that_can_not_work_are_refused_in_one_line(string message)
    {
        var options = new BpeTrainerOptions { VocabularySize = 300 };
        var error = Assert.Throws<InputException>(() => BpeTrainer.Train(
            message.Contains("empty", StringComparison.Ordinal) ? [""] : ["text"],
            message switch
            {
                _ when message.StartsWith("voc", StringComparison.Ordinal) => options with { VocabularySize = 100 },
                _ when message.StartsWith("EOS", StringComparison.Ordinal) => options with { EosToken = "<eos>" },
                _ when message.StartsWith("min", StringComparison.Ordinal) => options with { MinFrequency = 0 },
                _ => options,
            }));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    private static string[] MergesOf(ITokenizer tokenizer)
    {
        using var folder = new TemporaryFolder();
        tokenizer.Save(folder.Path);
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.Path, "tokenizer.json")))!;
        return [.. json["model"]!["merges"]!.AsArray().Select(merge => $"{merge![0]} {merge[1]}")];
    }

    /// <summary>The algorithm as a textbook has it: count every pair, merge the most frequent one (of equals the oldest symbols), start again.</summary>
    private static List<string> NaiveMerges(string[] texts, BpeTrainerOptions options)
    {
        // The words and the spelling of bytes come from a tokenizer without merges: its tokens are bytes.
        var bytes = BpeTrainer.Train(["-"], new BpeTrainerOptions { VocabularySize = 257 });
        var words = texts.SelectMany(Words).Select(word => bytes.EncodeWithOffsets(word).Tokens.ToList()).ToList();
        var vocabulary = Enumerable.Range(0, 256).Select(id => bytes.TokenOf(id)!).ToList();
        var merges = new List<string>();
        while (vocabulary.Count < options.VocabularySize - options.SpecialTokens.Count)
        {
            var counts = new Dictionary<(int, int), int>();
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    var pair = (vocabulary.IndexOf(word[i]), vocabulary.IndexOf(word[i + 1]));
                    counts[pair] = counts.GetValueOrDefault(pair) + 1;
                }
            }
            if (counts.Count == 0 || counts.Values.Max() < options.MinFrequency)
                break;
            var (left, right) = counts.OrderByDescending(entry => entry.Value).ThenBy(entry => entry.Key).First().Key;
            merges.Add($"{vocabulary[left]} {vocabulary[right]}");
            var merged = vocabulary[left] + vocabulary[right];
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] == vocabulary[left] && word[i + 1] == vocabulary[right])
                    {
                        word[i] = merged;
                        word.RemoveAt(i + 1);
                    }
                }
            }
            if (!vocabulary.Contains(merged))
                vocabulary.Add(merged);
        }
        return merges;
    }

    /// <summary>GPT-2's words by its own regular expression, which .NET reads right as long as all letters are in the basic plane.</summary>
    private static IEnumerable<string> Words(string text) =>
        System.Text.RegularExpressions.Regex.Matches(text, @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+").Select(match => match.Value);
}
