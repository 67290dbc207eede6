using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Rlgf.Base;

namespace Rlgf.Recipes;

/// <summary>Every key that a recipe can have, as Markdown: what the records say, and the summaries of their properties from the documentation files beside the program.</summary>
public sealed partial class RecipeReference
{
    private const string Introduction = """
        # Recipes

        A recipe is a YAML file that says all of a run. `kind:` says what it is for; every other key is one of those below, in snake_case. What is left out keeps its default; a key that isn't
        there, a value of another type or out of range, and a missing required key are errors with file, line and key. `--set update.epochs=2` changes a key from the command line: a path (items of a
        list by their number from 0), then a value in YAML. The run's folder keeps the resolved recipe, with every default spelt out. A run that goes on (`--resume`) has the recipe that it was begun with, but
        for the keys of which it is said below that they may change: how long it goes, how often it looks at itself, how much is in memory at once (which changes roundings).

        A recipe is UTF-8 of at most 1 MiB, with at most 40 lists and sections inside each other; indentation is by blanks. A name becomes part of files' names: at most 200 bytes, no `/ \ : * ? " < > |`,
        no `..`, no dot or blank at an end, nothing invisible, no name that Windows keeps for a device. Numbers have a decimal point: `0,7` is none.

        Relative paths of what is read are looked for from the current folder first, then from the recipe's. Anchors, aliases and tags aren't used. Filters are conditions on a row's columns:
        `== != < <= > >=`, `length(column)` (characters of a text as UTF-16 counts them, items of a list), `part(column, n)`, numbers, 'text', `true`, `false`, `null`, joined by `&& || !` and parentheses.
        `part(column, n)` says which of n parts, numbered from 0, a text falls into: the same part for the same text everywhere, so `part(text, 2) == 0` and `part(text, 2) == 1` split a data set at random
        into two halves that have no text in common.

        """;

    private readonly PartKinds _kinds;
    private readonly StringBuilder _text = new(Introduction);
    private readonly Dictionary<Assembly, Dictionary<string, XElement>> _comments = [];
    private readonly List<Type> _waiting = [];
    private readonly HashSet<Type> _done = [];
    private readonly List<Type> _enums = [];

    private RecipeReference(PartKinds kinds) => _kinds = kinds;

    /// <summary>Writes it.</summary>
    /// <param name="kinds">The kinds of parts that recipes can name.</param>
    public static string Write(PartKinds kinds) => new RecipeReference(kinds).Write();

    private string Write()
    {
        foreach (var kind in _kinds.Of(typeof(RunRecipe))!.Kinds) WriteRecord(kind.Type, $"kind: {kind.Name}", 2);
        for (var next = 0; next < _waiting.Count; next++) WriteSection(_waiting[next]);
        if (_enums.Count > 0) _text.Append("\n## Names of values\n");
        foreach (var type in _enums)
        {
            _text.Append(CultureInfo.InvariantCulture, $"\n{Summary(type)}\n\n");
            foreach (var name in Enum.GetNames(type)) _text.Append(CultureInfo.InvariantCulture, $"- `{RecipeSchema.KeyOf(name)}`: {Summary(type.Assembly, $"F:{NameOf(type)}.{name}")}\n");
        }

        return _text.ToString();
    }

    private void WriteSection(Type type)
    {
        if (_kinds.Of(type) is not { } list || type != list.Section)
        {
            WriteRecord(type, TitleOf(type), 2);
        }
        else if (type.IsAbstract)
        {
            _text.Append(CultureInfo.InvariantCulture, $"\n## {TitleOf(type)}\n\n{Summary(type)}\n");
            foreach (var kind in list.Kinds) WriteRecord(kind.Type, $"kind: {kind.Name}", 3);
        }
        else
        {
            WriteRecord(type, TitleOf(type), 2);
            _text.Append('\n');
            foreach (var name in _kinds.Algorithms.Names) _text.Append(CultureInfo.InvariantCulture, $"- `{name}`: {_kinds.Algorithms.MeaningOf(name)}\n");
            foreach (var kind in list.Kinds.Where(kind => kind.Type != type)) WriteRecord(kind.Type, $"{list.Key}: {kind.Name}", 3);
        }
    }

