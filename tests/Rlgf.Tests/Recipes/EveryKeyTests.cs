using System.Globalization;
using System.Text;
using Rlgf.Base;
using Rlgf.Recipes;

namespace Rlgf.Tests.Recipes;

/// <summary>Goes over every key of every record that a recipe can hold: a wrong value is refused with the file, its line and the key's whole path.</summary>
public sealed class EveryKeyTests
{
    /// <summary>Values for required keys whose section would refuse the usual one.</summary>
    private static readonly Dictionary<string, string> Sound = new()
    {
        ["instruction"] = "'{prompt}'", ["label_column"] = "label", ["labels"] = "[a, b]", ["pattern"] = "a", ["name"] = "n",
        ["metric"] = "bleu", ["url"] = "'http://localhost'", ["template"] = "'{response}'", ["members"] = "[{kind: ended}, {kind: ended}]",
    };

    private readonly HashSet<string> _seen = [];

    [Fact]
    public void A_wrong_value_of_any_key_is_refused_with_file_line_and_key()
    {
        foreach (var kind in PartKinds.BuiltIn.Of(typeof(RunRecipe))!.Kinds) Visit(kind.Type, kind.Name, "", section => section, []);
        Assert.True(_seen.Count > 150, $"{_seen.Count} keys were found; there should be more");
    }

    /// <summary>Tries each key of a record at a place in a document.</summary>
    /// <param name="type">The record.</param>
    /// <param name="kind">The value of its <c>kind:</c>; null where it has none.</param>
    /// <param name="path">The record's path.</param>
    /// <param name="document">Makes a whole document of the record's keys.</param>
    /// <param name="within">Records that this one lies in: one that holds itself, such as a sum of sums, is followed once.</param>
    private void Visit(Type type, string? kind, string path, Func<List<string>, List<string>> document, Type[] within)
    {
        if (within.Contains(type)) return;
        foreach (var member in RecipeSchema.MembersOf(type))
        {
            var key = path.Length == 0 ? member.Key : $"{path}.{member.Key}";
            // The required keys, without the one that is tried.
            List<string> With(IEnumerable<string> lines) => document([.. Least(type, kind, member.Key), .. lines]);
            foreach (var wrong in WrongValues(member))
            {
                var lines = With([$"{member.Key}: {wrong}  # here"]);
                var message = Refusal(lines);
                _seen.Add($"{type.Name}.{member.Key}");
                Assert.True(
                    message.StartsWith($"r.yaml:{LineOf(lines)}: ", StringComparison.Ordinal) && message.Contains(key, StringComparison.Ordinal),
                    $"{key}: {wrong} in {type.Name}: {message}\n{string.Join('\n', lines)}");
            }

            // A section that needs this key alone would be empty without it.
            if (member.IsRequired && Least(type, kind, member.Key).Any())
            {
                var message = Refusal(With([]));
                Assert.True(message.StartsWith("r.yaml:", StringComparison.Ordinal) && message.Contains($"'{key}'", StringComparison.Ordinal), message);
            }

            var itemType = RecipeSchema.ItemType(member.Type);
            var inner = Nullable.GetUnderlyingType(itemType ?? member.Type) ?? itemType ?? member.Type;
            if (inner.IsPrimitive || inner.IsEnum || inner == typeof(string) || RecipeSchema.ItemType(inner) is not null) continue;
            var innerPath = itemType is null ? key : $"{key}.0";
            List<string> Section(List<string> lines) => With([$"{member.Key}:", .. itemType is null ? lines.Select(Indented) : [" -", .. lines.Select(line => "  " + Indented(line))]]);
            if (!inner.IsAbstract) Visit(inner, null, innerPath, Section, [.. within, type]);
            else foreach (var one in PartKinds.BuiltIn.Of(inner)!.Kinds) Visit(one.Type, one.Name, innerPath, Section, [.. within, type]);
        }
    }

    /// <summary>The keys that a record must have, but one.</summary>
    private static IEnumerable<string> Least(Type type, string? kind, string but)
    {
        if (kind is not null) yield return $"kind: {kind}";
        foreach (var member in RecipeSchema.MembersOf(type).Where(member => member.IsRequired && member.Key != but)) yield return $"{member.Key}: {SoundValue(type, member)}";
    }

