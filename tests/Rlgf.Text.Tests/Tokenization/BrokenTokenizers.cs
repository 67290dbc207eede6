using System.Text;
using System.Text.Json.Nodes;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>Tokenizer files with something wrong, drawn by a seed: parts missing, of other types, too deep, too large, cut off, or about tokens that aren't there.</summary>
internal static class BrokenTokenizers
{
    private static readonly string[] Sources = ["gpt2", "roberta", "llama3", "t5", "llama2", "llama2_metaspace", "bert_uncased", "bert_cased"];

    private static readonly string[] OtherFiles = ["vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model", "tokenizer_config.json"];

    /// <summary>Files of one folder, and what was done to them.</summary>
    public sealed record Folder(string Description, IReadOnlyDictionary<string, byte[]> Files);

    /// <summary>Draws folders.</summary>
    public static IEnumerable<Folder> Generate(int count, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < count; i++)
        {
            var source = Sources[i % Sources.Length];
            yield return i % 3 == 2 ? BreakOther(source, random) : BreakJson(source, random);
        }
    }

    private static Folder BreakJson(string source, Random random)
    {
        var bytes = File.ReadAllBytes(Path.Combine(TokenizerFixtures.FolderOf(source), "tokenizer.json"));
        var configuration = File.ReadAllBytes(Path.Combine(TokenizerFixtures.FolderOf(source), "tokenizer_config.json"));
        string what;
        switch (random.Next(8))
        {
            case 0:
                (bytes, what) = Damage(bytes, random);
                break;
            case 1:
                var depth = random.Next(10, 100_000);
                bytes = Encoding.UTF8.GetBytes($$"""{"model": {{new string('[', depth)}}{{new string(']', depth)}}}""");
                what = $"{depth} arrays deep";
                break;
            case 2:
                var levels = random.Next(2, 40);
                var json = JsonNode.Parse(bytes)!.AsObject();
                var (key, list) = random.Next(3) switch { 0 => ("normalizer", "normalizers"), 1 => ("pre_tokenizer", "pretokenizers"), _ => ("decoder", "decoders") };
                for (var level = 0; level < levels; level++)
                    json[key] = new JsonObject { ["type"] = "Sequence", [list] = new JsonArray(json[key]?.DeepClone() ?? new JsonObject()) };
                bytes = Encoding.UTF8.GetBytes(json.ToJsonString());
                what = $"{key} is {levels} sequences deep";
                break;
            default:
                var tree = JsonNode.Parse(bytes)!;
                what = BreakTree(tree, random);
                bytes = Encoding.UTF8.GetBytes(tree.ToJsonString());
                break;
        }
        return new Folder($"{source}/tokenizer.json: {what}", new Dictionary<string, byte[]> { ["tokenizer.json"] = bytes, ["tokenizer_config.json"] = configuration });
    }

    private static Folder BreakOther(string source, Random random)
    {
        var folder = TokenizerFixtures.FolderOf(source);
        var files = OtherFiles.Where(name => File.Exists(Path.Combine(folder, name))).ToDictionary(name => name, name => File.ReadAllBytes(Path.Combine(folder, name)));
        var name = files.Keys.ElementAt(random.Next(files.Count));
        string what;
        if (name.EndsWith(".json", StringComparison.Ordinal) && random.Next(3) > 0)
        {
            var tree = JsonNode.Parse(files[name])!;
            what = BreakTree(tree, random);
            files[name] = Encoding.UTF8.GetBytes(tree.ToJsonString());
        }
        else
        {
            (files[name], what) = Damage(files[name], random);
        }
        // Half of them where only these files are there, half beside a whole tokenizer.json.
        if (random.Next(2) == 0 || files.Count == 1)
            files["tokenizer.json"] = File.ReadAllBytes(Path.Combine(folder, "tokenizer.json"));
        return new Folder($"{source}/{name}: {what}", files);
    }

    private static (byte[] Bytes, string What) Damage(byte[] bytes, Random random)
    {
        var at = random.Next(bytes.Length);
        switch (random.Next(4))
        {
            case 0:
                return (bytes[..at], $"cut off after {at} bytes");
            case 1:
                var changed = bytes.ToArray();
                for (var i = 0; i < 20; i++)
                    changed[random.Next(changed.Length)] = (byte)random.Next(256);
                return (changed, "20 bytes changed");
            case 2:
                return ([.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(1, 200))..]], $"bytes missing from {at} on");
            default:
                return (random.Next(2) == 0 ? [] : [0xFF, 0xFE, .. bytes], "empty, or begins with other bytes");
        }
    }

    /// <summary>Changes one value somewhere, near the top more often than its share.</summary>
    private static string BreakTree(JsonNode tree, Random random)
    {
        var node = tree;
        var path = "";
        while (true)
        {
            var children = node switch
            {
                JsonObject map => map.Select(entry => (Key: entry.Key, Index: -1, entry.Value)).ToList(),
                JsonArray array => array.Select((value, i) => (Key: $"[{i}]", Index: i, Value: value)).ToList(),
                _ => [],
            };
            if (children.Count == 0)
                return $"{path} is empty already";
            var (key, index, value) = children[random.Next(children.Count)];
            path += $".{key}";
            if (value is JsonObject or JsonArray && random.Next(3) > 0 && (value as JsonArray)?.Count != 0)
            {
                node = value;
                continue;
            }
            if (random.Next(4) == 0)
            {
                if (node is JsonObject owner)
                    owner.Remove(key);
                else
                    node.AsArray().RemoveAt(index);
                return $"{path} removed";
            }
            var replacement = random.Next(12) switch
            {
                0 => null,
                1 => JsonValue.Create(-1),
                2 => JsonValue.Create(4_000_000),
                3 => JsonValue.Create(long.MaxValue),
                4 => JsonValue.Create(1e300),
                5 => JsonValue.Create("no such token"),
                6 => JsonValue.Create("\uD800"),
                7 => JsonValue.Create(true),
                8 => new JsonArray(),
                9 => new JsonObject(),
                10 => JsonValue.Create("Sequence"),
                _ => (JsonNode)new JsonArray("a", 1, new JsonObject { ["type"] = "x" }),
            };
            if (node is JsonObject parent)
                parent[key] = replacement;
            else
                node.AsArray()[index] = replacement;
            return $"{path} = {replacement?.ToJsonString() ?? "null"}";
        }
    }
}
