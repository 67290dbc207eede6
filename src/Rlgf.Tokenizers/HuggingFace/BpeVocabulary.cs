using System.Text;
using Rlgf.Base;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>A BPE vocabulary and its merges, as <c>vocab.json</c> with <c>merges.txt</c> and the model of <c>tokenizer.json</c> both have them.</summary>
internal static class BpeVocabulary
{
    /// <summary>Reads token to id.</summary>
    public static Dictionary<string, int> ReadVocabulary(JsonPart vocabulary)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (token, id) in vocabulary.Members())
            ids[token] = id.AsId();
        return ids.Count > 0 ? ids : throw vocabulary.Error("has no tokens");
    }

    /// <summary>Reads <c>merges.txt</c>: a pair to a line, after a line with the version.</summary>
    public static List<(string Left, string Right, Func<string, InputException> Error)> ReadMerges(string file, byte[] content)
    {
        var merges = new List<(string, string, Func<string, InputException>)>();
        using var reader = new StreamReader(new MemoryStream(content), Encoding.UTF8);
        for (var number = 1; reader.ReadLine() is { } line; number++)
        {
            if (line.Length == 0 || line.StartsWith("#version", StringComparison.Ordinal))
                continue;
            var where = $"{file}: line {number}";
            InputException Error(string what) => new($"{where} {what}.");
            var parts = line.Split(' ');
            merges.Add(parts.Length == 2 ? (parts[0], parts[1], Error) : throw Error("must be two tokens with a space between them"));
        }
        return merges;
    }

    /// <summary>What two tokens make together; the right one's prefix, if it has one, is not part of it.</summary>
    public static string Merged(string left, string right, string continuingPrefix = "") =>
        continuingPrefix.Length > 0 && right.StartsWith(continuingPrefix, StringComparison.Ordinal) ? left + right[continuingPrefix.Length..] : left + right;

    /// <summary>Makes sure that every merge is about tokens of the vocabulary.</summary>
    public static List<(string Left, string Right)> Check(
        IReadOnlyList<(string Left, string Right, Func<string, InputException> Error)> merges, Dictionary<string, int> vocabulary, string continuingPrefix = "")
    {
        var pairs = new List<(string, string)>(merges.Count);
        foreach (var (left, right, error) in merges)
        {
            foreach (var token in (string[])[left, right, Merged(left, right, continuingPrefix)])
            {
                if (!vocabulary.ContainsKey(token))
                    throw error($"merges \"{left}\" and \"{right}\", but \"{token}\" isn't in the vocabulary; the files don't belong together");
            }
            pairs.Add((left, right));
        }
        return pairs;
    }
}
