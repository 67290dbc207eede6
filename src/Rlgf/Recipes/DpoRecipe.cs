using Rlgf.Base;
using Rlgf.Losses;
using Rlgf.Models.NumberTypes;
using Rlgf.Supervised;

namespace Rlgf.Recipes;

/// <summary>Training of a language model on pairs of answers of which one was preferred, against the model that it starts from: <c>rlgf dpo</c>.</summary>
public sealed record DpoRecipe : RunRecipe, ICheckedSection
{
    /// <summary>The model that is trained; as it is at the start it is the reference.</summary>
    public required StartSection Model { get; init; }

    /// <summary>What it learns from.</summary>
    public required PairsSection Data { get; init; }

    /// <summary>How it is asked, by its own chat template, which rows of messages need; null: answers go on from their prompts' texts.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>What is made of a pair.</summary>
    public PreferenceLossSettings Loss { get; init; } = new();

    /// <summary>How it learns; its seed is the recipe's, and a row is a pair.</summary>
    public SupervisedSettings Training { get; init; } = new();

    /// <summary>Type of the base that an adapter is trained on.</summary>
    public SftPrecisionSection Precision { get; init; } = new();

    /// <inheritdoc/>
    public override RunRecipe Resolved() => (DpoRecipe)base.Resolved() with
    {
        Training = Training with { Seed = Seed, LearningRate = Training.LearningRate ?? PreferenceTraining.UsualLearningRate(BaseType.HasAdapter(Start?.Path, Start?.Lora)) },
        Loss = Loss with { LengthNormalised = Loss.ComparesMeans },
        Precision = new() { Policy = BaseType.Resolved(Precision.Policy, Device, Start?.Path, Start?.Lora) },
    };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in DeviceProblems()) yield return problem;
        if (Model is not FolderStartSection) yield return ("model.kind", "a model with fresh weights has no answers to prefer; begin with kind: folder, of a model that was trained");
        if (Data.MarginColumn is not null) yield return ("data.margin_column", "it is for reward models; leave it out");
        if (Training.Seed != 0 && Training.Seed != Seed) yield return ("training.seed", "it differs from seed; set seed only");
    }

    /// <inheritdoc/>
    internal override PolicyPrecision TrainedIn => Precision.Policy ?? PolicyPrecision.Float32;

    /// <inheritdoc/>
    private protected override IEnumerable<(string Key, string Problem)> MachineProblems() =>
        BaseType.Problem(Precision.Policy, Device, Start?.Path, Start?.Lora) is { } problem ? [("precision.policy", problem)] : [];

    private FolderStartSection? Start => Model as FolderStartSection;
}
