using System.Text;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>One small <c>tokenizer.json</c> for each part that the tokenizers library can write, and sentencepiece models with each setting, against the libraries themselves.</summary>
public sealed class TokenizerPartTests
{
    private static readonly JsonObject Parts = Read("parts.json");
    private static readonly JsonObject SentencePiece = Read("sentencepiece.json");

    public static TheoryData<string> Names => [.. Parts["tokenizers"]!.AsArray().Select(tokenizer => (string)tokenizer!["name"]!)];

    public static TheoryData<string, string> Settings => [.. SentencePiece["models"]!.AsArray().Select(model => ((string)model!["file"]!, (string)model["name"]!))];

    [Theory]
    [MemberData(nameof(Names))]
    public void Ids_offsets_and_texts_are_those_of_the_tokenizers_library(string name)
    {
        var (tokenizer, expected) = Load(name);
        foreach (var entry in expected["cases"]!.AsArray())
        {
            var text = (string)entry!["text"]!;
            if (entry["error"] is not null)
            {
                var error = Assert.Throws<InputException>(() => tokenizer.Encode(text));
                Assert.StartsWith("the tokenizer's vocabulary can't spell \"", error.Message, StringComparison.Ordinal);
                continue;
            }
            var encoded = tokenizer.EncodeWithOffsets(text);
            Assert.Equal((text, Ids(entry["ids"])), (text, string.Join(' ', encoded.Ids)));
            Assert.Equal(encoded.Ids, tokenizer.Encode(text));
            Assert.Equal((text, Ids(entry["special"])), (text, string.Join(' ', tokenizer.Encode(text, addSpecialTokens: true))));
            if (entry["offsets"] is { } offsets)
                Assert.Equal((text, string.Join(' ', offsets.AsArray().Select(offset => ((int)offset![0]!, (int)offset[1]!)))), (text, string.Join(' ', encoded.Offsets)));
            Assert.Equal((text, (string)entry["decoded"]!), (text, tokenizer.Decode(encoded.Ids, skipSpecialTokens: false)));
        }
        foreach (var pair in expected["pairs"]!.AsArray())
        {
            var input = tokenizer.EncodeInput((string)pair!["first"]!, (string)pair["second"]!);
            Assert.Equal((Ids(pair["ids"]), Ids(pair["types"])), (string.Join(' ', input.Ids), string.Join(' ', input.TypeIds)));
        }
        foreach (var decoding in expected["decodings"]!.AsArray())
        {
            int[] ids = [.. decoding!["ids"]!.AsArray().Select(id => (int)id!)];
            var text = (string)decoding["text"]!;
            Assert.Equal((Ids(decoding["ids"]), text), (Ids(decoding["ids"]), tokenizer.Decode(ids, skipSpecialTokens: false)));
            var stream = new StreamingDecoder(tokenizer, skipSpecialTokens: false);
            Assert.Equal(text, string.Concat(ids.Select(stream.Append)) + stream.Finish());
        }
    }

    public static TheoryData<string> Decoders =>
        [.. Parts["tokenizers"]!.AsArray().Where(tokenizer => tokenizer!["decodings"]!.AsArray().Count > 0).Select(tokenizer => (string)tokenizer!["name"]!)];

