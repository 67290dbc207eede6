namespace Rlgf.Models.Inspection;

/// <summary>How far a kind of model of a family was checked.</summary>
public enum FamilySupport
{
    /// <summary>It isn't read.</summary>
    None,

    /// <summary>It equals a checked model at the place that the format's formula names.</summary>
    ByComposition,

    /// <summary>The code that was checked on other families, on a trunk that was checked; no fixture of its own.</summary>
    SameCode,

    /// <summary>Its numbers are those of transformers on a tiny model of the family.</summary>
    Checked,

    /// <summary>Its losses, gradients and optimiser's steps are those of transformers too.</summary>
    Trained,
}

/// <summary>A published model of a family.</summary>
/// <param name="Name">Its name on the hub, or the beginning of several names, then ended by <c>*</c>.</param>
/// <param name="Sizes">Its parameters as its makers name them, such as <c>270M, 1B</c>.</param>
/// <param name="WasRun">Whether it was loaded and tuned here with its own weights; the others are named because their format is this one.</param>
public sealed record PublishedModel(string Name, string Sizes, bool WasRun = false);

/// <summary>A family of models that can be read, and how far that was checked.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="ModelTypes">The values of <c>model_type</c> in its <c>config.json</c>.</param>
/// <param name="LanguageModel">How far its language model was checked.</param>
/// <param name="Classifier">How far its classifier was checked (rewards, judges).</param>
/// <param name="Models">Published models.</param>
/// <param name="Notes">What is particular to it, and what of it isn't supported.</param>
public sealed partial record SupportedFamily(
    string Name, IReadOnlyList<string> ModelTypes, FamilySupport LanguageModel, FamilySupport Classifier, IReadOnlyList<PublishedModel> Models, string Notes)
{
    /// <summary>How far a kind of model was checked, in the words of the command and of the documents.</summary>
    public static string WordsOf(FamilySupport support) => support switch
    {
        FamilySupport.Trained => "trained",
        FamilySupport.Checked => "checked",
        FamilySupport.SameCode => "same code",
        FamilySupport.ByComposition => "composed",
        _ => "no",
    };
}
