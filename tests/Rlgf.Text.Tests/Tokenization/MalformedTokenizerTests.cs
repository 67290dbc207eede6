using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

public sealed class MalformedTokenizerTests
{
    private const string Vocabulary = """{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}""";

    [Fact]
    public void A_folder_that_is_not_there_is_named()
        => Refuses(Path.Combine(AppContext.BaseDirectory, "nowhere"), "nowhere: there is no such folder");

    [Theory]
    [InlineData(null, null, "vocab.json: no such file; a tokenizer needs tokenizer.json, or vocab.json with merges.txt")]
    [InlineData(Vocabulary, null, "merges.txt: no such file")]
    [InlineData("""{"a": 0, "b": """, "a b\n", "vocab.json:1: not valid JSON at byte ")]
    [InlineData("""{"a": 0, "b": "one"}""", "a b\n", "vocab.json: b must be a token id")]
    [InlineData("""{"a": 0, "b": -1}""", "a b\n", "vocab.json: b must be a token id")]
    [InlineData("{}", "", "vocab.json: has no tokens")]
    [InlineData("[]", "", "vocab.json: must be a JSON object")]
    [InlineData(Vocabulary, "#version: 0.2\na b\na c\n", "merges.txt: line 3 merges \"a\" and \"c\", but \"c\" isn't in the vocabulary")]
    [InlineData(Vocabulary, "#version: 0.2\nb a\n", "merges.txt: line 2 merges \"b\" and \"a\", but \"ba\" isn't in the vocabulary")]
    [InlineData(Vocabulary, "a b c\n", "merges.txt: line 1 must be two tokens with a space between them")]
    public void Broken_vocabularies_and_merges_are_refused_by_file_and_place(string? vocabulary, string? merges, string message)
    {
        using var folder = new TemporaryFolder();
        if (vocabulary is not null)
            folder.Write("vocab.json", vocabulary);
        if (merges is not null)
            folder.Write("merges.txt", merges);
        Refuses(folder.Path, message);
    }

