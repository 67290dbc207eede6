using System.Text.Json;
using System.Text.RegularExpressions;

namespace Rlgf.Text.Metrics;

/// <summary>Which given words a text has, in any of their forms: the concepts of CommonGen (Lin et al. 2020, arXiv 1911.03705).</summary>
/// <remarks>
/// A word of the text is one of a concept's forms if it is the concept, or the concept with <c>ed</c> or <c>ing</c>, or has the same stem, or is irregular (<c>geese</c>) and its base has the same stem.
/// CommonGen's own script takes lemmas of spaCy, whose tagger errs now and then; the fixture says how far both agree.
/// </remarks>
public static partial class ConceptCoverage
{
    private static readonly Lazy<IReadOnlyDictionary<string, string[]>> Irregular = new(() =>
    {
        using var stream = typeof(ConceptCoverage).Assembly.GetManifestResourceStream("irregular-forms.json")!;
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.GetProperty("forms").EnumerateObject()
            .ToDictionary(form => form.Name, form => form.Value.EnumerateArray().Select(word => word.GetString()!).ToArray(), StringComparer.Ordinal);
    });

    /// <summary>The different concepts that a text has none of the forms of, in their order.</summary>
    /// <param name="text">The text.</param>
    /// <param name="concepts">English words in lower case.</param>
    public static IReadOnlyList<string> Missed(string text, IEnumerable<string> concepts)
    {
        var words = Words(text);
        var stems = new HashSet<string>(words.SelectMany(word => (string[])[word, .. Irregular.Value.GetValueOrDefault(word, [])]).Select(PorterStemmer.Stem), StringComparer.Ordinal);
        return [.. concepts.Distinct(StringComparer.Ordinal)
            .Where(concept => !words.Contains(concept) && !words.Contains(concept + "ed") && !words.Contains(concept + "ing") && !stems.Contains(PorterStemmer.Stem(concept)))];
    }

    /// <summary>Share of the different concepts that a text has, 0 to 1; null without a concept.</summary>
    /// <param name="text">The text.</param>
    /// <param name="concepts">English words in lower case.</param>
    public static double? Share(string text, IReadOnlyCollection<string> concepts)
    {
        var all = concepts.Distinct(StringComparer.Ordinal).Count();
        return all == 0 ? null : (all - Missed(text, concepts).Count) / (double)all;
    }

    private static HashSet<string> Words(string text) => [.. Word().Matches(PythonText.Lower(text)).Select(match => match.Value)];

    [GeneratedRegex("[a-z]+")]
    private static partial Regex Word();
}