    private static string SoundValue(Type of, RecipeSchema.Member member)
    {
        if (of == typeof(AlgorithmSection)) return "ppo";
        if (of == typeof(ClassifierRecipe) && member.Key == "data") return "{path: d, label_column: label}";
        if (Sound.TryGetValue(member.Key, out var sound)) return sound;
        var type = Nullable.GetUnderlyingType(member.Type) ?? member.Type;
        if (type == typeof(string)) return "x";
        if (type == typeof(bool)) return "true";
        if (type.IsEnum) return RecipeSchema.KeyOf(Enum.GetNames(type)[0]);
        if (type.IsPrimitive) return Math.Max(1, double.IsFinite(member.Limits?.AtLeast ?? double.NaN) ? member.Limits!.AtLeast : 1).ToString(CultureInfo.InvariantCulture);
        if (RecipeSchema.ItemType(type) is { } item) return $"[{{{string.Join(", ", Least(item, null, ""))}}}]";
        var kind = type.IsAbstract ? PartKinds.BuiltIn.Of(type)!.Kinds.First(kind => kind.Name != "sum") : null;
        return $"{{{string.Join(", ", Least(kind?.Type ?? type, kind?.Name, ""))}}}";
    }

    /// <summary>What a key can't be, by its type, its range and what a text is for.</summary>
    private static IEnumerable<string> WrongValues(RecipeSchema.Member member)
    {
        var type = Nullable.GetUnderlyingType(member.Type) ?? member.Type;
        yield return "!tagged x";
        yield return "&anchor x";
        yield return "*anchor";
        yield return "[[[[1]]]]";
        if (!member.IsNullable) yield return "null";
        if (RecipeSchema.ItemType(type) is { } item)
        {
            yield return "x";
            if (item == typeof(int)) foreach (var wrong in (string[])["[x]", "[0.5]", "[-1]"]) yield return wrong;
            yield break;
        }

        if (type == typeof(string))
        {
            yield return "{a: 1}";
            if (member.Use == TextUse.Any) yield break;
            foreach (var wrong in (string[])["\"\"", "' '", "\"a\\0b\"", "\"a\\nb\"", "\"a\\u202eb\"", new string('x', 5000)]) yield return wrong;
            if (member.Use == TextUse.Name) foreach (var wrong in (string[])["../../evil", "a/b", "a\\b", "..", "C:x", "nul", "com1.txt", "x.", "'x '"]) yield return wrong;
            yield break;
        }

        yield return "x";
        yield return "\"1\"";
        if (!type.IsPrimitive || type == typeof(bool)) yield break;
        foreach (var wrong in (string[])["0,7", ".nan", "nan", "Infinity", "-.inf", "1e999", "0x10", "_1000", "1__000", "1000_", "1 000", "१", "1..2", "--1", "1e", "99999999999999999999999"])
        {
            if (wrong != "99999999999999999999999" || type != typeof(double)) yield return wrong;
        }

        if (type != typeof(double)) yield return "0.5";
        if (type == typeof(ulong)) yield return "-1";
        var limits = member.Limits;
        if (limits is null) yield break;
        if (double.IsFinite(limits.AtLeast)) yield return (limits.AtLeast - 1).ToString(CultureInfo.InvariantCulture);
        if (double.IsFinite(limits.AtMost)) yield return (limits.AtMost + 1).ToString(CultureInfo.InvariantCulture);
        if (double.IsFinite(limits.Above)) yield return limits.Above.ToString(CultureInfo.InvariantCulture);
    }

    private static string Indented(string line) => "  " + line;

    private static int LineOf(List<string> lines) => lines.FindIndex(line => line.EndsWith("# here", StringComparison.Ordinal)) + 1;

    private static string Refusal(List<string> lines) => Assert.Throws<InputException>(() => RecipeFile.Parse<RunRecipe>(string.Join('\n', lines), "r.yaml")).Message;
}
