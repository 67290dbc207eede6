using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Text.Tests.Data;
using Rlgf.Tokenizers;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>Tokenizers around one regular expression.</summary>
internal static class PatternTokenizers
{
    public static string PathOf(string file) => Path.Combine(AppContext.BaseDirectory, "fixtures", "regex", file);

    /// <summary>The tokenizer of fixtures/regex with an expression in it.</summary>
    /// <param name="use">"split" or "replace".</param>
    /// <param name="pattern">The expression.</param>
    public static string Json(string use, string pattern) =>
        File.ReadAllText(PathOf($"regex.{use}.tokenizer.json")).Replace("\"PATTERN\"", JsonSerializer.Serialize(pattern), StringComparison.Ordinal);

    public static ITokenizer Load(string use, string pattern) => Read(Json(use, pattern));

    /// <summary>Words by a pre-tokenizer, one unknown token each, whose offsets show the word.</summary>
    public static ITokenizer Words(string preTokenizer)
    {
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerFixtures.FolderOf("bert_cased"), "tokenizer.json")))!;
        json["normalizer"] = null;
        json["post_processor"] = null;
        json["pre_tokenizer"] = JsonNode.Parse(preTokenizer);
        json["model"]!["vocab"] = JsonNode.Parse("""{"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}""");
        return Read(json.ToJsonString());
    }

    public static ITokenizer Read(string json)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json);
        return TokenizerFolder.Load(folder.Path);
    }
}
