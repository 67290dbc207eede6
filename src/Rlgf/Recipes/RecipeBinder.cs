using System.Globalization;
using Rlgf.Base;
using Rlgf.Rewards;

namespace Rlgf.Recipes;

/// <summary>
/// Makes records from YAML, strictly: a key that the record doesn't have, a value of another type, a missing required key and a number out of range are errors that
/// name the file, the line and the key. Keys are the properties' names in snake_case; what is left out keeps the record's default.
/// </summary>
/// <remarks>
/// Binds records with init-only properties, positional records, lists (<see cref="IReadOnlyList{T}"/>), strings, truth values, whole and real numbers, enums (by snake_case
/// name), nullables of these, and base records of which <c>kind:</c> chooses one, among <see cref="PartKinds"/>.
/// </remarks>
/// <param name="find">Where a path leads, for <see cref="RecipePathAttribute"/>.</param>
/// <param name="kinds">The kinds that a section can be of.</param>
internal sealed class RecipeBinder(Func<string, string> find, PartKinds kinds)
{
    /// <summary>Binds a whole document.</summary>
    public object Bind(RecipeNode node, Type type) => BindValue(node, new Target(type, "", IsNullable: false, Limits: null, TextUse.Any))!;

    private object? BindValue(RecipeNode node, Target target)
    {
        if (node is RecipeScalar { IsNull: true })
        {
            return target.IsNullable ? null : throw Error(node, target, "has no value");
        }

        var type = Nullable.GetUnderlyingType(target.Type) ?? target.Type;
        if (RecipeSchema.ItemType(type) is { } itemType)
        {
            return BindList(node, target, itemType);
        }

        if (type == typeof(string))
        {
            var text = node is RecipeScalar scalar ? scalar.Text : throw Expected(node, target, "text");
            if (RecipeNames.Problem(text, target.Use) is { } problem) throw Error(node, target, problem);
            return target.Use == TextUse.ReadPath ? find(text) : text;
        }

        if (type == typeof(bool))
        {
            if (node is RecipeScalar { IsPlain: false, Text: "true" or "false" } quoted) throw Quoted(node, target, quoted.Text);
            return node is RecipeScalar { IsPlain: true, Text: "true" or "false" } flag ? flag.Text == "true" : throw Expected(node, target, "true or false");
        }

        if (type.IsEnum)
        {
            return BindEnum(node, target, type);
        }

        if (type.IsPrimitive)
        {
            return BindNumber(node, target, type);
        }

        return node is RecipeSection section ? BindSection(section, target with { Type = type }) : throw Expected(node, target, "a section (keys and values)");
    }

    private object BindSection(RecipeSection section, Target target)
    {
        var list = kinds.Of(target.Type);
        var kind = list is null ? null : ChooseKind(section, target, list);
        var type = kind?.Type ?? target.Type;
        var members = RecipeSchema.MembersOf(type);
        var names = members.Select(member => member.Key).ToList();
        if (list is not null && !names.Contains(list.Key))
        {
            names.Insert(0, list.Key);
        }

        foreach (var entry in section.Entries)
        {
            if (!names.Contains(entry.Key))
            {
                throw new InputException($"{entry.Location}: unknown key '{RecipeText.Shown(target.Child(entry.Key))}'{Spelling.Suggestion(RecipeText.Shown(entry.Key), names)}");
            }
        }

        var values = new Dictionary<string, object?>();
        foreach (var member in members)
        {
            if (section[member.Key] is { } value)
            {
                values[member.Key] = BindValue(value, new Target(member.Type, target.Child(member.Key), member.IsNullable, member.Limits, member.Use));
            }
            else if (member.IsRequired)
            {
                throw new InputException($"{section.Location}: missing key '{target.Child(member.Key)}'{(type == target.Type ? "" : $" of the kind '{kind!.Name}'")}");
            }
        }

        return Checked(section, target, type, values);
    }

    /// <summary>The record that a section stands for. It may be a program's own: what goes wrong in it is said in one line with the section's place.</summary>
    private object Checked(RecipeSection section, Target target, Type type, Dictionary<string, object?> values)
    {
        (string Key, string Problem)? first = null;
        object record;
        try
        {
            record = OwnCode.Run(type.Name, "these settings", () =>
            {
                var made = RecipeSchema.Create(type, values);
                if (made is IKnowsKinds knows) knows.Kinds = kinds;
                if (made is ICheckedSection check) first = check.Problems().Select(problem => ((string, string)?)problem).FirstOrDefault();
                return made;
            }, CancellationToken.None);
        }
        catch (InputException failure)
        {
            throw new InputException($"{section.Location}: {target.Name}: {failure.Message}", failure);
        }

