using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Tokenizers.Parts;

namespace Rlgf.Tokenizers.Training;

/// <summary>A trained tokenizer in the files that the <c>tokenizers</c> and <c>transformers</c> libraries read.</summary>
internal static class TrainedTokenizerFiles
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Makes the files; the special tokens follow <paramref name="vocabulary"/>.</summary>
    public static TokenizerFiles Make(IReadOnlyList<string> vocabulary, IReadOnlyList<(string Left, string Right)> merges, BpeTrainerOptions options)
    {
        var addedTokens = new JsonArray();
        var allTokens = new JsonObject();
        for (var id = 0; id < vocabulary.Count; id++)
            allTokens.Add(vocabulary[id], id);
        var modelTokens = allTokens.DeepClone();
        foreach (var token in options.SpecialTokens)
        {
            addedTokens.Add(Special(token, allTokens.Count));
            allTokens.Add(token, allTokens.Count);
        }

        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = addedTokens,
            ["normalizer"] = null,
            ["pre_tokenizer"] = ByteLevel(trimOffsets: true),
            ["post_processor"] = ByteLevel(trimOffsets: false),
            ["decoder"] = ByteLevel(trimOffsets: true),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = modelTokens,
                ["merges"] = new JsonArray([.. merges.Select(merge => new JsonArray(merge.Left, merge.Right))]),
            },
        };
        var mergeLines = new StringBuilder("#version: 0.2\n");
        foreach (var (left, right) in merges)
            mergeLines.Append(left).Append(' ').Append(right).Append('\n');

        return TokenizerFiles.InMemory("trained tokenizer", new Dictionary<string, byte[]>
        {
            [TokenizerFiles.Tokenizer] = Bytes(tokenizer),
            [TokenizerFiles.Vocabulary] = Bytes(allTokens),
            [TokenizerFiles.Merges] = Encoding.UTF8.GetBytes(mergeLines.ToString()),
            [TokenizerFiles.Configuration] = Bytes(Configuration(options)),
        });
    }

    private static JsonObject Special(string token, int id) => new()
    {
        ["id"] = id,
        ["content"] = token,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    };

    private static JsonObject Configuration(BpeTrainerOptions options) => new()
    {
        ["add_prefix_space"] = false,
        ["bos_token"] = options.BosToken,
        ["clean_up_tokenization_spaces"] = false,
        ["eos_token"] = options.EosToken,
        ["pad_token"] = options.PadToken,
        ["tokenizer_class"] = "GPT2Tokenizer",
        ["unk_token"] = options.EosToken,
    };

    private static JsonObject ByteLevel(bool trimOffsets) => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = trimOffsets,
        ["use_regex"] = true,
    };

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString(Json) + "\n");
}
