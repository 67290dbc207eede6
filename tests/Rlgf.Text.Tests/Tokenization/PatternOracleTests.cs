using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Text.Tests.Data;

namespace Rlgf.Text.Tests.Tokenization;

/// <summary>
/// Random expressions and texts against Hugging Face's own tokenizers, by way of the package Tokenizers.DotNet. The package is no dependency: it is looked for in
/// the cache of NuGet, where <c>dotnet package download Tokenizers.DotNet Tokenizers.DotNet.runtime.linux-x64</c> puts it.
/// </summary>
public sealed class PatternOracleTests(ITestOutputHelper output)
{
    private static readonly string[] Parts =
    [
        "a", "b", "ss", "st", "ß", "K", "Σ", "é", "日", "😀", " ", "'", "1", "i\u0307", "ﬁ", ".", @"\w", @"\W", @"\d", @"\s", @"\S", @"\h", @"\R", @"\X", @"\N", @"\O",
        "[[:alpha:]]", "[[:^punct:]]", "[[:upper:]\\d]", @"\p{L}", @"\p{^Lu}", @"\P{N}", @"\p{Han}", @"\p{Alphabetic}", @"\p{Emoji}", "[a-z&&[^aeiou]]", "[^a-c]", "[a[bc]]",
        "[^[^a]]", @"[\w]", @"[^\W_]", "[ß]", "[s-t]", "[😀-😃]", "[^😀]", "[-a]", "[]a]", "[a-[b]]", @"\x{3c3}", @"\u0041", @"\101", @"\xE3\x81\x82", "(?:a|bc)", "(?>ab|a)", "(s)",
    ];

    private static readonly string[] Quantifiers = ["", "", "", "", "*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{,2}", "{2}+", "{2}?", "{3,1}", "{1,2}?", "{,}"];

    private static readonly string[] Places =
    [
        "^", "$", @"\A", @"\z", @"\Z", @"\b", @"\B", @"\G", @"\y", @"\Y", @"\K", "(?=a)", "(?!s)", "(?<=a)", "(?<!s)", "(?<=ab|c)", @"(?<=\s*)", "(?<=a{1,2}b)", "(?~ab)", "(?i)", "(?-i)", "(?m)",
    ];

    private static readonly string[] Letters =
    [
        "a", "b", "c", "s", "S", "ss", "ab", "abc", "ß", "ẞ", "ſ", "ﬁ", "fi", "ﬆ", "K", "k", "Σ", "ς", "é", "e\u0301", "İ", "i\u0307", "日", "本", "ひ", "क्षि", "😀", "👩\u200D👧", "🇩🇪", "𝕏", "²", "½", "Ⅻ", "١",
        "1", "_", "-", ".", "'", " ", "\u00A0", "\u0085", "\u2028", "\r\n", "\n", "\t", "\u00AD",
    ];

    [Fact]
    [Trait("Category", "Long")]
    public void Random_expressions_cut_and_replace_as_in_Hugging_Faces_own_tokenizers()
    {
        if (HuggingFace.TryLoad() is not { } theirs)
        {
            Assert.Skip("The package Tokenizers.DotNet with its library for Linux on x64 isn't in NuGet's cache.");
            return;
        }
        const int Count = 1500;
        var random = new Random(16);
        var (compared, refused) = (0, 0);
        for (var i = 0; i < Count; i++)
        {
            var pattern = string.Join('|', Enumerable.Range(0, random.Next(1, 3)).Select(_ => Branch(random)));
            string[] texts = [.. Enumerable.Range(0, 10).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => Of(Letters, random))))];
            foreach (var json in new[] { Splitting(pattern), Replacing(pattern) })
            {
                var right = theirs.Encode(json, texts);
                try
                {
                    var tokenizer = PatternTokenizers.Read(json);
                    Assert.True(right is not null, $"Hugging Face refuses {pattern}");
                    for (var t = 0; t < texts.Length; t++)
                    {
                        var ids = tokenizer.Encode(texts[t]);
                        Assert.True(right[t].SequenceEqual(ids), $"{pattern} on {JsonValue.Create(texts[t]).ToJsonString()}: {string.Join(' ', ids)}, right: {string.Join(' ', right[t])}");
                    }
                    compared += texts.Length;
                }
                catch (InputException error)
                {
                    Assert.True(right is null || error.Message.Contains("isn't supported", StringComparison.Ordinal), $"{pattern}: {error.Message}");
                    refused++;
                }
            }
        }
        output.WriteLine($"{Count} expressions in two uses: {compared} texts compared, {refused} times refused.");
        Assert.True(compared > Count * 10, "Hardly anything was compared.");
    }

    private static string Branch(Random random) =>
        string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(_ => random.Next(5) == 0 ? Of(Places, random) : Of(Parts, random) + Of(Quantifiers, random)));

    private static string Of(string[] choices, Random random) => choices[random.Next(choices.Length)];

    /// <summary>The tokenizer that splits, with a space put before every piece, so that the ids show where pieces begin.</summary>
    private static string Splitting(string pattern)
    {
        var json = JsonNode.Parse(PatternTokenizers.Json("split", pattern))!;
        json["pre_tokenizer"]!["pretokenizers"]![1]!["add_prefix_space"] = true;
        json["model"]!["merges"] = new JsonArray();
        return json.ToJsonString();
    }

    /// <summary>The tokenizer that replaces, by what no text has.</summary>
    private static string Replacing(string pattern)
    {
        var json = JsonNode.Parse(PatternTokenizers.Json("replace", pattern))!;
        json["normalizer"]!["content"] = "~";
        json["post_processor"] = null;
        return json.ToJsonString();
    }

    /// <summary>The tokenizers library, from the package's two files.</summary>
    private sealed class HuggingFace(Type tokenizer)
    {
        private readonly MethodInfo _encode = tokenizer.GetMethod("Encode", [typeof(string)])!;

        public static HuggingFace? TryLoad()
        {
            var cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
            if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64
                || Newest(Path.Combine(cache, "tokenizers.dotnet"), "Tokenizers.DotNet.dll") is not { } managed
                || Newest(Path.Combine(cache, "tokenizers.dotnet.runtime.linux-x64"), "libhf_tokenizers.so") is not { } native)
                return null;
            var assembly = Assembly.LoadFrom(managed);
            NativeLibrary.SetDllImportResolver(assembly, (_, _, _) => NativeLibrary.Load(native));
            return new HuggingFace(assembly.GetType("Tokenizers.DotNet.Tokenizer")!);
        }

        /// <summary>The ids of texts; null where the file is refused.</summary>
        public List<int[]>? Encode(string json, string[] texts)
        {
            using var folder = new TemporaryFolder();
            object instance;
            try
            {
                instance = Activator.CreateInstance(tokenizer, folder.Write("tokenizer.json", json))!;
            }
            catch (TargetInvocationException)
            {
                return null;
            }
            var ids = texts.Select(text => ((uint[])_encode.Invoke(instance, [text])!).Select(id => (int)id).ToArray()).ToList();
            (instance as IDisposable)?.Dispose();
            return ids;
        }

        private static string? Newest(string package, string file) =>
            Directory.Exists(package) ? Directory.EnumerateFiles(package, file, SearchOption.AllDirectories).Order(StringComparer.Ordinal).LastOrDefault() : null;
    }
}
