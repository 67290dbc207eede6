using Rlgf.App.Terminals;

namespace Rlgf.App.Sweeps;

/// <summary>A key of a recipe with the values that a sweep gives it in turn.</summary>
/// <param name="Key">The key's path, such as <c>algorithm.switch_iteration</c>.</param>
/// <param name="Values">Values in YAML, as written; at least one, all different.</param>
internal sealed record SweptKey(string Key, IReadOnlyList<string> Values)
{
    private const string Example = "such as --over algorithm.switch_iteration=0,5,10";

    /// <summary>Keys that say which run it is rather than what is learned, and what says it in their place.</summary>
    private static readonly Dictionary<string, string> Refused = new()
    {
        ["seed"] = "seeds are given by --seeds, and are averaged",
        ["output"] = "each run has a folder of its own in the sweep's, which --output names",
        ["kind"] = "a sweep is of recipes of the kind train",
    };

    /// <summary>Reads <c>key=value,value</c>; a comma within brackets, braces or quotes belongs to a value.</summary>
    /// <exception cref="UsageException">It is nothing of the kind.</exception>
    public static SweptKey Parse(string text)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        var key = equals < 0 ? "" : text[..equals].Trim();
        if (key.Length == 0) throw new UsageException($"--over {text}: expected KEY=VALUE,VALUE, {Example}");
        if (Refused.TryGetValue(key, out var reason)) throw new UsageException($"--over {text}: {reason}");
        var values = Split(text[(equals + 1)..]);
        if (values.All(value => value.Length == 0)) throw new UsageException($"--over {text}: there are no values, {Example}");
        if (values.Any(value => value.Length == 0)) throw new UsageException($"--over {text}: a value is empty: two commas follow each other, or one ends the list; write null for no value");
        if (values.GroupBy(value => value).FirstOrDefault(same => same.Count() > 1) is { } twice) throw new UsageException($"--over {text}: the value {twice.Key} is there twice");
        return new SweptKey(key, values);
    }

    private static List<string> Split(string text)
    {
        List<string> values = [];
        var (start, depth, quote) = (0, 0, '\0');
        for (var at = 0; at < text.Length; at++)
        {
            var c = text[at];
            if (quote != '\0') quote = c == quote ? '\0' : quote;
            // A quote within a word is an apostrophe.
            else if (c is '"' or '\'' && (at == start || text[at - 1] is ' ' or ',' or ':' or '[' or '{')) quote = c;
            else if (c is '[' or '{') depth++;
            else if (c is ']' or '}') depth--;
            else if (c == ',' && depth == 0)
            {
                values.Add(text[start..at].Trim());
                start = at + 1;
            }
        }

        values.Add(text[start..].Trim());
        return values;
    }
}