        return first is { } wrong ? throw new InputException($"{LocationOf(section, wrong.Key)}: {target.Child(wrong.Key)}: {wrong.Problem}") : record;
    }

    /// <summary>Where a key is, which may be of a section further in (a.b); where it was left out, the section that it belongs to.</summary>
    private static string LocationOf(RecipeSection section, string key)
    {
        var entry = section.Entries.FirstOrDefault(entry => key == entry.Key || key.StartsWith(entry.Key + ".", StringComparison.Ordinal));
        if (entry is null) return section.Location;
        return key != entry.Key && entry.Value is RecipeSection inner ? LocationOf(inner, key[(entry.Key.Length + 1)..]) : entry.Location;
    }

    private static SectionKind ChooseKind(RecipeSection section, Target target, KindList list)
    {
        // A derived record was asked for by itself: only its own kind will do.
        var allowed = target.Type == list.Section ? list.Kinds : [.. list.Kinds.Where(kind => kind.Type == target.Type)];
        var names = allowed.Select(kind => kind.Name).ToArray();
        if (section[list.Key] is not { } node)
        {
            throw new InputException($"{section.Location}: missing key '{target.Child(list.Key)}', one of: {string.Join(", ", names)}");
        }

        var name = (node as RecipeScalar)?.Text;
        if (allowed.FirstOrDefault(kind => kind.Name == name) is { } chosen) return chosen;
        var own = list.IsOpen && node is RecipeScalar { IsNull: false } ? "; a kind of somebody's own is known to the program that adds it: run that one" : "";
        throw new InputException($"{node.Location}: {target.Child(list.Key)}: expected one of: {string.Join(", ", names)}; found {node.What}{own}");
    }

    private Array BindList(RecipeNode node, Target target, Type itemType)
    {
        var items = (node as RecipeList)?.Items ?? throw Expected(node, target, "a list");
        var list = Array.CreateInstance(itemType, items.Count);
        for (var i = 0; i < items.Count; i++)
        {
            list.SetValue(BindValue(items[i], new Target(itemType, target.Child(i.ToString(CultureInfo.InvariantCulture)), IsNullable: false, target.Limits, target.Use)), i);
        }

        return list;
    }

    private static object BindEnum(RecipeNode node, Target target, Type type)
    {
        var names = Enum.GetNames(type).ToDictionary(RecipeSchema.KeyOf, name => Enum.Parse(type, name));
        return node is RecipeScalar scalar && names.TryGetValue(scalar.Text, out var value) ? value
            : throw Expected(node, target, $"one of: {string.Join(", ", names.Keys)}");
    }

    private static object BindNumber(RecipeNode node, Target target, Type type)
    {
        var text = node is RecipeScalar { IsPlain: true } scalar ? scalar.Text : null;
        if (node is RecipeScalar { IsPlain: false } quoted && WrittenNumber.Parse(quoted.Text, type) is not null) throw Quoted(node, target, quoted.Text);
        if (WrittenNumber.Parse(text, type) is not { } number)
        {
            throw Expected(node, target, WrittenNumber.Expected(type));
        }

        return target.Limits?.Broken(Convert.ToDouble(number, CultureInfo.InvariantCulture)) is { } limit ? throw Error(node, target, $"is {RecipeText.Shown(text!)}; it must be {limit}") : number;
    }

    private static InputException Expected(RecipeNode node, Target target, string what) => new($"{node.Location}: {target.Name}: expected {what}; found {node.What}");

    private static InputException Quoted(RecipeNode node, Target target, string text) => new($"{node.Location}: {target.Name}: '{text}' is in quotes, which makes it text; write {text} without them");

    private static InputException Error(RecipeNode node, Target target, string problem) => new($"{node.Location}: {target.Name} {problem}");

    /// <summary>What a value is bound to.</summary>
    /// <param name="Type">Its type.</param>
    /// <param name="Path">The path of its key, such as "update.epochs"; empty for the document.</param>
    /// <param name="IsNullable">Whether null is allowed.</param>
    /// <param name="Limits">The range of a number.</param>
    /// <param name="Use">What a text is for.</param>
    private sealed record Target(Type Type, string Path, bool IsNullable, LimitsAttribute? Limits, TextUse Use)
    {
        public string Name => Path.Length == 0 ? "the recipe" : Path;

        public string Child(string key) => Path.Length == 0 ? key : $"{Path}.{key}";
    }
}
