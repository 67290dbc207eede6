using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Rlgf.Base;

namespace Rlgf.Recipes;

/// <summary>What keys a record has in a recipe.</summary>
internal static class RecipeSchema
{
    public const string KindKey = "kind";

    private static readonly NullabilityInfoContext Nullability = new();

    /// <summary>One key of a record.</summary>
    public sealed record Member(string Key, Type Type, bool IsRequired, bool IsNullable, LimitsAttribute? Limits, TextUse Use, PropertyInfo Property)
    {
        /// <summary>Whether it may be another when a run goes on.</summary>
        public bool MayChange { get; } = Property.IsDefined(typeof(MayChangeOnResumeAttribute));
    }

    /// <summary>A property's or an enum member's name as a key: RollInLengths is roll_in_lengths.</summary>
    public static string KeyOf(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    /// <summary>The type of a list's items, or null for what is no list.</summary>
    public static Type? ItemType(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? type.GetGenericArguments()[0] : null;

    /// <summary>The keys of a record in the order of its source, those of its base first.</summary>
    public static IReadOnlyList<Member> MembersOf(Type type)
    {
        var parameters = ConstructorOf(type).GetParameters().ToDictionary(parameter => parameter.Name!);
        lock (Nullability)
        {
            return [.. type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.SetMethod is { IsPublic: true })
                .OrderBy(property => property.DeclaringType == type).ThenBy(property => property.MetadataToken).Select(property =>
            {
                var parameter = parameters.GetValueOrDefault(property.Name);
                return new Member(
                    KeyOf(property.Name),
                    property.PropertyType,
                    parameter is { HasDefaultValue: false } || (parameter is null && property.IsDefined(typeof(RequiredMemberAttribute))),
                    Nullability.Create(property).WriteState == NullabilityState.Nullable,
                    property.GetCustomAttribute<LimitsAttribute>() ?? parameter?.GetCustomAttribute<LimitsAttribute>(),
                    UseOf(property, parameter),
                    property);
            })];
        }
    }

    private static TextUse UseOf(PropertyInfo property, ParameterInfo? parameter)
    {
        bool Has(Type attribute) => property.IsDefined(attribute) || parameter?.IsDefined(attribute) == true;
        return Has(typeof(RecipePathAttribute)) ? TextUse.ReadPath : Has(typeof(RecipeOutputAttribute)) ? TextUse.WrittenPath : Has(typeof(RecipeNameAttribute)) ? TextUse.Name : TextUse.Any;
    }

    /// <summary>Makes a record of the values of some keys; the others keep their defaults.</summary>
    public static object Create(Type type, IReadOnlyDictionary<string, object?> values)
    {
        var constructor = ConstructorOf(type);
        var parameters = constructor.GetParameters();
        var record = constructor.Invoke(BindingFlags.DoNotWrapExceptions, null, [.. parameters.Select(parameter => values.TryGetValue(KeyOf(parameter.Name!), out var value) ? value : parameter.DefaultValue)], null);
        foreach (var member in MembersOf(type).Where(member => values.ContainsKey(member.Key) && !parameters.Any(parameter => parameter.Name == member.Property.Name)))
        {
            member.Property.SetValue(record, values[member.Key], BindingFlags.DoNotWrapExceptions, null, null, null);
        }

        return record;
    }

    /// <summary>Why no recipe can hold a record; null if one can.</summary>
    /// <param name="type">The record.</param>
    /// <param name="seen">Records that were looked at already.</param>
    public static string? ProblemOf(Type type, HashSet<Type> seen)
    {
        if (!seen.Add(type) || type.IsAbstract) return null;
        if (FindConstructor(type) is null) return $"{type.Name} has no public constructor, so that no recipe can make one";
        foreach (var member in MembersOf(type))
        {
            var value = member.Type;
            while (ItemType(value) is { } item) value = item;
            value = Nullable.GetUnderlyingType(value) ?? value;
            if (value.IsEnum || Type.GetTypeCode(value) is TypeCode.String or TypeCode.Boolean or TypeCode.Double or TypeCode.Int32 or TypeCode.Int64 or TypeCode.UInt64) continue;
            if (!value.IsClass || value.IsArray || value.IsAssignableTo(typeof(Delegate)) || value.Namespace?.StartsWith("System", StringComparison.Ordinal) == true)
                return $"{type.Name}.{member.Property.Name} is of the type {value.Name}, which no recipe can hold: use string, bool, int, long, ulong, double, enums, records (classes) of these, or IReadOnlyList of these";
            if (ProblemOf(value, seen) is { } inner) return inner;
        }

        return null;
    }

    private static ConstructorInfo? FindConstructor(Type type) =>
        type.GetConstructors().OrderBy(constructor => constructor.GetParameters().Length).FirstOrDefault(constructor => constructor.GetParameters().All(parameter => parameter.ParameterType != type));

    private static ConstructorInfo ConstructorOf(Type type) => FindConstructor(type)
        ?? throw new NotSupportedException($"{type.Name} can't be made from a recipe: it has no public constructor");
}
