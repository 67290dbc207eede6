using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>Steps of <c>tokenizer.json</c> one by one. Expectations are the documentation's examples of the tokenizers library, or follow from a step's definition.</summary>
public sealed class PipelineStepTests
{
    private const string Gap = "|";

    [Theory]
    [InlineData("""{"type": "Whitespace"}""", "Hello there, x_1!! 😀𝕏", "Hello|there|,|x_1|!!|😀|𝕏")]
    [InlineData("""{"type": "WhitespaceSplit"}""", " Hello there!\n", "Hello|there!")]
    [InlineData("""{"type": "BertPreTokenizer"}""", "Don't «stop»  $5", "Don|'|t|«|stop|»|$|5")]
    [InlineData("""{"type": "Punctuation"}""", "Hello ?!", "Hello |?|!")]
    [InlineData("""{"type": "Punctuation", "behavior": "Contiguous"}""", "Hello ?! no", "Hello |?!| no")]
    [InlineData("""{"type": "Digits", "individual_digits": true}""", "Call 123 please", "Call |1|2|3| please")]
    [InlineData("""{"type": "Digits", "individual_digits": false}""", "Call 1½３ please", "Call |1½３| please")]
    [InlineData("""{"type": "CharDelimiterSplit", "delimiter": "x"}""", "oxox xo", "o|o| |o")]
    [InlineData("""{"type": "Split", "pattern": {"String": "-"}, "behavior": "Removed"}""", "the-final--countdown", "the|final|countdown")]
    [InlineData("""{"type": "Split", "pattern": {"String": "-"}, "behavior": "Isolated"}""", "the-final--countdown", "the|-|final|-|-|countdown")]
    [InlineData("""{"type": "Split", "pattern": {"String": "-"}, "behavior": "MergedWithPrevious"}""", "the-final--countdown", "the-|final-|-|countdown")]
    [InlineData("""{"type": "Split", "pattern": {"String": "-"}, "behavior": "MergedWithNext"}""", "the-final--countdown", "the|-final|-|-countdown")]
    [InlineData("""{"type": "Split", "pattern": {"String": "-"}, "behavior": "Contiguous"}""", "the-final--countdown", "the|-|final|--|countdown")]
    [InlineData("""{"type": "Split", "pattern": {"Regex": "\\p{L}+"}, "behavior": "Removed", "invert": true}""", "ab1𝕏é 😀z", "ab|𝕏é|z")]
    [InlineData("""{"type": "Split", "pattern": {"Regex": "^."}, "behavior": "Isolated"}""", "ab\ncd", "a|b\n|c|d")]
    [InlineData("""{"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": true}]}""", "a1 22", "a|1|2|2")]
    public void Words_are_cut_where_a_pre_tokenizer_says(string preTokenizer, string text, string words)
        => Assert.Equal(words.Split(Gap), Words(preTokenizer, text));

