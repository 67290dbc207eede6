using System.Text.Json.Nodes;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Inspection;
using Rlgf.Tests.Shared;
using static Rlgf.Models.Inspection.FamilySupport;

namespace Rlgf.Models.Tests.Inspection;

/// <summary>What is said of families is what there are fixtures of; docs/families.md has the same table, which this test writes with RLGF_UPDATE_DOCS=1.</summary>
public sealed class SupportedFamilyTests
{
    private const string Begin = "<!-- families: written by SupportedFamilyTests -->\n", End = "<!-- end of families -->";

    [Fact]
    public void Every_model_type_that_can_be_read_is_in_the_list_once() =>
        Assert.Equal(ModelFamilies.Types, SupportedFamily.All.SelectMany(family => family.ModelTypes).Order(StringComparer.Ordinal));

    [Fact]
    public void What_is_said_to_be_checked_has_a_fixture_and_what_has_one_is_said_to_be()
    {
        var fixtures = Fixtures().ToList();
        foreach (var family in SupportedFamily.All)
        {
            var own = fixtures.Where(fixture => family.ModelTypes.Contains(fixture.Type)).ToList();
            var texts = own.Where(fixture => fixture.Kind is "causal_lm" or "seq2seq_lm").ToList();
            var language = texts.Any(fixture => fixture.Trained) ? Trained : texts.Count > 0 ? Checked : None;
            Assert.True(language == family.LanguageModel, $"{family.Name}: language model said to be {family.LanguageModel}, fixtures show {language}");
            var classifier = own.Any(fixture => fixture.Kind == "sequence_classifier");
            Assert.True(classifier == family.Classifier is Checked or Trained, $"{family.Name}: classifier said to be {family.Classifier}, a fixture {(classifier ? "is there" : "is missing")}");
        }
    }

    [Fact]
    public void The_documents_have_the_same_table()
    {
        var file = Path.Combine(Repository.Root, "docs", "families.md");
        var text = File.ReadAllText(file);
        var (from, to) = (text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, text.IndexOf(End, StringComparison.Ordinal));
        var written = $"{text[..from]}{Table()}{text[to..]}";
        if (Environment.GetEnvironmentVariable("RLGF_UPDATE_DOCS") == "1") File.WriteAllText(file, text = written);
        Assert.True(written == text, "docs/families.md is out of date; run this test with RLGF_UPDATE_DOCS=1 to write it");
    }

    private static string Table()
    {
        var lines = SupportedFamily.All.Select(family =>
            $"| {family.Name} | {string.Join(", ", family.ModelTypes.Select(type => $"`{type}`"))} | {SupportedFamily.WordsOf(family.LanguageModel)} | {SupportedFamily.WordsOf(family.Classifier)} | " +
            $"{string.Join("; ", family.Models.Select(model => $"{model.Name.Replace("*", "…")}: {model.Sizes}{(model.WasRun ? " **run**" : "")}"))} | {family.Notes} |\n");
        return $"| family | `model_type` | language model | classifier | published | notes |\n|---|---|---|---|---|---|\n{string.Concat(lines)}";
    }

    private static IEnumerable<(string Type, string Kind, bool Trained)> Fixtures()
    {
        foreach (var path in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "fixtures"), "expected.json", SearchOption.AllDirectories))
        {
            var configuration = Path.Combine(Path.GetDirectoryName(path)!, "config.json");
            if (!File.Exists(configuration)) continue;
            var expected = JsonNode.Parse(File.ReadAllText(path))!;
            yield return ((string)JsonNode.Parse(File.ReadAllText(configuration))!["model_type"]!, (string?)expected["kind"] ?? "", expected["training"] is not null);
        }
    }
}
