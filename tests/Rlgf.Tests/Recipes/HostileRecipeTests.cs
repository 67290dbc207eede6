using System.Diagnostics;
using System.Text;
using Rlgf.Base;
using Rlgf.Recipes;
using Rlgf.Text.Data;

namespace Rlgf.Tests.Recipes;

/// <summary>Recipes that nobody writes on purpose, or that somebody writes on purpose to break the program: one line each, soon.</summary>
public sealed class HostileRecipeTests : IDisposable
{
    private const string Least = "kind: sft\nname: a\nmodel: {kind: folder, path: m}\ndata: {path: d}\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("rlgf-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    [InlineData("? ")]
    public void Depth_has_a_limit(string opening)
    {
        var message = Refusal("kind: sft\na:\n  " + string.Concat(Enumerable.Repeat(opening, 20_000)));
        Assert.StartsWith("r.yaml:3: a", message, StringComparison.Ordinal);
        Assert.Contains("inside each other", message, StringComparison.Ordinal);
        Assert.StartsWith("--set a=", Refusal(Least, "a=" + string.Concat(Enumerable.Repeat(opening, 20_000))), StringComparison.Ordinal);
    }

    [Fact]
    public void Depth_by_indentation_and_by_the_path_of_a_change_has_the_same_limit()
    {
        Assert.StartsWith("r.yaml:41: a.a.a.", Refusal(string.Join('\n', Enumerable.Range(0, 1000).Select(i => new string(' ', i) + "a:"))), StringComparison.Ordinal);
        Assert.Contains("20001 keys below each other", Refusal(Least, string.Concat(Enumerable.Repeat("a.", 20_000)) + "a=1"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_sum_of_sums_as_deep_as_anyone_needs_is_read()
    {
        var reward = "{kind: length, target_tokens: 5}";
        for (var level = 0; level < 10; level++) reward = $"{{kind: sum, parts: [{{name: p, reward: {reward}}}]}}";
        Assert.IsType<TrainRecipe>(RecipeFile.Parse<RunRecipe>(
            $"kind: train\nname: a\nmodel: {{path: m}}\ndata: {{path: d}}\ngeneration: {{max_new_tokens: 8}}\nreward: {reward}\nalgorithm: {{name: ppo}}\niterations: 1\nrows_per_iteration: 8\n", "r.yaml"));
    }

    [Fact]
    public void Aliases_are_refused_before_they_grow()
    {
        var bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + string.Join('\n', Enumerable.Range(1, 30).Select(i => $"{(char)('a' + i % 26)}{i}: &v{i} [*a, *a, *a, *a, *a, *a, *a, *a, *a]"));
        Assert.StartsWith("r.yaml:1: a: anchors (&) and aliases (*) aren't used", Refusal(bomb), StringComparison.Ordinal);
        Assert.StartsWith("r.yaml:2: b.0: anchors", Refusal("a: 1\nb: [*a]"), StringComparison.Ordinal);
        Assert.StartsWith("r.yaml:2: unknown key '<<'", Refusal("kind: sft\n<<: {name: b}"), StringComparison.Ordinal);
    }

    [Fact]
    public void Size_has_a_limit_and_what_is_within_it_is_judged_soon()
    {
        var clock = Stopwatch.StartNew();
        Assert.Equal("r.yaml:1: longer than 1024 KiB, which no recipe is", Refusal(new string('x', 1_100_000)));
        Assert.Contains("unknown key 'k0'", Refusal("kind: sft\n" + string.Join('\n', Enumerable.Range(0, 80_000).Select(i => $"k{i}: 1"))), StringComparison.Ordinal);
        Assert.Contains("is there twice", Refusal(string.Join('\n', Enumerable.Range(0, 80_000).Select(i => $"k{i}: 1").Append("k7: 1"))), StringComparison.Ordinal);
        Assert.InRange(Refusal(Least + new string('k', 900_000) + ": 1").Length, 10, 400);
        Assert.InRange(Refusal(Least + "seed: " + new string('9', 900_000)).Length, 10, 400);
        Assert.InRange(Refusal(Least, "name." + new string('9', 900_000) + "=1").Length, 10, 400);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), $"took {clock.Elapsed}");
    }

    [Fact]
    public void A_file_without_end_or_too_long_is_refused()
    {
        Assert.EndsWith("r.yaml: longer than 1024 KiB, which no recipe is", FileRefusal(new byte[1025 * 1024]), StringComparison.Ordinal);
        if (!File.Exists("/dev/zero")) Assert.Skip("needs /dev/zero");
        Assert.StartsWith("/dev/zero: is a device, and a file is needed", Assert.Throws<InputException>(() => RecipeFile.Load<RunRecipe>("/dev/zero")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_not_UTF_8_are_named_with_line_and_place()
    {
        Assert.Equal("r.yaml:2: not UTF-8: byte 19 is 0xE9; save the file in UTF-8", FileRefusal([.. "kind: sft\nname: caf"u8, 0xE9, .. "\n"u8])[(_folder.Length + 1)..]);
        Assert.Equal("r.yaml:1: not UTF-8: byte 0 is 0xFF; save the file in UTF-8", FileRefusal(Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes(Least)).ToArray())[(_folder.Length + 1)..]);
        Assert.Contains("r.yaml:1: holds the control character U+0000", FileRefusal(Encoding.Unicode.GetBytes(Least)), StringComparison.Ordinal);
        Assert.Contains("r.yaml:3: holds the control character U+001B", FileRefusal("kind: sft\nname: a\nseed: \e[2J\n"u8.ToArray()), StringComparison.Ordinal);
        Assert.Contains("r.yaml:2: not UTF-8: byte 13", FileRefusal([0xEF, 0xBB, 0xBF, .. "kind: sft\n"u8, 0x80]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_order_mark_of_UTF_8_is_no_text()
    {
        var path = Path.Combine(_folder, "r.yaml");
        File.WriteAllText(path, Least, new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        Assert.Equal("a", RecipeFile.Load<RunRecipe>(path).Name);
    }

    [Theory]
    [InlineData(2, "name: a\n\tseed: 3\n")]
    [InlineData(2, "model:\n\tpath: x\nname: a\n")]
    [InlineData(3, "a:\n  b: 1\n\tc: 2\nd: 1\n")]
    [InlineData(3, "a:\n  - 1\n\t- 2\nd: 1\n")]
    [InlineData(8, "kind: train\nname: a\nseed: 1\nmodel:\n  path: x\n\n\n \ttokenizer: y\ndata: {path: a}\n")]
    [InlineData(3, "a:\n  b: 1\n  \tc: 2\nd: 1\n")]
    [InlineData(4, "# \t a\na: 1\n# b\n\tb: 2\n")]
    [InlineData(5, "a: |\n  text\n   \tin a text\nb: 1\n\tc: 1\n")]
    public void A_tab_is_reported_at_its_own_line(int line, string text) => Assert.StartsWith($"r.yaml:{line}: not valid YAML: the line is indented by a tab", Refusal(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("name:\ta\nkind:\tsft\n")]
    [InlineData("kind: sft\nname: [a,\n\tb]\n")]
    [InlineData("kind: sft # a\tb\nname: \"x\n\ty\"\n")]
    public void A_tab_where_YAML_takes_one_is_none_of_our_business(string text) => Assert.DoesNotContain("tab", Refusal(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("../../evil")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("a/b")]
    [InlineData("/etc/x")]
    [InlineData("a\\\\b")]
    [InlineData("C:evil")]
    [InlineData("a..b")]
    [InlineData(".hidden")]
    [InlineData("ends with a dot.")]
    [InlineData(" a")]
    [InlineData("a ")]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("a\\0b")]
    [InlineData("a\\nb")]
    [InlineData("a\\e[2Jb")]
    [InlineData("a\\u202eb")]
    [InlineData("a\\u200bb")]
    [InlineData("NUL")]
    [InlineData("con")]
    [InlineData("Com7.old.txt")]
    [InlineData("lpt¹")]
    [InlineData("conin$")]
    [InlineData("a?")]
    [InlineData("a|b")]
    public void A_name_is_no_path_and_holds_nothing_unseen_or_reserved(string name)
    {
        Assert.StartsWith("r.yaml:2: name ", Refusal($"kind: sft\nname: \"{name}\"\n"), StringComparison.Ordinal);
        Assert.StartsWith("--set name=\"", Refusal(Least, $"name=\"{name}\""), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("quickstart-ppo")]
    [InlineData("tiny classifier")]
    [InlineData("Größe 2, v1.5 (α = 0.5)")]
    [InlineData("映画")]
    [InlineData("comet")]
    [InlineData("com10")]
    [InlineData("a.nul")]
    public void Other_names_are_taken(string name) => Assert.Equal(name, RecipeFile.Parse<RunRecipe>(Least, "r.yaml", [$"name={name}"]).Name);

    [Fact]
    public void A_name_has_a_length_that_file_systems_take()
    {
        Assert.Equal(200, RecipeFile.Parse<RunRecipe>(Least, "r.yaml", ["name=" + new string('x', 200)]).Name.Length);
        Assert.Contains("name is longer than 200 bytes", Refusal(Least, "name=" + new string('x', 201)), StringComparison.Ordinal);
        Assert.Contains("name is longer than 200 bytes", Refusal(Least, "name=" + new string('猫', 70)), StringComparison.Ordinal);
        Assert.InRange(Refusal(Least, "name=" + new string('x', 100_000)).Length, 20, 200);
    }

    [Fact]
    public void An_output_that_is_empty_or_unseen_is_refused()
    {
        Assert.Equal("r.yaml:5: output is empty", Refusal(Least + "output: \"\"\n"));
        Assert.Equal("--set output='  ': output is empty", Refusal(Least, "output='  '"));
        Assert.Contains("output holds the invisible character U+0000", Refusal(Least, "output=\"a\\0b\""), StringComparison.Ordinal);
        Assert.Equal("../elsewhere/run", RecipeFile.Parse<RunRecipe>(Least, "r.yaml", ["output=../elsewhere/run"]).Output);
    }

    [Fact]
    public void A_change_is_shown_on_one_line_and_not_whole()
    {
        var message = Refusal(Least, "seed=a\nb\n" + new string('x', 5000));
        Assert.StartsWith("--set seed=a b x", message, StringComparison.Ordinal);
        Assert.InRange(message.Length, 20, 300);
    }

    [Fact]
    public void Filters_have_a_limit_of_depth_and_length()
    {
        Assert.Contains("r.yaml:4: data.filter: filter '", Refusal(Least.Replace("{path: d}", $"{{path: d, filter: \"{new string('(', 5000)}\"}}", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("inside each other", RowFilter.Problem(new string('!', 5000) + "a"), StringComparison.Ordinal);
        Assert.Contains("at most 10,000", RowFilter.Problem(new string('(', 200_000)), StringComparison.Ordinal);
        Assert.Null(RowFilter.Problem(string.Join(" && ", Enumerable.Repeat("!(a == 1)", 500))));
        Assert.NotNull(RowFilter.Problem("a < 1e999"));
    }

    [Fact]
    public void Whatever_is_changed_in_a_recipe_it_is_read_or_refused_by_its_file()
    {
        var root = Repository.Root;
        var recipes = Directory.EnumerateFiles(Path.Combine(root, "recipes"), "*.yaml", SearchOption.AllDirectories).Order().Select(File.ReadAllText).ToArray();
        var random = new RandomStream(seed: 11);
        const string Pieces = ":-[]{}#&*!|>'\"%@`,?\t\n ~=0aé\\";
        for (var round = 0; round < 3000; round++)
        {
            var text = new StringBuilder(recipes[random.NextInt32(recipes.Length)]);
            for (var edits = 1 + random.NextInt32(4); edits > 0; edits--)
            {
                var at = random.NextInt32(text.Length);
                var piece = Pieces[random.NextInt32(Pieces.Length)];
                switch (random.NextInt32(4))
                {
                    case 0: text.Insert(at, piece); break;
                    case 1: text[at] = piece; break;
                    case 2: text.Remove(at, Math.Min(1 + random.NextInt32(8), text.Length - at)); break;
                    default: text.Insert(at, text.ToString(Math.Max(0, at - 12), Math.Min(12, at))); break;
                }
            }

            try
            {
                RecipeFile.Parse<RunRecipe>(text.ToString(), "r.yaml");
            }
            catch (InputException refusal)
            {
                Assert.Matches(@"^r\.yaml:\d+: ", refusal.Message);
            }
        }
    }

    private static string Refusal(string text, params string[] changes)
    {
        var message = Assert.Throws<InputException>(() => RecipeFile.Parse<RunRecipe>(text, "r.yaml", [.. changes])).Message;
        Assert.DoesNotContain(message, char.IsControl);
        return message;
    }

    private string FileRefusal(byte[] bytes)
    {
        var path = Path.Combine(_folder, "r.yaml");
        File.WriteAllBytes(path, bytes);
        return Assert.Throws<InputException>(() => RecipeFile.Load<RunRecipe>(path)).Message;
    }
}
