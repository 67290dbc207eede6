using System.Text.Json;
using Rlgf.Text.Metrics;

namespace Rlgf.Text.Tests.Metrics;

public class MeteorTests
{
    private static readonly MeteorSettings Other = new() { Alpha = 0.8, Beta = 2, Gamma = 0.4 };

    [Theory, InlineData("with_wordnet"), InlineData("without_wordnet")]
    public void Scores_and_alignments_are_nltks(string which)
    {
        var golden = MetricCases.Read("meteor_nltk.json");
        // The table lists whole words, and nltk looks for stems: those of humanity, twisted and lived are words of WordNet that it doesn't list, with these synonyms that matter here.
        var table = golden.GetProperty("synonyms").EnumerateObject().ToDictionary(word => word.Name, word => (IReadOnlySet<string>)word.Value.EnumerateArray().Select(other => other.GetString()!).ToHashSet());
        foreach (var (stem, synonym) in new[] { ("human", "man"), ("twist", "turn"), ("live", "be") }) table.TryAdd(stem, new HashSet<string> { synonym });
        IReadOnlyDictionary<string, IReadOnlySet<string>>? synonyms = which == "without_wordnet" ? null : table;
        foreach (var item in golden.Array("items"))
        {
            var tokens = item.Strings("hypothesis");
            string[][] references = [.. item.Array("references").Select(reference => reference.EnumerateArray().Select(token => token.GetString()!).ToArray())];
            var expected = item.GetProperty(which);
            MetricCases.Near(expected.Number("default"), Meteor.Of(tokens, references, synonyms: synonyms), string.Join(' ', tokens));
            MetricCases.Near(expected.Number("other"), Meteor.Of(tokens, references, Other, synonyms), string.Join(' ', tokens));
            var alignments = expected.Array("alignments");
            for (var i = 0; i < references.Length; i++)
            {
                MetricCases.Near(expected.Numbers("per_reference")[i], Meteor.Of(tokens, [references[i]], synonyms: synonyms), string.Join(' ', tokens));
                var pairs = alignments[i].EnumerateArray().Select(pair => (pair[0].GetInt32(), pair[1].GetInt32()));
                Assert.Equal(pairs, Meteor.Align(tokens, references[i], synonyms));
            }
        }
    }

    [Fact]
    public void Tokens_are_nltks()
    {
        var texts = MetricCases.Items("items.json").ToDictionary(item => item.GetProperty("id").GetInt32());
        var compared = 0;
        foreach (var item in MetricCases.Items("meteor_nltk.json"))
        {
            var source = texts[item.GetProperty("id").GetInt32()];
            AssertTokens(item.GetProperty("hypothesis"), source.Text("hypothesis"));
            foreach (var (tokens, text) in item.Array("references").Zip(source.Strings("references"))) AssertTokens(tokens, text);
        }

        Assert.True(compared > 200);

        void AssertTokens(JsonElement expected, string text)
        {
            Assert.Equal(string.Join(' ', expected.EnumerateArray().Select(token => token.GetString())), string.Join(' ', TreebankWords.Of(text)));
            compared++;
        }
    }
}
