using Rlgf.Base;
using Rlgf.Recipes;

namespace Rlgf.Tests.Recipes;

public sealed class RecipeBinderTests
{
    private const string Complete = """
        # A comment.
        name: demo
        seed: 18446744073709551615
        size: {width: 3, unit: big_unit}
        rate: 1e-3
        limit: null
        words: [a, "b c", '1']
        shape:
          kind: circle
          radius: 2.5
        shapes:
          - {kind: square, side: 1}
          - kind: circle
            radius: 0.5
        """;

    [Fact]
    public void Every_kind_of_value_is_bound_and_what_is_left_out_keeps_its_default()
    {
        var demo = Parse<Demo>(Complete, "demo.yaml");
        Assert.Equal("demo", demo.Name);
        Assert.Equal(ulong.MaxValue, demo.Seed);
        Assert.Equal(new Size(3, Unit.BigUnit, 7), demo.Size);
        Assert.Equal(0.001, demo.Rate);
        Assert.Null(demo.Limit);
        Assert.Equal(["a", "b c", "1"], demo.Words);
        Assert.Equal(new Circle { Radius = 2.5 }, demo.Shape);
        Assert.Equal([new Square { Side = 1 }, new Circle { Radius = 0.5 }], demo.Shapes);
        Assert.True(demo.Flag);
        Assert.Equal(5, demo.Options.Count);
    }

