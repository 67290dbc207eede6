using System.Text.Json.Nodes;

namespace Rlgf.Cli.Tests;

/// <summary><c>rlgf metrics</c>. The metrics themselves are compared in Rlgf.Text.Tests; here are files, their rows, and the whole way on the fixtures' corpus scores.</summary>
public sealed class MetricsTests
{
    private static readonly string[] Predictions = ["""{"id": "a", "text": "the cat sat on the mat"}""", """{"id": "b", "text": "a dog"}""", """{"id": "c", "text": ""}"""];

    private static readonly string[] References =
        ["""{"id": "c", "references": ["nothing at all"]}""", """{"id": "a", "references": ["the cat sat on a mat"]}""", """{"id": "b", "references": ["a dog", "the dog"]}"""];

    [Fact]
    public void Corpus_scores_are_those_of_the_reference_libraries()
    {
        using var scratch = new Scratch();
        var items = Golden("items")["items"]!.AsArray();
        var predictions = scratch.Write("p.jsonl", [.. items.Select(item => new JsonObject { ["id"] = item!["id"]!.DeepClone(), ["text"] = item["hypothesis"]!.DeepClone() }.ToJsonString())]);
        // In another order: ids decide.
        var references = scratch.Write("r.jsonl", [.. items.Reverse().Select(item => new JsonObject { ["id"] = item!["id"]!.DeepClone(), ["references"] = item["references"]!.DeepClone() }.ToJsonString())]);
        var result = Run("--predictions", predictions, "--references", references);
        var cider = Golden("cider")["mean"]!["own_frequencies"]!;
        var rouge = Golden("rouge")["mean_of_multi"]!["no_stemmer"]!;
        (string Name, JsonNode Expected)[] expected =
        [
            ("bleu", Golden("sacrebleu")["corpus"]!["13a"]!["all_references"]!["score"]!), ("chrf", Golden("chrf")["corpus"]!["chrF"]!["all_references"]!),
            ("chrf++", Golden("chrf")["corpus"]!["chrF++"]!["all_references"]!), ("ter", Golden("ter")["corpus"]!["ter"]!["all_references"]!["score"]!),
            ("rouge1", rouge["rouge1"]!["fmeasure"]!), ("rouge2", rouge["rouge2"]!["fmeasure"]!), ("rougeL", rouge["rougeL"]!["fmeasure"]!), ("rougeLsum", rouge["rougeLsum"]!["fmeasure"]!),
            ("meteor", Golden("meteor_nltk")["mean"]!["without_wordnet"]!["default"]!), ("cider", cider["cider"]!), ("cider_d", cider["cider_d"]!),
            .. Enumerable.Range(1, 4).Select(n => ($"bleu_coco_{n}", Golden("coco_bleu")["corpus"]![n - 1]!)),
            ("distinct_2", Golden("diversity")["corpora"]![0]!["ngrams"]!["distinct-2"]!),
        ];
        foreach (var (name, value) in expected)
        {
            var corpus = result["corpus"]![name]!;
            Assert.Equal(value.GetValue<double>(), corpus["value"]!.GetValue<double>(), 1e-9 * Math.Max(1, value.GetValue<double>()));
            if (name != "distinct_2") Assert.InRange(corpus["value"]!.GetValue<double>(), corpus["low"]!.GetValue<double>(), corpus["high"]!.GetValue<double>());
        }

        Assert.Equal(items.Select(item => item!["id"]!.GetValue<int>()), result["rows"]!.AsArray().Select(row => row!["id"]!.GetValue<int>()));
    }

