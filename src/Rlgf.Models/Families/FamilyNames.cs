using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Families;

/// <summary>What a family makes of the names in checkpoints.</summary>
internal static class FamilyNames
{
    /// <summary>As the folder's own family reads them.</summary>
    /// <param name="family">The family.</param>
    /// <param name="configuration">The folder's configuration.</param>
    /// <param name="comesLater">Parameters that the folder needn't have, since they come from elsewhere.</param>
    public static StoredNames NamesOf(this IModelFamily family, ModelConfiguration configuration, Func<string, bool> comesLater) => new(name => family.NameInModule(name, configuration))
    {
        TiedTo = name => family.TiedTo(name, configuration),
        MayBeMissing = name => family.MayBeMissing(name) || comesLater(name),
        ComparesTied = family.WritesText && !configuration.IsClassifier,
    };
}
