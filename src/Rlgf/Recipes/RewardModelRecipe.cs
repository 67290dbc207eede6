using Rlgf.Base;
using Rlgf.Supervised;

namespace Rlgf.Recipes;

/// <summary>Training of a reward model on pairs of answers of which one was preferred: <c>rlgf reward train</c>.</summary>
public sealed record RewardModelRecipe : RunRecipe, ICheckedSection
{
    /// <summary>The language model whose trunk it starts from, or an encoder (BERT, DeBERTa v3, ModernBERT and the like) as it was trained to fill gaps; it gets a new head with one output.</summary>
    public required StartSection Model { get; init; }

    /// <summary>What it learns from.</summary>
    public required PairsSection Data { get; init; }

    /// <summary>How it reads conversations, by its own chat template; null: prompt and answer as one text, as a model's that goes on from texts. The reward that it becomes must say the same.</summary>
    public ChatSection? Chat { get; init; }

    /// <summary>
    /// Coefficient of (c + r)² in the loss, which keeps the sum of the two answers' scores near 0, so that scores of different prompts can be compared; 0 for none, 0.01 is usual.
    /// </summary>
    [Limits(AtLeast = 0, AtMost = 1e3)]
    public double CenterRewardsCoefficient { get; init; }

    /// <summary>
    /// Of a model with an adapter (<c>model.lora</c>): whether the folder gets whole weights, the adapter's added to those that it is for, which every library reads; false: the adapter alone, which shares memory with a policy
    /// on the same base.
    /// </summary>
    public bool MergeAdapter { get; init; } = true;

    /// <summary>How many are trained, with the seeds <c>seed</c>, <c>seed</c> + 1, …: of several each has a folder <c>member-1</c>, <c>member-2</c>, … in the output, and the reward <c>ensemble</c> takes them together.</summary>
    [Limits(AtLeast = 1, AtMost = 64)]
    public int Members { get; init; } = 1;

    /// <summary>How it learns; its seed is the recipe's, and a row is a pair.</summary>
    public SupervisedSettings Training { get; init; } = new();

    /// <inheritdoc/>
    public override RunRecipe Resolved() => (RewardModelRecipe)base.Resolved() with
    {
        Training = Training with
        {
            Seed = Seed,
            LearningRate = Training.LearningRate ?? RewardModelTraining.UsualLearningRate(Model is FolderStartSection folder && BaseType.HasAdapter(folder.Path, folder.Lora)),
        },
    };

    /// <summary>The recipes of the members, each a run of its own; of a single one the recipe itself.</summary>
    public IReadOnlyList<RewardModelRecipe> OfMembers() => Members == 1 ? [this] :
    [
        .. Enumerable.Range(0, Members).Select(member => this with
        {
            Members = 1, Seed = Seed + (ulong)member, Training = Training with { Seed = Seed + (ulong)member },
            Output = System.IO.Path.Combine(((RewardModelRecipe)Resolved()).Output!, FormattableString.Invariant($"member-{member + 1}")),
        }),
    ];

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in DeviceProblems()) yield return problem;
        if (!MergeAdapter && Model is not FolderStartSection { Lora: not null }) yield return ("merge_adapter", "there is no adapter to be kept apart: set model.lora, or leave this out");
        if (Training.PositionsPerPart is not null) yield return ("training.positions_per_part", "it is for language models; a reward model has one output");
        if (Training.RecomputeActivations) yield return ("training.recompute_activations", "it is for language models; take fewer pairs at once (training.rows_per_micro_batch)");
        if (Training.Seed != 0 && Training.Seed != Seed) yield return ("training.seed", "it differs from seed; set seed only");
    }
}