    [Fact]
    public void Rows_are_matched_by_id_or_by_place()
    {
        using var scratch = new Scratch();
        var result = Run("--predictions", scratch.Write("p.jsonl", Predictions), "--references", scratch.Write("r.jsonl", References), "--metrics", "rouge1,distinct_1");
        // By hand: 5 of 6 words both ways; all; none.
        Assert.Equal("""[{"id":"a","rouge1":0.8333333333333334,"distinct_1":0.8333333333333334},{"id":"b","rouge1":1,"distinct_1":1},{"id":"c","rouge1":0,"distinct_1":null}]""", result["rows"]!.ToJsonString());
        Assert.Equal((5 / 6.0 + 1 + 0) / 3, result["corpus"]!["rouge1"]!["value"]!.GetValue<double>(), 1e-12);
        Assert.Equal("""{"value":0.875,"low":null,"high":null}""", result["corpus"]!["distinct_1"]!.ToJsonString());

        var byPlace = Run("--predictions", scratch.Write("p.jsonl", """{"text": "a dog"}"""), "--references", scratch.Write("r.jsonl", """{"references": "a dog"}"""), "--metrics", "rougeL");
        Assert.Equal("""{"corpus":{"rougeL":{"value":1,"low":null,"high":null}},"rows":[{"rougeL":1}]}""", byPlace.ToJsonString());
    }

    [Fact]
    public void Intervals_depend_on_the_seed_alone()
    {
        using var scratch = new Scratch();
        string[] files = ["--predictions", scratch.Write("p.jsonl", Predictions), "--references", scratch.Write("r.jsonl", References), "--metrics", "chrf"];
        Assert.Equal(Run([.. files, "--seed", "3"]).ToJsonString(), Run([.. files, "--seed", "3"]).ToJsonString());
        Assert.Null(Run([.. files, "--resamples", "0"])["corpus"]!["chrf"]!["low"]);
    }

    [Fact]
    public void Rare_words_are_counted_where_one_says()
    {
        using var scratch = new Scratch();
        string[] files = ["--predictions", scratch.Write("p.jsonl", """{"text": "a dog"}"""), "--references", scratch.Write("r.jsonl", """{"references": ["a dog"]}"""), "--metrics", "cider_d"];
        // One item alone has no rare words. Among two of which one has them all: each n-gram of 1 and 2 words weighs the same in both texts, and there are none of 3 and 4.
        Assert.Equal(0, Run(files)["rows"]![0]!["cider_d"]!.GetValue<double>());
        var corpus = scratch.Write("f.jsonl", """{"references": ["a dog"]}""", """{"references": ["some cat"]}""");
        Assert.Equal(5, Run([.. files, "--frequencies", corpus])["rows"]![0]!["cider_d"]!.GetValue<double>(), 1e-9);
    }

    [Fact]
    public void Coverage_and_novelty_read_what_they_are_given()
    {
        using var scratch = new Scratch();
        var predictions = scratch.Write("p.jsonl", """{"text": "two geese ran"}""");
        var references = scratch.Write("r.jsonl", """{"references": ["geese run"], "concepts": ["goose", "run", "car"]}""");
        Assert.Equal(2 / 3.0, Run("--predictions", predictions, "--references", references, "--metrics", "coverage")["rows"]![0]!["coverage"]!.GetValue<double>(), 1e-12);
        var known = scratch.Write("k.jsonl", """{"text": "two geese sat"}""");
        Assert.Equal(0.5, Run("--predictions", predictions, "--known", known, "--metrics", "novelty_2")["rows"]![0]!["novelty_2"]!.GetValue<double>());
    }

    [Fact]
    public void Perplexity_is_that_of_score()
    {
        using var scratch = new Scratch();
        var texts = scratch.Write("p.jsonl", """{"text": "This movie was one of the best films"}""", """{"text": "A"}""", """{"text": "bbb"}""");
        Assert.Equal(ExitCode.Ok, Cli.Run("score", "--model", Fixtures.Model("gpt2"), "--input", texts, "--output", scratch["s.jsonl"]).Code);
        var scores = Fixtures.Rows(scratch["s.jsonl"]);
        var result = Run("--predictions", texts, "--metrics", "perplexity", "--model", Fixtures.Model("gpt2"));
        for (var row = 0; row < 3; row++)
            Assert.Equal(scores[row]["perplexity"]?.GetValue<double>() ?? -1, result["rows"]![row]!["perplexity"]?.GetValue<double>() ?? -1, 1e-2);
        var (sum, tokens) = (scores.Sum(row => row["sum"]!.GetValue<double>()), scores.Sum(row => row["log_probs"]!.AsArray().Count));
        Assert.Equal(1, result["corpus"]!["perplexity"]!["value"]!.GetValue<double>() / Math.Exp(-sum / tokens), 1e-4);
    }