    private void WriteRecord(Type type, string title, int level)
    {
        _text.Append(CultureInfo.InvariantCulture, $"\n{new string('#', level)} {title}\n\n{Summary(type)}\n");
        var members = RecipeSchema.MembersOf(type);
        if (members.Count == 0) return;
        _text.Append("\n| key | value | default | |\n|---|---|---|---|\n");
        // Required keys may be left out here: only the defaults of the others are read.
        var defaults = RecipeSchema.Create(type, type.GetConstructors()[0].GetParameters().Where(p => !p.HasDefaultValue).ToDictionary(
            p => RecipeSchema.KeyOf(p.Name!), p => p.ParameterType.IsValueType ? Activator.CreateInstance(p.ParameterType) : null));
        foreach (var member in members)
        {
            var meaning = Summary(member.Property.DeclaringType!.Assembly, $"P:{NameOf(member.Property.DeclaringType)}.{member.Property.Name}") is { Length: > 0 } summary ? summary : Parameter(type, member.Property.Name);
            _text.Append(CultureInfo.InvariantCulture, $"| `{member.Key}` | {ValueOf(type, member)} | {(member.IsRequired ? "required" : DefaultOf(member.Property.GetValue(defaults)))} | {meaning}{(member.MayChange ? " May change on `--resume`." : "")} |\n");
        }
    }

    private string ValueOf(Type record, RecipeSchema.Member member) => _kinds.Of(record) is { } list && list.Key == member.Key
        ? string.Join(", ", list.Kinds.Select(kind => $"`{kind.Name}`"))
        : ValueOf(member.Type, member.Limits);

    private string ValueOf(Type type, LimitsAttribute? limits)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (RecipeSchema.ItemType(type) is { } item) return $"list of: {ValueOf(item, limits)}";
        if (type.IsEnum && !_enums.Contains(type)) _enums.Add(type);
        if (type.IsEnum) return string.Join(", ", Enum.GetNames(type).Select(name => $"`{RecipeSchema.KeyOf(name)}`"));
        if (type == typeof(string)) return "text";
        if (type == typeof(bool)) return "`true`, `false`";
        if (type.IsPrimitive) return (type == typeof(double) ? "number" : "whole number") + RangeOf(limits);
        if (_done.Add(type)) _waiting.Add(type);
        return $"[{TitleOf(type)}](#{TitleOf(type).Replace(' ', '-')})";
    }

    private static string RangeOf(LimitsAttribute? limits)
    {
        if (limits is null) return "";
        string[] parts =
        [
            double.IsFinite(limits.AtLeast) ? FormattableString.Invariant($"≥ {limits.AtLeast}") : "",
            double.IsFinite(limits.Above) ? FormattableString.Invariant($"> {limits.Above}") : "",
            double.IsFinite(limits.AtMost) ? FormattableString.Invariant($"≤ {limits.AtMost}") : "",
        ];
        return " " + string.Join(", ", parts.Where(part => part.Length > 0));
    }

    private static string DefaultOf(object? value) => value switch
    {
        null => "`null`",
        bool flag => flag ? "`true`" : "`false`",
        Enum name => $"`{RecipeSchema.KeyOf(name.ToString())}`",
        string text => $"`{text}`",
        double number => $"`{number.ToString(CultureInfo.InvariantCulture)}`",
        _ when value.GetType().IsPrimitive => $"`{value}`",
        System.Collections.ICollection { Count: 0 } => "`[]`",
        _ => "its own defaults",
    };

    private static string TitleOf(Type type) => RecipeSchema.KeyOf(type.Name).Replace('_', ' ');

    private string Summary(Type type) => Summary(type.Assembly, "T:" + NameOf(type));

    private string Summary(Assembly assembly, string member) => CommentsOf(assembly).TryGetValue(member, out var comment) ? Plain(comment.Element("summary")) : "";

    private string Parameter(Type type, string name) => CommentsOf(type.Assembly).TryGetValue("T:" + NameOf(type), out var comment)
        ? Plain(comment.Elements("param").FirstOrDefault(parameter => parameter.Attribute("name")?.Value == name)) : "";

    /// <summary>A type's name as documentation files have it.</summary>
    private static string? NameOf(Type type) => type.FullName?.Replace('+', '.');

    private Dictionary<string, XElement> CommentsOf(Assembly assembly)
    {
        if (_comments.TryGetValue(assembly, out var known)) return known;
        var file = Path.Combine(AppContext.BaseDirectory, assembly.GetName().Name + ".xml");
        return _comments[assembly] = !File.Exists(file) ? [] : XDocument.Load(file).Descendants("member")
            .GroupBy(member => member.Attribute("name")!.Value).ToDictionary(members => members.Key, members => members.First());
    }

    private static string Plain(XElement? comment)
    {
        if (comment is null) return "";
        var text = string.Concat(comment.Nodes().Select(node => node switch
        {
            XElement element when (element.Attribute("cref") ?? element.Attribute("name")) is { } reference => $"`{RecipeSchema.KeyOf(reference.Value.Split('.')[^1].Split(':')[^1])}`",
            XElement element => $"`{element.Value}`",
            _ => node.ToString().Replace("&gt;", ">", StringComparison.Ordinal).Replace("&lt;", "<", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal),
        }));
        return Blanks().Replace(text, " ").Trim().Replace("|", "\\|", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
