using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Text.Metrics;

/// <summary>Synonyms for METEOR, from a file of one's own: a JSON object with lists of words by their word, <c>{"big": ["large", "great"]}</c>. WordNet's licence is its own, so no table comes with the project.</summary>
public static class SynonymFile
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>By word.</returns>
    /// <exception cref="InputException">It can't be read, or is something else; names the file and the line or the word.</exception>
    public static IReadOnlyDictionary<string, IReadOnlySet<string>> Read(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(RegularFile.ReadBytes(path), new JsonDocumentOptions { AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new InputException($"{path}: expected an object with lists of synonyms by their word, such as {{\"big\": [\"large\"]}}");
            return document.RootElement.EnumerateObject().ToDictionary(word => word.Name, word => (IReadOnlySet<string>)Words(path, word), StringComparer.Ordinal);
        }
        catch (JsonException failure)
        {
            throw JsonFault.Of(path, failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be read: {failure.Message}", failure);
        }
    }

    private static HashSet<string> Words(string path, JsonProperty word) =>
        word.Value.ValueKind == JsonValueKind.Array && word.Value.EnumerateArray().All(synonym => synonym.ValueKind == JsonValueKind.String)
            ? word.Value.EnumerateArray().Select(synonym => synonym.GetString()!).ToHashSet(StringComparer.Ordinal)
            : throw new InputException($"{path}: '{word.Name}': expected a list of words");
}
