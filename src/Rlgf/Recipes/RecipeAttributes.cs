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