    [Theory]
    [InlineData("--metrics: there is no metric 'blue'; did you mean 'bleu'?", "--metrics", "blue")]
    [InlineData("--metrics: 'bleu' is named twice", "--metrics", "bleu,chrf,bleu")]
    [InlineData("--stem is for rouge1, rouge2, rougeL, rougeLsum, which is not among the metrics asked for", "--metrics", "bleu", "--stem")]
    [InlineData("--model is for perplexity, which is not among the metrics asked for", "--metrics", "bleu", "--model", "m")]
    [InlineData("--resamples -1: expected 0 to 1000000", "--resamples", "-1")]
    public void Wrong_use_is_one_line(string said, params string[] options)
    {
        using var scratch = new Scratch();
        string[] files = ["metrics", "--predictions", scratch.Write("p.jsonl", Predictions), "--references", scratch.Write("r.jsonl", References)];
        Assert.Equal($"error: {said}", Cli.Run([.. files, .. options]).OneErrorLine(ExitCode.WrongUse));
    }

    [Fact]
    public void Results_go_into_a_device_as_they_are_and_take_no_name_from_it()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "There is no /dev/full here.");
        using var scratch = new Scratch();
        string[] command = ["metrics", "--predictions", scratch.Write("p.jsonl", Predictions), "--metrics", "distinct_1", "--output"];
        var printed = Cli.Run([.. command, "-"]);
        Assert.Equal(ExitCode.Ok, printed.Code);
        Assert.Equal(printed.Output, Cli.Run([.. command, "/dev/stdout"]).Output);
        Assert.Contains("the disk is full", Cli.Run([.. command, "/dev/full"]).Error, StringComparison.Ordinal);
        Assert.True(Rlgf.Base.RegularFile.IsSpecial("/dev/full"));
    }

    [Fact]
    public void A_metric_of_references_needs_them()
    {
        using var scratch = new Scratch();
        Assert.Equal("error: --metrics: chrf needs --references", Cli.Run("metrics", "--predictions", scratch.Write("p.jsonl", Predictions), "--metrics", "distinct_1,chrf").OneErrorLine(ExitCode.WrongUse));
    }

    [Theory]
    [InlineData("r.jsonl:2: the id 'a' is that of r.jsonl:1 too", null, """{"id": "a", "references": ["x"]}""", """{"id": "a", "references": ["x"]}""")]
    [InlineData("p.jsonl:2: r.jsonl has no row with the id 'b'", null, """{"id": "a", "references": ["x"]}""", """{"id": "c", "references": ["x"]}""")]
    [InlineData("r.jsonl:4: p.jsonl has no row with the id 'd'", null,
        """{"id": "a", "references": ["x"]}""", """{"id": "b", "references": ["x"]}""", """{"id": "c", "references": ["x"]}""", """{"id": "d", "references": ["x"]}""")]
    [InlineData("r.jsonl:2: there is no id, and other rows of r.jsonl have one: give one to each row or to none", null, """{"id": "a", "references": ["x"]}""", """{"references": ["x"]}""")]
    [InlineData("p.jsonl has ids and r.jsonl has none: give both, to match rows by them, or none, to match rows by their place", null, """{"references": ["x"]}""")]
    [InlineData("p.jsonl has 1 rows and r.jsonl 2: rows without ids are matched by their place, so that there must be as many", """{"text": "x"}""", """{"references": ["x"]}""", """{"references": ["x"]}""")]
    [InlineData("r.jsonl:1: column 'references': there is no reference; give one at least, or leave out the row and its prediction", """{"text": "x"}""", """{"references": []}""")]
    [InlineData("r.jsonl:1: no column 'references'; did you mean 'reference'?", """{"text": "x"}""", """{"reference": ["x"]}""")]
    [InlineData("p.jsonl:1: no column 'text'; there is id, response", """{"id": 1, "response": "x"}""", """{"id": 1, "references": ["x"]}""")]
    [InlineData("p.jsonl:1: column 'id': expected a text or a whole number", """{"id": [1], "text": "x"}""", """{"id": 1, "references": ["x"]}""")]
    [InlineData("p.jsonl: there are no rows", "", """{"references": ["x"]}""")]
    public void Rows_that_do_not_match_are_one_line_with_their_place(string said, string? prediction, params string[] references)
    {
        using var scratch = new Scratch();
        var (p, r) = (scratch.Write("p.jsonl", prediction is null ? Predictions : [prediction]), scratch.Write("r.jsonl", references));
        var line = Cli.Run("metrics", "--predictions", p, "--references", r, "--metrics", "bleu").OneErrorLine(ExitCode.Failed);
        Assert.Equal($"error: {said}", line.Replace(p, "p.jsonl", StringComparison.Ordinal).Replace(r, "r.jsonl", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("bertscore", "bertscore needs an encoder: name its folder with --encoder")]
    [InlineData("perplexity", "perplexity needs a language model: name its folder with --model")]
    [InlineData("spice", "spice needs the Java program of its authors (spice-1.0.jar with its lib folder): name it with --spice")]
    [InlineData("novelty_1", "novelty_1 needs texts that are known: name their file with --known")]
    public void What_a_metric_needs_is_said(string metric, string said)
    {
        using var scratch = new Scratch();
        Assert.Equal($"error: {said}", Cli.Run("metrics", "--predictions", scratch.Write("p.jsonl", Predictions), "--references", scratch.Write("r.jsonl", References), "--metrics", metric).OneErrorLine(ExitCode.Failed));
    }

    [Fact]
    public void What_spice_needs_and_has_not_is_said()
    {
        using var scratch = new Scratch();
        Assert.EndsWith("there is no such file: SPICE needs the program of its authors, spice-1.0.jar with its lib folder", SpiceFault(scratch, scratch["none.jar"], "java"), StringComparison.Ordinal);
        Assert.Contains("SPICE needs Java, and 'no-such-java' can't be started", SpiceFault(scratch, scratch.Write("spice-1.0.jar", ""), "no-such-java"), StringComparison.Ordinal);
    }

    /// <summary>The input is that of the authors' tools: a list of image_id, test and refs; the program runs in its own folder, where its models are.</summary>
    [Fact]
    public void Spice_is_asked_of_its_program_in_its_own_form()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for Java is a shell script");
        using var scratch = new Scratch();
        var java = Script(scratch, $"""[ "$*" = "-Xmx8G -jar {scratch["spice-1.0.jar"]} $4 -out $6 -subset -silent" ] || exit 3""", $"""cp "$4" {scratch["asked.json"]}; pwd > {scratch["folder"]}""",
            """echo '[{"image_id":2,"scores":{"All":{"pr":0,"re":0,"f":null}}},{"image_id":0,"scores":{"All":{"f":0.5},"Object":{"f":null}}},{"image_id":1,"scores":{"All":{"f":1.0}}}]' > "$6" """);
        var result = Run([.. SpiceFiles(scratch), "--spice", scratch.Write("spice-1.0.jar", ""), "--java", java]);
        Assert.Equal([0.5, 1, null], result["rows"]!.AsArray().Select(row => row!["spice"]?.GetValue<double>()));
        Assert.Equal(0.75, result["corpus"]!["spice"]!["value"]!.GetValue<double>());
        Assert.True(JsonNode.DeepEquals(
            JsonNode.Parse("""
                [{"image_id": 0, "test": "the cat sat on the mat", "refs": ["the cat sat on a mat"]}, {"image_id": 1, "test": "a dog", "refs": ["a dog", "the dog"]}, {"image_id": 2, "test": "", "refs": ["nothing at all"]}]
                """),
            JsonNode.Parse(File.ReadAllText(scratch["asked.json"]))));
        Assert.Equal(Path.GetFileName(scratch[""].TrimEnd('/')), Path.GetFileName(File.ReadAllText(scratch["folder"]).Trim()));
    }

    [Theory]
    [InlineData("SPICE's program ended with code 7: it broke", "echo it broke >&2; exit 7")]
    [InlineData("ended with code 1: Exception in thread \"main\" java.lang.NoClassDefFoundError: x", "printf 'Parsing reference captions\\nException in thread \"main\" java.lang.NoClassDefFoundError: x\\n\\tat y.Z\\n' >&2; exit 1")]
    [InlineData("ended with code 137: it said nothing", "kill -KILL $$")]
    [InlineData("wrote no scores that can be read: ", "exit 0")]
    [InlineData("wrote no scores that can be read: ", "echo 'no json' > \"$6\"")]
    [InlineData("wrote no scores that can be read: ", "echo '{\"image_id\":0}' > \"$6\"")]
    [InlineData("wrote no scores that can be read: ", "echo '[{\"image_id\":0,\"scores\":{\"All\":{\"f\":\"0.5\"}}}]' > \"$6\"")]
    [InlineData("wrote 1 scores of 3 texts; that of the text 0 is missing", "echo '[{\"image_id\":1,\"scores\":{\"All\":{\"f\":0.5}}}]' > \"$6\"")]
    [InlineData("wrote two scores of the text 1", "echo '[{\"image_id\":1,\"scores\":{\"All\":{\"f\":0.5}}},{\"image_id\":1,\"scores\":{\"All\":{\"f\":0.5}}}]' > \"$6\"")]
    [InlineData("wrote a score of the text 3, which is none of the 3", "echo '[{\"image_id\":3,\"scores\":{\"All\":{\"f\":0.5}}}]' > \"$6\"")]
    [InlineData("wrote 1.5 of the text 0, which is no number from 0 to 1", "echo '[{\"image_id\":0,\"scores\":{\"All\":{\"f\":1.5}}}]' > \"$6\"")]
    public void What_goes_wrong_with_spices_program_is_one_line(string said, string program)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for Java is a shell script");
        using var scratch = new Scratch();
        Assert.Contains(said, SpiceFault(scratch, scratch.Write("spice-1.0.jar", ""), Script(scratch, program)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_reward_by_spice_is_refused_at_load_without_its_program()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for Java is a shell script");
        using var scratch = new Scratch();
        var recipe = TrainTests.Recipe(scratch, "run");
        var jar = scratch.Write("spice-1.0.jar", "");
        string Fault(string file, string java) => Cli.Run("train", recipe, "--set", $"reward={{kind: metric, metric: spice, spice: {file}, java: {java}}}").OneErrorLine(ExitCode.Failed);
        Assert.Contains("reward.spice", Fault(scratch["none.jar"], "java"), StringComparison.Ordinal);
        Assert.Contains("reward.java", Fault(jar, "no-such-java"), StringComparison.Ordinal);
        Assert.False(Directory.Exists(scratch["run/checkpoints"]));
    }

    private static string[] SpiceFiles(Scratch scratch) => ["--predictions", scratch.Write("p.jsonl", Predictions), "--references", scratch.Write("r.jsonl", References), "--metrics", "spice"];

    private static string SpiceFault(Scratch scratch, string jar, string java) => Cli.Run(["metrics", .. SpiceFiles(scratch), "--spice", jar, "--java", java]).OneErrorLine(ExitCode.Failed);

    /// <summary>A stand-in for Java, called as <c>java -Xmx8G -jar JAR INPUT -out OUTPUT …</c>.</summary>
    private static string Script(Scratch scratch, params string[] lines)
    {
        var path = scratch.Write("java.sh", ["#!/bin/sh", .. lines]);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    [Fact]
    public void The_output_replaces_no_input()
    {
        using var scratch = new Scratch();
        var (p, r) = (scratch.Write("p.jsonl", Predictions), scratch.Write("r.jsonl", References));
        Assert.Contains("p.jsonl", Cli.Run("metrics", "--predictions", p, "--references", r, "--output", p).OneErrorLine(ExitCode.Failed), StringComparison.Ordinal);
        Assert.Equal(Predictions, File.ReadAllLines(p));
        Assert.Equal(ExitCode.Ok, Cli.Run("metrics", "--predictions", p, "--references", r, "--output", scratch["o.json"], "--metrics", "bleu").Code);
        Assert.NotNull(JsonNode.Parse(File.ReadAllText(scratch["o.json"]))!["corpus"]!["bleu"]);
    }

    private static JsonNode Golden(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "metrics", $"{name}.json")))!;

    private static JsonNode Run(params string[] options)
    {
        var result = Cli.Run(["metrics", .. options]);
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        return JsonNode.Parse(result.Output)!;
    }
}
