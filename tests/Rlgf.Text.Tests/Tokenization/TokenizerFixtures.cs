using System.Text.Json;
using System.Text.Json.Serialization;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>The tokenizers in fixtures/tokenizers and what the transformers library makes of the texts in their cases.json.</summary>
internal static class TokenizerFixtures
{
    /// <summary>Tokenizers whose tokens spell bytes.</summary>
    public static readonly string[] ByteLevel = ["gpt2", "gpt_neox", "roberta", "opt", "llama3", "qwen2"];

    /// <summary>All.</summary>
    public static readonly string[] Names = [.. ByteLevel, "t5", "llama2", "llama2_metaspace", "bert_uncased", "bert_cased"];

    public static string FolderOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "tokenizers", name);

    public static ITokenizer Load(string name) => TokenizerFolder.Load(FolderOf(name));

    public static CaseFile Cases(string name) => JsonSerializer.Deserialize<CaseFile>(File.ReadAllText(Path.Combine(FolderOf(name), "cases.json")))!;

    public sealed record CaseFile(
        [property: JsonPropertyName("vocab_size")] int VocabularySize,
        [property: JsonPropertyName("special_ids")] Dictionary<string, int> SpecialIds,
        [property: JsonPropertyName("cases")] Case[] Cases,
        [property: JsonPropertyName("pairs")] Pair[] Pairs);

    public sealed record Case(
        [property: JsonPropertyName("text")] string Text,
        [property: JsonPropertyName("ids")] int[] Ids,
        [property: JsonPropertyName("ids_special")] int[] IdsSpecial,
        [property: JsonPropertyName("tokens")] string[] Tokens,
        [property: JsonPropertyName("offsets_utf16")] int[][] Offsets,
        [property: JsonPropertyName("decode")] string Decode,
        [property: JsonPropertyName("decode_skip_special")] string DecodeSkipSpecial,
        [property: JsonPropertyName("decode_ids")] string DecodeIds);

    public sealed record Pair(
        [property: JsonPropertyName("first")] string First,
        [property: JsonPropertyName("second")] string Second,
        [property: JsonPropertyName("ids_special")] int[] IdsSpecial,
        [property: JsonPropertyName("token_type_ids")] int[] TypeIds);
}