    [Theory]
    [MemberData(nameof(Decoders))]
    public void Text_that_comes_token_by_token_is_that_of_all_tokens_at_once(string name)
    {
        var (tokenizer, _) = Load(name);
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
        {
            int[] ids = [.. Enumerable.Range(0, random.Next(1, 12)).Select(_ => random.Next(tokenizer.VocabularySize))];
            var stream = new StreamingDecoder(tokenizer, skipSpecialTokens: false);
            Assert.Equal((string.Join(' ', ids), tokenizer.Decode(ids, skipSpecialTokens: false)), (string.Join(' ', ids), string.Concat(ids.Select(stream.Append)) + stream.Finish()));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void No_offset_is_between_the_halves_of_a_character(string name)
    {
        var (tokenizer, _) = Load(name);
        foreach (var text in (string[])["😀", "a😀b 𠀀 𝕏x", "𠀀𠀀 \U0001F469\u200D\U0001F469 e\u0301", " 😀 <x>😀<x> ", "😀ab ab😀"])
        {
            if (Record.Exception(() => tokenizer.Encode(text)) is InputException)
                continue;
            foreach (var (start, end) in tokenizer.EncodeWithOffsets(text).Offsets)
            {
                Assert.True(start <= end, $"{text}: {start} to {end}");
                Assert.All((int[])[start, end], at => Assert.False(at > 0 && at < text.Length && char.IsSurrogatePair(text, at - 1), $"{text}: {start} to {end}"));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void Sentencepiece_models_give_the_ids_of_sentencepiece_whatever_their_settings(string file, string name)
    {
        var model = SentencePiece["models"]!.AsArray().First(model => (string)model!["file"]! == file && (string)model["name"]! == name)!;
        var content = File.ReadAllBytes(TokenizerFixtures.FolderOf(file));
        using var folder = new TemporaryFolder();
        folder.Write(Path.GetFileName(file), [.. content, .. Convert.FromHexString((string)model["append"]!)]);
        var tokenizer = TokenizerFolder.Load(folder.Path);
        foreach (var entry in model["cases"]!.AsArray())
        {
            var text = (string)entry!["text"]!;
            Assert.Equal((text, Ids(entry["ids"])), (text, string.Join(' ', tokenizer.Encode(text))));
        }
    }

    [Theory]
    // normalizer_spec (field 3) and denormalizer_spec (field 5); trainer_spec is field 2.
    [InlineData("t5/spiece.model", "1a022800", "spiece.model: keeps spaces as they are (normalizer_spec.escape_whitespaces is false), which isn't supported")]
    [InlineData("llama2/tokenizer.model", "2a03120161", "tokenizer.model: rewrites decoded text (denormalizer_spec.precompiled_charsmap), which isn't supported")]
    [InlineData("llama2/tokenizer.model", "1203c00101", "tokenizer.model: puts spaces after words (trainer_spec.treat_whitespace_as_suffix), which isn't supported")]
    [InlineData("llama2/tokenizer.model", "12021804", "tokenizer.model: trainer_spec.model_type is 4, which isn't supported")]
    public void Settings_of_sentencepiece_that_are_not_used_are_refused(string file, string append, string message)
    {
        using var folder = new TemporaryFolder();
        folder.Write(Path.GetFileName(file), [.. File.ReadAllBytes(TokenizerFixtures.FolderOf(file)), .. Convert.FromHexString(append)]);
        var error = Assert.Throws<InputException>(() => TokenizerFolder.Load(folder.Path));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("t5/spiece.model", "▁film", 47)]
    [InlineData("llama2/tokenizer.model", "▁film", 358)]
    public void Pieces_that_sentencepiece_marks_as_unused_are_never_given(string file, string piece, int id)
    {
        using var folder = new TemporaryFolder();
        var content = File.ReadAllBytes(TokenizerFixtures.FolderOf(file));
        folder.Write(Path.GetFileName(file), content);
        Assert.Contains(id, TokenizerFolder.Load(folder.Path).Encode("the film"));

        // The piece's message: its text, a score, and its kind, which is last here and not written where it is the usual one.
        byte[] text = [0x0A, (byte)Encoding.UTF8.GetByteCount(piece), .. Encoding.UTF8.GetBytes(piece)];
        var at = content.AsSpan().IndexOf(text);
        Assert.True(at > 2 && content[at - 2] == 0x0A && content[at - 1] == text.Length + 5);
        List<byte> changed = [.. content];
        changed.InsertRange(at + text.Length + 5, [0x18, 0x05]);
        changed[at - 1] += 2;
        folder.Write(Path.GetFileName(file), [.. changed]);
        var tokenizer = TokenizerFolder.Load(folder.Path);
        Assert.DoesNotContain(id, tokenizer.Encode("the film"));
        Assert.DoesNotContain(id, tokenizer.EncodeContinuation("the film"));
        Assert.Equal(piece, tokenizer.TokenOf(id));
    }

    public static TheoryData<string, string[]> TextFiles => new()
    {
        { "gpt2", ["tokenizer.json", "tokenizer_config.json"] },
        { "gpt2", ["vocab.json", "merges.txt", "tokenizer_config.json"] },
        { "bert_cased", ["vocab.txt", "tokenizer_config.json"] },
    };

    [Theory]
    [MemberData(nameof(TextFiles))]
    public void A_byte_order_mark_before_a_file_is_no_part_of_it(string name, string[] files)
    {
        using var folder = new TemporaryFolder();
        foreach (var file in files)
            folder.Write(file, [.. Encoding.UTF8.Preamble, .. File.ReadAllBytes(Path.Combine(TokenizerFixtures.FolderOf(name), file))]);
        var tokenizer = TokenizerFolder.Load(folder.Path);
        Assert.Equal(TokenizerFixtures.Load(name).VocabularySize, tokenizer.VocabularySize);
        Assert.All(TokenizerFixtures.Cases(name).Cases.Take(20), expected => Assert.Equal(expected.IdsSpecial, tokenizer.Encode(expected.Text, addSpecialTokens: true)));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama2")]
    public void A_byte_order_mark_in_a_text_is_a_character_like_any_other(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        Assert.Equal("\uFEFFa film\uFEFF", tokenizer.Decode(tokenizer.Encode("\uFEFFa film\uFEFF")));
        Assert.Equal([(0, 1), (0, 1), (0, 1)], tokenizer.EncodeWithOffsets("\uFEFFa").Offsets.Where(offset => offset.Start == 0 && offset.End == 1).TakeLast(3));
    }

    private static JsonObject Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("parts"), file)))!.AsObject();

    private static string Ids(JsonNode? ids) => string.Join(' ', ids!.AsArray().Select(id => (int)id!));

    private static (ITokenizer Tokenizer, JsonNode Expected) Load(string name)
    {
        var expected = Parts["tokenizers"]!.AsArray().First(tokenizer => (string)tokenizer!["name"]! == name)!;
        var json = expected["tokenizer"]!.DeepClone();
        // A vocabulary that many use is written once.
        if (json["model"]!.GetValueKind() == System.Text.Json.JsonValueKind.String)
            json["model"] = Parts["models"]![((string)json["model"]!)[1..]]!.DeepClone();
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json.ToJsonString());
        return (TokenizerFolder.Load(folder.Path), expected);
    }
}
