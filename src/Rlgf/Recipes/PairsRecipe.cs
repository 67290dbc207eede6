using Rlgf.Base;
using Rlgf.Models.Generation;

namespace Rlgf.Recipes;

/// <summary>Which two of the answers to a prompt make a pair.</summary>
public enum PairChoice
{
    /// <summary>The answer with the highest reward and the one with the lowest, whoever wrote them.</summary>
    BestAndWorst,

    /// <summary>The best right answer of the guide, and the worst wrong one of the model; prompts without both are left out.</summary>
    GuideRightModelWrong,
}

/// <summary>Pairs of answers that a model wrote, ordered by a reward: <c>rlgf pairs make</c>.</summary>
public sealed record PairsRecipe : RunRecipe, ICheckedSection
{
    /// <summary>The model that answers.</summary>
    public required ModelSection Model { get; init; }

    /// <summary>Where prompts come from.</summary>
    public required DataSection Data { get; init; }

    /// <summary>How the model samples.</summary>
    public required SamplingSettings Generation { get; init; }

    /// <summary>What orders the answers: any reward, a judge that is asked over the network too.</summary>
    public required RewardSection Reward { get; init; }

    /// <summary>Another source of answers; null for the model alone.</summary>
    public GuideSection? Guide { get; init; }

    /// <summary>Answers of the model to each prompt.</summary>
    [Limits(AtLeast = 1, AtMost = 1024)]
    public int Answers { get; init; } = 2;

    /// <summary>Answers of the guide to each prompt; null for 1 where there is a guide.</summary>
    [Limits(AtLeast = 1, AtMost = 1024)]
    public int? GuideAnswers { get; init; }

    /// <summary>Which two make the pair.</summary>
    public PairChoice Choose { get; init; } = PairChoice.BestAndWorst;

    /// <summary>Of <c>guide_right_model_wrong</c>: the reward from which on an answer is right; null for 1.</summary>
    [Limits(AtLeast = -1e6, AtMost = 1e6)]
    public double? Success { get; init; }

    /// <summary>Pairs whose rewards lie no farther apart are ties, and left out.</summary>
    [Limits(AtLeast = 0, AtMost = 1e6)]
    public double LeastDifference { get; init; }

    /// <summary>The most prompts, drawn at random; null for all. A folder that is complete is made longer by more of them.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1)]
    public int? Prompts { get; init; }

    /// <summary>Prompts that are answered at once, and then written down.</summary>
    [MayChangeOnResume]
    [Limits(AtLeast = 1, AtMost = 1 << 16)]
    public int PromptsAtOnce { get; init; } = 64;

    /// <inheritdoc/>
    public override RunRecipe Resolved() => (PairsRecipe)base.Resolved() with { Model = Model.Resolved(), Reward = Reward.Resolved(), GuideAnswers = Guide is null ? null : GuideAnswers ?? 1 };

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        foreach (var problem in DeviceProblems()) yield return problem;
        if (Data.EvaluationPath is not null) yield return ("data.evaluation_path", "pairs are made of the prompts of data.path; leave it out, and make others of the held-out file");
        if (Reward.Normalise) yield return ("reward", "normalise changes no order; leave it out");
        if (Model.Lora is not null) yield return ("model.lora", "a new adapter changes nothing before it is trained; leave it out");
        if (Guide is null && GuideAnswers is not null) yield return ("guide_answers", "there is no guide; set it, or leave this out");
        if (Choose == PairChoice.GuideRightModelWrong && Guide is null) yield return ("choose", "there is no guide whose answers could be right: set guide, or choose: best_and_worst");
        if (Choose == PairChoice.BestAndWorst && Success is not null) yield return ("success", "is for choose: guide_right_model_wrong; leave it out");
        if (Choose == PairChoice.BestAndWorst && Guide is null && Answers < 2) yield return ("answers", "one answer makes no pair; ask for two at least");
        if (Generation.Greedy || Generation.Beams is not null)
        {
            if (Answers > 1) yield return ("generation", "nothing is drawn, so that all answers to a prompt would be the same; sample, or set answers: 1 beside a guide");
        }
    }

    /// <summary>What loads the parts of a training run loads those of this: the same keys, and an iteration's rows.</summary>
    internal TrainRecipe AsTraining() => new()
    {
        Name = Name, Seed = Seed, Output = Output, Device = Device, Locations = Locations, Kinds = Kinds,
        Model = Model, Data = Data, Generation = Generation, Guide = Guide, Reward = Reward,
        Algorithm = new AlgorithmSection { Name = Algorithms.Presets.All[0].Name }, Iterations = 1, RowsPerIteration = PromptsAtOnce,
    };
}
