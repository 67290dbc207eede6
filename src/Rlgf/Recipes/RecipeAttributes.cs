namespace Rlgf.Recipes;

/// <summary>A string that names a file or folder to read: a relative one is looked for from the current folder, then from the recipe's.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
public sealed class RecipePathAttribute : Attribute;

/// <summary>A string that names a folder to write to.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
public sealed class RecipeOutputAttribute : Attribute;

/// <summary>A string that is a name in logs and reports, after which files may be called: no path, nothing invisible, nothing that a system reserves.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
public sealed class RecipeNameAttribute : Attribute;

/// <summary>On a base record: the value of <c>kind:</c> that stands for one of the records derived from it.</summary>
/// <param name="name">The value of <c>kind:</c>.</param>
/// <param name="type">The derived record.</param>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class RecipeKindAttribute(string name, Type type) : Attribute
{
    /// <summary>The value of <c>kind:</c>.</summary>
    public string Name { get; } = name;

    /// <summary>The derived record.</summary>
    public Type Type { get; } = type;
}