    [Theory]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}""", "a  b", "▁a|▁|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}""", " a", "▁a")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}""", "a b", "a|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "add_prefix_space": false}""", "a b", "a|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true}""", "a b", "▁a|▁b")]
    [InlineData("""{"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": false}""", "a b<x>a", "_a_b|<x>|a")]
    [InlineData("""{"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": false}""", "a b<x>a", "_a_b|<x>|_a")]
    public void Spaces_are_marked_as_Metaspace_says(string preTokenizer, string text, string tokens)
        => Assert.Equal(tokens.Split(Gap), Pieces(preTokenizer, tokens.Split(Gap)).EncodeWithOffsets(text).Tokens);

    [Theory]
    [InlineData("""{"type": "Lowercase"}""", "AÉİ Σ", "aéi\u0307 σ")]
    [InlineData("""{"type": "StripAccents"}""", "e\u0301 é", "e é")]
    [InlineData("""{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}""", "é", "e")]
    [InlineData("""{"type": "Strip"}""", " \n a b\u3000", "a b")]
    [InlineData("""{"type": "Strip", "strip_left": false, "strip_right": true}""", " a ", " a")]
    [InlineData("""{"type": "Prepend", "prepend": "xy"}""", "a", "xya")]
    [InlineData("""{"type": "Prepend", "prepend": "xy"}""", "", "")]
    [InlineData("""{"type": "Replace", "pattern": {"String": "a"}, "content": "😀"}""", "banana", "b😀n😀n😀")]
    [InlineData("""{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "_"}""", "a  b   c d", "a_b_c d")]
    [InlineData("""{"type": "Nmt"}""", "a\u0001b\tc\u200Bd", "ab c d")]
    [InlineData("""{"type": "BertNormalizer", "lowercase": false}""", "É\u0000中x\t", "É 中 x ")]
    [InlineData("""{"type": "BertNormalizer", "lowercase": true}""", "ÉA", "ea")]
    [InlineData("""{"type": "BertNormalizer", "lowercase": true, "strip_accents": false, "handle_chinese_chars": false}""", "É中", "é中")]
    [InlineData("""{"type": "BertNormalizer", "lowercase": false, "strip_accents": true, "clean_text": false}""", "É\t", "E\t")]
    public void Texts_are_rewritten_as_a_normalizer_says(string normalizer, string text, string expected)
    {
        var tokenizer = Normalizing(normalizer);
        Assert.Equal(expected, tokenizer.Decode(tokenizer.Encode(text)));
        Assert.All(tokenizer.EncodeWithOffsets(text).Offsets, offset => Assert.True(offset.Start >= 0 && offset.End <= text.Length && offset.Start <= offset.End));
    }

    [Fact]
    public void Offsets_lead_through_a_normalizer_to_the_original()
    {
        // e + acute, a (dropped mark), and two characters for one: each token covers what it came from.
        var tokenizer = Unknowing("""{"type": "WhitespaceSplit"}""", """{"type": "Sequence", "normalizers": [{"type": "Strip"}, {"type": "Replace", "pattern": {"String": "&"}, "content": " and "}]}""");
        Assert.Equal([(2, 6), (6, 7), (7, 11)], tokenizer.EncodeWithOffsets("  salt&pots ").Offsets);
    }

    [Theory]
    [InlineData("NFD", 1)]
    [InlineData("NFKC", 2)]
    [InlineData("NFKD", 3)]
    public void Unicodes_forms_are_those_of_its_database_in_Python(string form, int column)
    {
        var tokenizer = Normalizing($$"""{"type": "{{form}}"}""");
        var rows = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(""), "forms.json")))!.AsArray();
        Assert.True(rows.Count > 400);
        Assert.All(rows, row => Assert.Equal((string)row![column]!, tokenizer.Decode(tokenizer.Encode((string)row[0]!))));
    }

    [Theory]
    [InlineData("""{"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}""", new[] { 0, 5, 2, 6, 2 }, new[] { 0, 0, 0, 1, 1 })]
    [InlineData("""{"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}""", new[] { 0, 5, 2, 2, 6, 2 }, new[] { 0, 0, 0, 0, 0, 0 })]
    [InlineData("null", new[] { 5, 6 }, new[] { 0, 1 })]
    public void Pairs_are_put_together_as_a_post_processor_says(string processor, int[] ids, int[] types)
    {
        var tokenizer = Changed("opt", json => json["post_processor"] = JsonNode.Parse(processor));
        string first = tokenizer.TokenOf(5)!, second = tokenizer.TokenOf(6)!;
        var input = tokenizer.EncodeInput(first, second);
        Assert.Equal(ids, input.Ids);
        Assert.Equal(types, input.TypeIds);
    }

    [Theory]
    [InlineData("null", 2, 3, 9, "ab|cde")] // enough room
    [InlineData("null", 2, 5, 10, "ab|cdefg")]
    [InlineData("null", 2, 5, 8, "ab|cde")] // only the longer
    [InlineData("null", 5, 2, 8, "abc|fg")]
    [InlineData("null", 4, 5, 8, "ab|efg")] // both: room for 5, 2 and 3
    [InlineData("null", 5, 4, 8, "abc|fg")]
    [InlineData("""{"strategy": "OnlyFirst", "max_length": 1, "stride": 0, "direction": "Right"}""", 4, 3, 8, "ab|efg")]
    [InlineData("""{"strategy": "OnlySecond", "max_length": 1, "stride": 0, "direction": "Left"}""", 3, 4, 8, "abc|fg")] // its first tokens go
    [InlineData("""{"strategy": "LongestFirst", "max_length": 1, "stride": 0, "direction": "Left"}""", 4, 5, 8, "cd|ghi")]
    public void Two_texts_are_shortened_to_a_limit_only_where_there_is_one(string truncation, int first, int second, int limit, string kept)
    {
        // Three special tokens: <s> a </s> b </s>.
        var tokenizer = Changed("opt", json =>
        {
            json["truncation"] = JsonNode.Parse(truncation);
            json["post_processor"] = JsonNode.Parse("""{"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}""");
            json["model"]!["merges"] = new JsonArray();
        });
        string a = "abcdefghi"[..first], b = "abcdefghi"[first..(first + second)];
        var whole = tokenizer.EncodeInput(a, b);
        Assert.Equal(first + second + 3, whole.Ids.Length);
        Assert.Equal(kept, string.Join(Gap, SplitAt(tokenizer.EncodeInput(a, b, maxLength: limit).Ids, tokenizer)));
        Assert.Equal(limit, tokenizer.EncodeInput("abcdefghi", maxLength: limit).Ids.Length);
    }

    [Fact]
    public void A_limit_below_the_special_tokens_is_refused()
    {
        var error = Assert.Throws<InputException>(() => TokenizerFixtures.Load("bert_cased").EncodeInput("a", "b", maxLength: 2));
        Assert.Contains("leaves no room", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_text_become_one_replacement_each()
    {
        var tokenizer = TokenizerFixtures.Load("llama2");
        int Byte(int value) => tokenizer.IdOf($"<0x{value:X2}>")!.Value;
        Assert.Equal("\uFFFD\uFFFDa", tokenizer.Decode([Byte(0xF0), Byte(0x9F), tokenizer.IdOf("a")!.Value]));
        Assert.Equal("😀a", tokenizer.Decode([Byte(0xF0), Byte(0x9F), Byte(0x98), Byte(0x80), tokenizer.IdOf("a")!.Value]));
    }

    private static IEnumerable<string> SplitAt(int[] ids, ITokenizer tokenizer)
    {
        var end = Array.IndexOf(ids, 2);
        yield return tokenizer.Decode(ids.AsSpan(1, end - 1));
        yield return tokenizer.Decode(ids.AsSpan(end + 1, ids.Length - end - 2));
    }

    /// <summary>A byte-level tokenizer gives back what its normalizer made of a text.</summary>
    private static ITokenizer Normalizing(string normalizer) => Changed("gpt2", json => json["normalizer"] = JsonNode.Parse(normalizer));

    /// <summary>Words that aren't in a vocabulary are one unknown token each, whose offsets show the word.</summary>
    private static string[] Words(string preTokenizer, string text) =>
        [.. Unknowing(preTokenizer).EncodeWithOffsets(text).Offsets.Select(offset => text[offset.Start..offset.End])];

    private static ITokenizer Unknowing(string preTokenizer, string normalizer = "null") => Changed("bert_cased", json =>
    {
        json["normalizer"] = JsonNode.Parse(normalizer);
        json["pre_tokenizer"] = JsonNode.Parse(preTokenizer);
        json["model"]!["vocab"] = JsonNode.Parse("""{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}""");
    });

    /// <summary>A unigram vocabulary of given tokens, with an added token "&lt;x&gt;".</summary>
    private static ITokenizer Pieces(string preTokenizer, string[] tokens) => Changed("t5", json =>
    {
        json["normalizer"] = null;
        json["post_processor"] = null;
        json["pre_tokenizer"] = JsonNode.Parse(preTokenizer);
        json["model"]!["vocab"] = new JsonArray([.. tokens.Distinct().Where(token => token != "<x>").Prepend("<unk>").Select((token, i) => new JsonArray(token, -(double)i))]);
        json["model"]!["unk_id"] = 0;
        json["added_tokens"] = JsonNode.Parse($$"""[{"id": {{tokens.Distinct().Append("<unk>").Count() - (tokens.Contains("<x>") ? 1 : 0)}}, "content": "<x>", "special": true, "normalized": false}]""");
    }, configuration: false);

    private static ITokenizer Changed(string name, Action<JsonNode> change, bool configuration = true)
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(name), "tokenizer.json")))!;
        change(json);
        folder.Write("tokenizer.json", json.ToJsonString());
        if (configuration)
            File.Copy(Path.Combine(TokenizerFixtures.FolderOf(name), "tokenizer_config.json"), Path.Combine(folder.Path, "tokenizer_config.json"));
        return TokenizerFolder.Load(folder.Path);
    }
}
