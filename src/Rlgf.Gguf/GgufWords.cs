using System.Text.Json.Nodes;

namespace Rlgf.Gguf;

/// <summary>
/// How text is cut into words before a byte-level BPE. A GGUF file has only a name for it (<c>tokenizer.ggml.pre</c>); what stands behind the name is the "pre_tokenizer" section that the models of that name were
/// published with, or where converters have put several under one name, what llama.cpp cuts.
/// </summary>
/// <param name="Name">The name.</param>
/// <param name="Steps">Patterns in turn, each cutting what the one before it left; <see cref="Gpt2"/> and <see cref="Digits"/> stand for steps with a type of their own.</param>
internal sealed record GgufWords(string Name, IReadOnlyList<string> Steps)
{
    /// <summary>GPT-2's words.</summary>
    private const string Gpt2 = "gpt2";

    /// <summary>Every numeral alone.</summary>
    private const string Digits = "digits";

    private const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string Spaces = @"\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string LettersAndMarks = @"[\p{L}\p{M}]+";

    // Capitals and small letters apart: a word is capitals then small letters, with one of the two at least.
    private const string Upper = @"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    private const string CasedBefore = @"[^\r\n\p{L}\p{N}]?";

    private const string ChineseAndJapanese = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+";
    private const string Bloom = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+";

    private static readonly string[] DeepSeek3 =
    [
        @"\p{N}{1,3}", ChineseAndJapanese,
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?" + LettersAndMarks + @"| ?[\p{P}\p{S}]+[\r\n]*|" + Spaces,
    ];

    private static readonly Dictionary<string, GgufWords> Known = Table().ToDictionary(words => words.Name, StringComparer.Ordinal);

    /// <summary>Whether a word that is a token is that token, whatever the merges make of it.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>Whether a text begins with the begin token where no key says.</summary>
    public bool AddsBos { get; init; }

    /// <summary>Whether characters are composed first (NFC).</summary>
    public bool Composes { get; init; }

    /// <summary>All of them; of those that are the same, the one first whose name is best known.</summary>
    public static IEnumerable<GgufWords> Named => Table();

    /// <summary>All names.</summary>
    public static IEnumerable<string> Names => Known.Keys;

    /// <summary>
    /// What llama.cpp does where a file has no name or "default": runs of punctuation and symbols, then GPT-2's words, then digits by three. It was made for no model in particular; of most, it cuts what they were taught except for
    /// numbers and punctuation.
    /// </summary>
    public static GgufWords Default { get; } = new("default", [@"[\p{P}\$\+<=>\^~\|]+", Gpt2, @"\p{N}+", "[0-9][0-9][0-9]"]);

    /// <summary>The words behind a name; null where it isn't known.</summary>
    public static GgufWords? Find(string name) => Known.GetValueOrDefault(name);