    [Theory]
    [InlineData("model.vocab", "null", "model lacks \"vocab\"")]
    [InlineData("model.merges", "null", "model lacks \"merges\"")]
    [InlineData("model.merges", "[[\"a\", \"nope\"]]", "model.merges[0] merges \"a\" and \"nope\", but \"nope\" isn't in the vocabulary")]
    [InlineData("model.merges", "[[\"a\"]]", "model.merges[0] must be a pair of tokens")]
    [InlineData("model.dropout", "0.1", "model.dropout isn't supported")]
    [InlineData("pre_tokenizer", "{\"type\": \"Magic\"}", "pre_tokenizer is of type \"Magic\", which isn't supported")]
    [InlineData("pre_tokenizer", "{\"type\": \"Metaspace\", \"replacement\": \"_\", \"add_prefix_space\": false, \"prepend_scheme\": \"first\"}", "pre_tokenizer.prepend_scheme contradicts \"add_prefix_space\", which is false")]
    [InlineData("version", "\"2.0\"", "version is \"2.0\", which isn't known; \"1.0\" is")]
    [InlineData("pre_tokenizer", "{\"type\": \"Metaspace\"}", "pre_tokenizer lacks \"replacement\"")]
    [InlineData("pre_tokenizer", "{\"type\": \"Metaspace\", \"replacement\": \"__\"}", "pre_tokenizer.replacement must be one character")]
    [InlineData("pre_tokenizer", "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"x(y\"}, \"behavior\": \"Isolated\"}", "pre_tokenizer.pattern.Regex is a regular expression with a parenthesis that nothing closes (character 2)")]
    [InlineData("model.type", "\"Magic\"", "model is of type \"Magic\", which isn't supported; BPE, Unigram, WordPiece and WordLevel are")]
    [InlineData("model.type", "\"Unigram\"", "model.vocab must be an array")]
    [InlineData("model.type", "\"WordPiece\"", "model lacks \"unk_token\"")]
    [InlineData("pre_tokenizer", "{\"type\": \"FixedLength\", \"length\": 0}", "pre_tokenizer.length must be at least 1")]
    [InlineData("decoder", "{\"type\": \"Magic\"}", "decoder is of type \"Magic\", which isn't supported; ByteLevel, ")]
    [InlineData("decoder", "{\"type\": \"BPEDecoder\", \"suffix\": \"\"}", "decoder.suffix must not be empty")]
    [InlineData("decoder", "{\"type\": \"CTC\", \"pad_token\": \"<pad>\"}", "decoder lacks \"word_delimiter_token\"")]
    [InlineData("decoder", "[{\"type\": \"Fuse\"}]", "decoder must be an object")]
    [InlineData("post_processor", "{\"type\": \"Sequence\", \"processors\": [{\"type\": \"BertProcessing\", \"cls\": [\"a\", 0], \"sep\": [\"a\", 0]}, {\"type\": \"BertProcessing\", \"cls\": [\"a\", 0], \"sep\": [\"a\", 0]}]}",
        "post_processor.processors[1] is of type \"BertProcessing\" after another that adds special tokens, which isn't supported; one is")]
    [InlineData("normalizer", "{\"type\": \"Magic\"}", "normalizer is of type \"Magic\", which isn't supported")]
    [InlineData("normalizer", "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"ALwCAACE\"}", "normalizer.precompiled_charsmap must be a compiled table")]
    [InlineData("post_processor", "{\"type\": \"Magic\"}", "post_processor is of type \"Magic\", which isn't supported")]
    [InlineData("post_processor", "{\"type\": \"RobertaProcessing\", \"cls\": [\"<s>\"], \"sep\": [\"</s>\", 2]}", "post_processor.cls must be a token and its id")]
    [InlineData("post_processor", "{\"type\": \"RobertaProcessing\", \"cls\": [\"<s>\", 9999], \"sep\": [\"</s>\", 2]}", "post_processor adds id 9999, which no token has")]
    [InlineData("post_processor", "{\"type\": \"TemplateProcessing\", \"single\": [], \"pair\": []}", "post_processor.single must have text \"A\" once")]
    [InlineData("added_tokens", "[{\"id\": 3}]", "added_tokens[0] lacks \"content\"")]
    public void What_tokenizer_json_can_not_say_is_refused_by_key(string key, string value, string message)
    {
        using var folder = new TemporaryFolder();
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json")))!;
        var keys = key.Split('.');
        var parent = keys.Length == 1 ? json : json[keys[0]]!;
        parent[keys[^1]] = JsonNode.Parse(value);
        folder.Write("tokenizer.json", json.ToJsonString());
        Refuses(folder.Path, "tokenizer.json: " + message);
    }

    [Fact]
    public void A_truncated_tokenizer_json_is_refused_with_the_line()
    {
        using var folder = new TemporaryFolder();
        var text = File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json"));
        folder.Write("tokenizer.json", text[..(text.Length / 2)]);
        Refuses(folder.Path, ": not valid JSON at byte ");
    }

    [Fact]
    public void Another_class_without_tokenizer_json_is_refused()
    {
        using var folder = new TemporaryFolder();
        folder.Write("vocab.json", Vocabulary);
        folder.Write("merges.txt", "a b\n");
        folder.Write("tokenizer_config.json", """{"tokenizer_class": "CLIPTokenizerFast"}""");
        Refuses(folder.Path, "tokenizer_class \"CLIPTokenizer\" can't be read from vocab.json with merges.txt alone, without tokenizer.json");
    }

    [Theory]
    [InlineData("\"content\": \"<|endoftext|>\"", "\"content\": \"\\ud800\"", "tokenizer.json: added_tokens[0].content has characters that aren't valid")]
    [InlineData("\"vocab\": {", "\"vocab\": {\"\\ud800\": 5, ", "tokenizer.json: model.vocab has characters that aren't valid")]
    [InlineData("\"vocab\": {", "\"vocab\": {\"x\": 16777215, ", "tokenizer.json: model.vocab.x must be a token id")]
    public void Characters_and_ids_that_can_not_be_are_refused(string old, string replacement, string message)
    {
        using var folder = new TemporaryFolder();
        var text = File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("gpt2"), "tokenizer.json"));
        Assert.Contains(old, text, StringComparison.Ordinal);
        folder.Write("tokenizer.json", text.Replace(old, replacement, StringComparison.Ordinal));
        Refuses(folder.Path, message);
    }

    [Fact]
    public void A_small_file_can_not_ask_for_large_texts()
    {
        var long1 = new string('x', 300);
        Refuses("t5", "normalizer.content must have at most 256 characters", json => json["normalizer"] = JsonNode.Parse($$"""{"type": "Replace", "pattern": {"String": "a"}, "content": "{{long1}}"}"""));
        Refuses("t5", "normalizer.prepend must have at most 256 characters", json => json["normalizer"] = JsonNode.Parse($$"""{"type": "Prepend", "prepend": "{{long1}}"}"""));
        Refuses("t5", "model.vocab[3][0] must have at most 256 characters", json => json["model"]!["vocab"]![3]![0] = long1);
        Refuses("bert_cased", "model.max_input_chars_per_word must be at most 1000", json => json["model"]!["max_input_chars_per_word"] = 100000);
        Refuses("opt", "post_processor.single adds more than 100 special tokens", json => json["post_processor"]!["special_tokens"]!["</s>"]!["ids"] = new JsonArray([.. Enumerable.Repeat(0, 101).Select(_ => JsonValue.Create(2))]));

        static void Refuses(string name, string message, Action<JsonNode> change)
        {
            using var folder = new TemporaryFolder();
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf(name), "tokenizer.json")))!;
            change(json);
            folder.Write("tokenizer.json", json.ToJsonString());
            MalformedTokenizerTests.Refuses(folder.Path, "tokenizer.json: " + message);
        }
    }

    [Fact]
    public void Broken_files_of_every_kind_load_all_the_same_or_end_in_one_error()
    {
        var refused = 0;
        var texts = TokenizerFixtures.Cases("gpt2").Cases.Select(expected => expected.Text).Concat(NastyTexts.Generate(20, seed: 9)).ToArray();
        foreach (var broken in BrokenTokenizers.Generate(240, seed: 10))
        {
            using var folder = new TemporaryFolder();
            foreach (var (name, content) in broken.Files)
                folder.Write(name, content);
            RequireSoonAndSmall(broken, folder.Path);
            try
            {
                var tokenizer = TokenizerFolder.Load(folder.Path);
                foreach (var text in texts)
                {
                    var ids = tokenizer.EncodeInput(text, text, maxLength: 64).Ids;
                    Assert.All(ids, id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
                    tokenizer.Decode(tokenizer.EncodeContinuation(text));
                    tokenizer.EncodeWithOffsets(text);
                }
            }
            catch (InputException error)
            {
                refused++;
                Assert.DoesNotContain('\n', error.Message);
            }
            catch (Exception error) when (error is not Xunit.Sdk.IAssertionException)
            {
                Assert.Fail($"{broken.Description}: {error}");
            }
        }
        Assert.InRange(refused, 120, 240);
    }

    /// <summary>Loads it once for what that takes. This thread alone works on it, so what it allocates bounds the memory; the processor's time is the process's, and others may be at work on the machine.</summary>
    private static void RequireSoonAndSmall(BrokenTokenizers.Folder broken, string folder)
    {
        var size = broken.Files.Values.Sum(content => (long)content.Length);
        var (time, allocated) = (Environment.CpuUsage.TotalTime, GC.GetAllocatedBytesForCurrentThread());
        _ = Record.Exception(() => TokenizerFolder.Load(folder));
        var (seconds, megabytes) = ((Environment.CpuUsage.TotalTime - time).TotalSeconds, (GC.GetAllocatedBytesForCurrentThread() - allocated - size) / 1e6);
        Assert.True(seconds <= 2, $"{broken.Description}: {seconds:0.0} s");
        Assert.True(megabytes <= 200, $"{broken.Description}: {megabytes:0} MB above the files' size");
    }

    [Fact]
    public void Saving_into_a_folder_that_is_not_there_is_refused()
    {
        var error = Assert.Throws<InputException>(() => TokenizerFixtures.Load("gpt2").Save(Path.Combine(AppContext.BaseDirectory, "nowhere")));
        Assert.Contains("no such folder", error.Message, StringComparison.Ordinal);
    }

    private static void Refuses(string folder, string message)
    {
        var error = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }
}
