using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Supervised;

namespace Rlgf.Recipes;

/// <summary>Supervised training of a language model: <c>rlgf sft</c>.</summary>
public sealed record SftRecipe : RunRecipe, ICheckedSection
{
    /// <summary>What it starts from.</summary>
    public required StartSection Model { get; init; }

    /// <summary>What it learns.</summary>
    public required TextsSection Data { get; init; }

    /// <summary>Plain texts are joined into a stream, with the end token between them, and cut into blocks of this many tokens; null: as many as the context.</summary>
    [Limits(AtLeast = 2)]
    public int? BlockTokens { get; init; }

    /// <summary>How it learns; its seed is the recipe's.</summary>
    public SupervisedSettings Training { get; init; } = new();

    /// <summary>Type of the base that an adapter is trained on.</summary>
    public SftPrecisionSection Precision { get; init; } = new();

    /// <inheritdoc/>
    public override RunRecipe Resolved() => (SftRecipe)base.Resolved() with
    {
        Training = Training with { Seed = Seed, LearningRate = Training.LearningRate ?? SupervisedSettings.UsualLearningRate },
        Precision = new() { Policy = BaseType.Resolved(Precision.Policy, Device, Start?.Path, Start?.Lora) },
    };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in DeviceProblems()) yield return problem;
        if (Data.LabelColumn is not null) yield return ("data.label_column", "it is for classifiers");
        if (Data.MessagesColumn is not null && BlockTokens is not null) yield return ("block_tokens", "belongs to plain texts, and data.messages_column is set; use one of them");
        if (Data.PromptColumn is not null && BlockTokens is not null) yield return ("block_tokens", "belongs to plain texts, and data.prompt_column is set; use one of them");
        if (Training.Seed != 0 && Training.Seed != Seed) yield return ("training.seed", "it differs from seed; set seed only");
    }

    /// <inheritdoc/>
    internal override PolicyPrecision TrainedIn => Precision.Policy ?? PolicyPrecision.Float32;

    /// <inheritdoc/>
    private protected override IEnumerable<(string Key, string Problem)> MachineProblems() =>
        BaseType.Problem(Precision.Policy, Device, Start?.Path, Start?.Lora) is { } problem ? [("precision.policy", problem)] : [];

    private FolderStartSection? Start => Model as FolderStartSection;
}

/// <summary>Type of the numbers that supervised training computes with.</summary>
public sealed record SftPrecisionSection
{
    /// <summary>What the model computes with, as <c>placement.policy.precision</c> of a policy; null for float32.</summary>
    public PolicyPrecision? Policy { get; init; }
}

/// <summary>Training of a sequence classifier, for a reward or a judge: <c>rlgf classifier train</c>.</summary>
public sealed record ClassifierRecipe : RunRecipe, ICheckedSection
{
    /// <summary>The language model whose trunk it starts from, or an encoder (BERT, DeBERTa v3, ModernBERT and the like) as it was trained to fill gaps.</summary>
    public required StartSection Model { get; init; }

    /// <summary>What it learns.</summary>
    public required TextsSection Data { get; init; }

    /// <summary>Names of the labels; the numbers in the data count them from 0.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>The part of a text that it reads, between its tokenizer's special tokens; null: its beginning, as much as the context holds. A reward for short responses should be trained on parts as short.</summary>
    public WindowSection? Window { get; init; }

    /// <summary>How it learns; its seed is the recipe's.</summary>
    public SupervisedSettings Training { get; init; } = new();

    /// <inheritdoc/>
    public override RunRecipe Resolved() => (ClassifierRecipe)base.Resolved() with { Training = Training with { Seed = Seed, LearningRate = Training.LearningRate ?? SupervisedSettings.UsualLearningRate } };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in DeviceProblems()) yield return problem;
        if (Data.LabelColumn is null) yield return ("data.label_column", "a classifier needs it");
        if (Data.PromptColumn is not null) yield return ("data.prompt_column", "it is for language models");
        if (Data.MessagesColumn is not null) yield return ("data.messages_column", "it is for language models");
        if (Training.PositionsPerPart is not null) yield return ("training.positions_per_part", "it is for language models; a classifier's labels are few");
        if (Training.RecomputeActivations) yield return ("training.recompute_activations", "it is for language models; take fewer rows at once (training.rows_per_micro_batch)");
        if (Labels.Count < 2) yield return ("labels", "a classifier needs two labels at least");
        if (Labels.Distinct(StringComparer.Ordinal).Count() < Labels.Count) yield return ("labels", "two labels have the same name");
        if (Training.Seed != 0 && Training.Seed != Seed) yield return ("training.seed", "it differs from seed; set seed only");
    }
}