    /// <summary>The "pre_tokenizer" section.</summary>
    public JsonObject ToJson()
    {
        var endsInGpt2 = Steps[^1] == Gpt2;
        var last = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = endsInGpt2 };
        JsonNode[] before = [.. (endsInGpt2 ? Steps.SkipLast(1) : Steps).Select(Step)];
        return before.Length == 0 ? last : new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray([.. before, last]) };
    }

    /// <summary>The way back of <see cref="ToJson"/>: what a part of a "pre_tokenizer" section does, in the words of <see cref="Steps"/>.</summary>
    /// <param name="part">A part that isn't a sequence.</param>
    /// <param name="step">The step; null where the part cuts nothing.</param>
    /// <returns>Whether it is a part that can be among these.</returns>
    public static bool StepOf(JsonObject part, out string? step)
    {
        step = null;
        switch ((string?)part["type"])
        {
            case "ByteLevel" when (bool?)part["add_prefix_space"] != true:
                step = (bool?)part["use_regex"] == false ? null : Gpt2;
                return true;
            case "Digits" when (bool?)part["individual_digits"] == true:
                step = Digits;
                return true;
            // What isn't removed of what a pattern doesn't fit is what it fits; these patterns fit all.
            case "Split" when ((string?)part["behavior"], (bool?)part["invert"] == true) is ("Isolated", _) or ("Removed", true):
                step = (string?)part["pattern"]?["Regex"];
                if (step == Gpt2Pattern) step = Gpt2;
                return step is not null;
            default:
                return false;
        }
    }

    private static JsonObject Step(string step) => step switch
    {
        Digits => new JsonObject { ["type"] = "Digits", ["individual_digits"] = true },
        Gpt2 => Split(Gpt2Pattern),
        _ => Split(step),
    };

    private static JsonObject Split(string pattern) => new() { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated", ["invert"] = false };

    /// <summary>The pattern of cl100k and what was made of it.</summary>
    /// <param name="digits">The digits of one word.</param>
    /// <param name="letters">The letters of one.</param>
    /// <param name="beginning">Contractions and whatever comes before letters.</param>
    /// <param name="others">What is neither letter, digit nor white space.</param>
    private static string Cl100k(string digits, string letters = @"\p{L}+", string beginning = Contractions + "|", string others = @" ?[^\s\p{L}\p{N}]+[\r\n]*") =>
        $@"{beginning}[^\r\n\p{{L}}\p{{N}}]?{letters}|{digits}|{others}|{Spaces}";

    /// <summary>The pattern of o200k, which keeps contractions with their word, and of Mistral's Tekken, which has none.</summary>
    private static string Cased(string digits, string contractions) =>
        $@"{CasedBefore}{Upper}*{Lower}+{contractions}|{CasedBefore}{Upper}+{Lower}*{contractions}|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{Spaces}";

    private static IEnumerable<GgufWords> Table() =>
    [
        .. Of([Gpt2], "gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "exaone4", "gigachat", "a.x-4.0", "mellum", "modern-bert", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de"),
        .. Of([Digits, Gpt2], "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"),
        .. Of([Cl100k(@"\p{N}{1,3}")], "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano").Select(words => words with { IgnoresMerges = true, AddsBos = true }),
        .. Of([Cl100k(@"\p{N}{1,3}")], "dbrx", "smaug-bpe", "chatglm-bpe"),
        .. Of([Cl100k(@"\p{N}{1,3}")], "glm4").Select(words => words with { IgnoresMerges = true }),
        .. Of([@"\p{N}{1,3}", Cl100k(@"\p{N}+")], "minicpm5").Select(words => words with { IgnoresMerges = true }),
        .. Of([Cl100k(@"\p{N}")], "qwen2").Select(words => words with { Composes = true }),
        .. Of([Cl100k(@"\p{N}")], "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "megrez", "hunyuan", "solar-open", "grok-2"),
        .. Of([Cl100k(@"\p{N}", LettersAndMarks, others: @" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*")], "qwen35").Select(words => words with { Composes = true }),
        .. Of([Cl100k(@"\p{N}", beginning: "")], "ufakzeka"),
        .. Of(["[^\\n]+|[\\n]+", Cl100k(@"\p{N}")], "laguna"),
        .. Of([Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|" + Spaces], "seed-coder"),
        .. Of([@"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"], "bailingmoe", "bailingmoe2", "llada-moe"),
        .. Of([Cased(@"\p{N}", "")], "tekken").Select(words => words with { IgnoresMerges = true, AddsBos = true }),
        .. Of([Cased(@"\p{N}{1,3}", Contractions + "?")], "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"),
        .. Of(DeepSeek3, "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"),
        .. Of([@"[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", Digits], "deepseek-coder"),
        .. Of([@"[\p{P}\$\+<=>\^~\|`]+", Gpt2, "[0-9][0-9][0-9]"], "falcon"),
        .. Of([Bloom], "bloom", "poro-chat", "gpt3-finnish"),
        .. Of([Bloom, @"\p{N}"], "viking"),
    ];

    private static IEnumerable<GgufWords> Of(IReadOnlyList<string> steps, params string[] names) => names.Select(name => new GgufWords(name, steps));
}