    [Theory]
    [InlineData("name: demo", "nmae: demo", "demo.yaml:2: unknown key 'nmae'; did you mean 'name'?")]
    [InlineData("width: 3", "widht: 3", "demo.yaml:4: unknown key 'size.widht'; did you mean 'width'?")]
    [InlineData("side: 1", "edges: 1", "demo.yaml:12: unknown key 'shapes.0.edges'; there is kind, side")]
    [InlineData("radius: 2.5", "radius: 2.5\n  side: 1", "demo.yaml:11: unknown key 'shape.side'; there is kind, radius")]
    [InlineData("name: demo", "", "demo.yaml:3: missing key 'name'")]
    [InlineData("side: 1", "", "demo.yaml:12: missing key 'shapes.0.side' of the kind 'square'")]
    [InlineData("kind: circle\n  radius: 2.5", "radius: 2.5", "demo.yaml:9: missing key 'shape.kind', one of: circle, square")]
    [InlineData("kind: square", "kind: cube", "demo.yaml:12: shapes.0.kind: expected one of: circle, square; found 'cube'")]
    [InlineData("rate: 1e-3", "rate: fast", "demo.yaml:5: rate: expected a number, such as 0.7; found 'fast'")]
    [InlineData("rate: 1e-3", "rate: .inf", "demo.yaml:5: rate: expected a number, such as 0.7; found '.inf'")]
    [InlineData("rate: 1e-3", "rate: 1.5", "demo.yaml:5: rate is 1.5; it must be at most 1")]
    [InlineData("radius: 0.5", "radius: 0", "demo.yaml:14: shapes.1.radius is 0; it must be above 0")]
    [InlineData("rate: 1e-3", "rate: '0.5'", "demo.yaml:5: rate: '0.5' is in quotes, which makes it text; write 0.5 without them")]
    [InlineData("rate: 1e-3", "rate:", "demo.yaml:5: rate has no value")]
    [InlineData("rate: 1e-3", "rate: 1e-3\nrate: 2e-3", "demo.yaml:6: the key 'rate' is there twice, first at demo.yaml:5")]
    [InlineData("rate: 1e-3", "flag: yes", "demo.yaml:5: flag: expected true or false; found 'yes'")]
    [InlineData("seed: 18446744073709551615", "seed: -1", "demo.yaml:3: seed: expected a whole number, 0 or more; found '-1'")]
    [InlineData("width: 3", "width: 3.0", "demo.yaml:4: size.width: expected a whole number; found '3.0'")]
    [InlineData("unit: big_unit", "unit: BigUnit", "demo.yaml:4: size.unit: expected one of: small_unit, big_unit; found 'BigUnit'")]
    [InlineData("size: {width: 3, unit: big_unit}", "size: 3", "demo.yaml:4: size: expected a section (keys and values); found '3'")]
    [InlineData("words: [a, \"b c\", '1']", "words: a", "demo.yaml:7: words: expected a list; found 'a'")]
    [InlineData("words: [a, \"b c\", '1']", "words: [[a]]", "demo.yaml:7: words.0: expected text; found a list")]
    [InlineData("words: [a, \"b c\", '1']", "words: []", "demo.yaml:7: words: there must be one at least")]
    [InlineData("words: [a, \"b c\", '1']", "words: &anchor [a]", "demo.yaml:7: words: anchors (&) and aliases (*) aren't used in recipes; write the value where it is needed, in quotes if it is text")]
    [InlineData("words: [a, \"b c\", '1']", "words: !!str a", "demo.yaml:7: words: tags (!) aren't used in recipes; put text that begins with ! in quotes")]
    public void A_mistake_is_one_line_with_file_line_and_key(string right, string wrong, string message)
    {
        Assert.Contains(right, Complete, StringComparison.Ordinal);
        AssertMessage(message, Complete.Replace(right, wrong, StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_not_one_YAML_section_is_refused()
    {
        AssertMessage("demo.yaml: the recipe is empty", "");
        AssertMessage("demo.yaml: the recipe is empty", "# nothing\n");
        AssertMessage("demo.yaml:1: the recipe: expected a section (keys and values); found a list", "[1, 2]");
        AssertMessage("demo.yaml:2: a second document begins; a recipe is one", "name: a\n---\nname: b\n");
        Assert.StartsWith("demo.yaml:", Error("name: [a, b\nseed: 3\n").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_override_replaces_or_adds_a_value_anywhere()
    {
        var demo = Parse<Demo>(
            Complete, "demo.yaml", ["size.width=9", "options.count=2", "shapes.1.radius=4", "shape={kind: square, side: 8}", "name=x=y", "limit=6", "words=[]", "words=[z]"]);
        Assert.Equal(9, demo.Size.Width);
        Assert.Equal(2, demo.Options.Count);
        Assert.Equal(new Circle { Radius = 4 }, demo.Shapes[1]);
        Assert.Equal(new Square { Side = 8 }, demo.Shape);
        Assert.Equal("x=y", demo.Name);
        Assert.Equal(6, demo.Limit);
        Assert.Equal(["z"], demo.Words);
    }

    [Theory]
    [InlineData("size.widht=2", "--set size.widht=2: unknown key 'size.widht'; did you mean 'width'?")]
    [InlineData("size.width=x", "--set size.width=x: size.width: expected a whole number; found 'x'")]
    [InlineData("options.cuont=x", "--set options.cuont=x: unknown key 'options.cuont'; did you mean 'count'?")]
    [InlineData("shapes.2.side=1", "--set shapes.2.side=1: '2' is no item of a list of 2; items are numbered from 0")]
    [InlineData("name.first=1", "--set name.first=1: there is nothing below the value 'demo', so 'first' can't be set")]
    [InlineData("name", "--set name: expected PATH=VALUE, such as update.epochs=2")]
    [InlineData("=3", "--set =3: expected PATH=VALUE, such as update.epochs=2")]
    public void A_mistake_in_an_override_names_the_override(string change, string message) =>
        Assert.Equal(message, Assert.Throws<InputException>(() => Parse<Demo>(Complete, "demo.yaml", [change])).Message);

    [Fact]
    public void A_written_recipe_spells_out_every_default_and_reads_back_to_the_same_values()
    {
        string[] nasty = ["", " ", "null", "true", "1.5", "a: b", "# no comment", "it's", "\"quoted\"", "line\nbreak", "- item", "é 猫 😀", "~", "&a", "*a", "!t", "{x}", "100%", "a\\b"];
        var demo = Parse<Demo>(Complete, "demo.yaml") with { Words = nasty, Rate = 0.1 + 0.2 };
        var written = RecipeFile.Write(demo, Kinds);
        Assert.Contains("options:\n  count: 5\n", written, StringComparison.Ordinal);
        Assert.Contains("\nlimit: null\n", written, StringComparison.Ordinal);
        var read = Parse<Demo>(written, "written.yaml");
        Assert.Equal(nasty, read.Words);
        Assert.Equal(demo.Shapes, read.Shapes);
        Assert.Equal(demo, read with { Words = demo.Words, Shapes = demo.Shapes });
    }

    [Fact]
    public void A_relative_path_is_looked_for_from_the_current_folder_and_then_beside_the_recipe()
    {
        var folder = Directory.CreateTempSubdirectory("rlgf-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "data.jsonl"), "");
            var recipe = Path.Combine(folder, "r.yaml");
            File.WriteAllText(recipe, "file: data.jsonl\n");
            Assert.Equal(Path.Combine(folder, "data.jsonl"), RecipeFile.Load<Paths>(recipe).File);
            Assert.Equal("nowhere.jsonl", RecipeFile.Load<Paths>(recipe, ["file=nowhere.jsonl"]).File);
            Assert.Equal(folder, RecipeFile.Load<Paths>(recipe, [$"file={folder}"]).File);
            Assert.Equal($"{folder}/no.yaml: there is no such recipe", Assert.Throws<InputException>(() => RecipeFile.Load<Paths>(folder + "/no.yaml")).Message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_derived_record_asked_for_by_itself_takes_its_own_kind_only()
    {
        Assert.Equal(2, Parse<Circle>("kind: circle\nradius: 2", "c.yaml").Radius);
        Assert.Equal(
            "c.yaml:1: kind: expected one of: circle; found 'square'", Assert.Throws<InputException>(() => Parse<Circle>("kind: square\nside: 2", "c.yaml")).Message);
    }

    private static readonly PartKinds Kinds = new PartKinds().Closed(typeof(Shape), ("circle", typeof(Circle)), ("square", typeof(Square)));

    private static T Parse<T>(string text, string name, IEnumerable<string>? changes = null)
        where T : class => RecipeFile.Parse<T>(text, name, changes?.Select(change => (RecipeChange)change), Kinds);

    private static InputException Error(string text)
    {
        var error = Assert.Throws<InputException>(() => Parse<Demo>(text, "demo.yaml"));
        Assert.DoesNotContain('\n', error.Message);
        return error;
    }

    private static void AssertMessage(string message, string text) => Assert.Equal(message, Error(text).Message);

    public enum Unit
    {
        SmallUnit,
        BigUnit,
    }

    public sealed record Demo : ICheckedSection
    {
        public required string Name { get; init; }

        public ulong Seed { get; init; }

        public Size Size { get; init; } = new(1, Unit.SmallUnit);

        [Limits(AtLeast = 0, AtMost = 1)]
        public double Rate { get; init; } = 0.5;

        public int? Limit { get; init; } = 3;

        public bool Flag { get; init; } = true;

        public IReadOnlyList<string> Words { get; init; } = ["x"];

        public Shape? Shape { get; init; }

        public IReadOnlyList<Shape> Shapes { get; init; } = [];

        public Options Options { get; init; } = new();

        public IEnumerable<(string Key, string Problem)> Problems()
        {
            if (Words.Count == 0) yield return ("words", "there must be one at least");
        }
    }

    public sealed record Size(int Width, Unit Unit, int Depth = 7);

    public sealed record Options
    {
        public int Count { get; init; } = 5;
    }

    public abstract record Shape;

    public sealed record Circle : Shape
    {
        [Limits(Above = 0)]
        public required double Radius { get; init; }
    }

    public sealed record Square : Shape
    {
        public required int Side { get; init; }
    }

    public sealed record Paths
    {
        [RecipePath]
        public required string File { get; init; }
    }
}
