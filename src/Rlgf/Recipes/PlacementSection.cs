using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Models.NumberTypes;
using Rlgf.Training;

namespace Rlgf.Recipes;

/// <summary>Where a part of a run computes and in which type; what is left out is as the recipe's <c>device</c>, and float32.</summary>
public sealed record PartPlacement
{
    /// <summary>As <c>device</c> of the recipe; null for that.</summary>
    [MayChangeOnResume]
    public string? Device { get; init; }

    /// <summary>What it computes with; null for float32. <c>auto</c> is bfloat16 on a GPU and on processors with instructions for its products, float32 elsewhere.</summary>
    public Precision? Precision { get; init; }
}

/// <summary>Where the policy computes and in which type.</summary>
public sealed record PolicyPlacement
{
    /// <summary>As <c>device</c> of the recipe; null for that.</summary>
    [MayChangeOnResume]
    public string? Device { get; init; }

    /// <summary>What it computes with; null for float32. With <c>bfloat16_base</c> the base under a LoRA adapter is bfloat16, and rollouts and reference are so too; <c>auto</c> is that where there is an adapter and a GPU or a processor for it, float32 elsewhere.</summary>
    public PolicyPrecision? Precision { get; init; }
}

/// <summary>What a guide or a reward has that could be placed.</summary>
public enum PlacedModels
{
    /// <summary>It has no model on this machine.</summary>
    None,

    /// <summary>Models that always compute in float32: a device can be said.</summary>
    Float32,

    /// <summary>Models that compute in whichever type is said.</summary>
    AnyType,
}

/// <summary>Where single parts of a run compute and in which type.</summary>
public sealed record PlacementSection
{
    /// <summary>The policy that is trained.</summary>
    public PolicyPlacement Policy { get; init; } = new();

    /// <summary>
    /// The policy's own writing, by a copy of it where that is elsewhere or in another type. The log-probabilities that the update compares with are then the copy's: those of what was sampled. Its device is the
    /// policy's where none is said.
    /// </summary>
    public PartPlacement Rollouts { get; init; } = new();

    /// <summary>The reference of the KL penalty. The policy that it is compared with computes in the same type, so bfloat16 goes with rollouts in it and with <c>kl.placement: reward</c>.</summary>
    public PartPlacement Reference { get; init; } = new();

    /// <summary>The critics' own models (<c>critic.sharing: separate</c>): float32 always.</summary>
    public PartPlacement Critic { get; init; } = new();

    /// <summary>The guide, where it is a model on this machine.</summary>
    public PartPlacement Guide { get; init; } = new();

    /// <summary>Classifiers of the reward.</summary>
    public PartPlacement Rewards { get; init; } = new();

    /// <summary>Classifiers of the judge.</summary>
    public PartPlacement Judge { get; init; } = new();

    /// <summary>The parts by their keys.</summary>
    internal IEnumerable<(string Key, PartPlacement Part)> Parts =>
        [("policy", new PartPlacement { Device = Policy.Device }), ("rollouts", Rollouts), ("reference", Reference), ("critic", Critic), ("guide", Guide), ("rewards", Rewards), ("judge", Judge)];
}

/// <summary>Where each part of a run computes, resolved: the one place that says it.</summary>
/// <param name="Policy">The policy that is trained.</param>
/// <param name="Rollouts">What writes in its place; the policy itself where this is the same.</param>
/// <param name="Reference">The reference of the KL penalty.</param>
/// <param name="Critic">The critics' own models; heads on the policy's states are where that is.</param>
/// <param name="Guide">The guide's models.</param>
/// <param name="Rewards">The reward's.</param>
/// <param name="Judge">The judge's.</param>
public sealed record RunPlacement(
    ModelPlacement Policy, ModelPlacement Rollouts, ModelPlacement Reference, ModelPlacement Critic, ModelPlacement Guide, ModelPlacement Rewards, ModelPlacement Judge)
{
    /// <summary>The types with every <c>auto</c> replaced, in types and devices, and the types of the older section <c>precision</c> put where they belong. A device that isn't said stays so: it follows the recipe's.</summary>
    internal static PlacementSection Types(TrainRecipe recipe, KlPlacement kl)
    {
        var (placed, older) = (recipe.Placement, recipe.Precision ?? new PrecisionSection());
        var policy = BaseType.Resolved(placed.Policy.Precision ?? older.Policy, placed.Policy.Device ?? recipe.Device, recipe.Model.Path, recipe.Model.Lora);
        // What is in memory once for all that is on it is of one type.
        var unsaid = policy == PolicyPrecision.Bfloat16Base ? Models.NumberTypes.Precision.Bfloat16 : Models.NumberTypes.Precision.Float32;
        var rollouts = Said(placed.Rollouts.Precision ?? older.Rollouts).ResolvedOn(placed.Rollouts.Device ?? placed.Policy.Device ?? recipe.Device);
        var reference = Said(placed.Reference.Precision ?? older.Reference);
        // What is compared is computed in one type; as a loss the KL compares with the policy that is trained, which is float32.
        var canRound = policy == PolicyPrecision.Bfloat16Base || (rollouts == Models.NumberTypes.Precision.Bfloat16 && kl == KlPlacement.Reward);
        placed = new PlacementSection
        {
            Policy = new() { Device = placed.Policy.Device is { } device ? DeviceName.Resolved(device) : null, Precision = policy }, Rollouts = At(placed.Rollouts), Reference = At(placed.Reference), Critic = At(placed.Critic), Guide = At(placed.Guide), Rewards = At(placed.Rewards), Judge = At(placed.Judge),
        };
        return placed with
        {
            Rollouts = placed.Rollouts with { Precision = rollouts },
            Reference = placed.Reference with { Precision = reference == Models.NumberTypes.Precision.Auto && !canRound ? Models.NumberTypes.Precision.Float32 : reference.ResolvedOn(placed.Reference.Device ?? recipe.Device) },
            Guide = recipe.Guide is null ? placed.Guide : placed.Guide with { Precision = TypeOf(recipe.Guide.Models, placed.Guide, older.Guide) },
            Rewards = placed.Rewards with { Precision = TypeOf(recipe.Reward.Models, placed.Rewards, older.Rewards) },
            Judge = recipe.Judge is null ? placed.Judge : placed.Judge with { Precision = TypeOf(recipe.Judge.Models, placed.Judge, older.Rewards) },
        };

        // With a base that is bfloat16 the type is decided, also on a processor where auto alone would be float32.
        Precision Said(Precision? type) => type is null || (type == Models.NumberTypes.Precision.Auto && policy == PolicyPrecision.Bfloat16Base) ? unsaid : type.Value;

        // The older key of rewards is the judge's too, and one of the two may have nothing that computes in it.
        Precision TypeOf(PlacedModels has, PartPlacement part, Precision? older) => has == PlacedModels.AnyType ? Type(recipe, part, older) : Models.NumberTypes.Precision.Float32;

        static PartPlacement At(PartPlacement part) => part.Device is { } device ? part with { Device = DeviceName.Resolved(device) } : part;
    }

    /// <summary>The places of a recipe whose types are resolved.</summary>
    /// <exception cref="InputException">A device isn't there; names file, line and key.</exception>
    internal static RunPlacement Of(TrainRecipe recipe)
    {
        recipe.RequireDevices();
        var placed = recipe.Placement;
        var policy = placed.Policy.Device ?? recipe.Device;
        return new(
            new(DeviceName.Of(policy), placed.Policy.Precision == PolicyPrecision.Bfloat16Base ? Models.NumberTypes.Precision.Bfloat16 : Models.NumberTypes.Precision.Float32), At(placed.Rollouts, placed.Rollouts.Device ?? policy), At(placed.Reference, recipe.Device), At(placed.Critic, placed.Critic.Device ?? policy),
            At(placed.Guide, recipe.Device), At(placed.Rewards, recipe.Device), At(placed.Judge, recipe.Device));

        ModelPlacement At(PartPlacement part, string otherwise) => new(DeviceName.Of(part.Device ?? otherwise), part.Precision ?? Models.NumberTypes.Precision.Float32);
    }

    /// <summary>What a recipe says of places and types that it can't have, whatever the machine.</summary>
    internal static IEnumerable<(string Key, string Problem)> Problems(TrainRecipe recipe)
    {
        var (placed, older) = (recipe.Placement, recipe.Precision ?? new PrecisionSection());
        foreach (var (key, part) in placed.Parts)
        {
            if (part.Device is { } device && DeviceName.Fault(device) is { } fault) yield return ($"placement.{key}.device", fault);
        }

        if (placed.Critic.Precision is not (null or Models.NumberTypes.Precision.Float32)) yield return ("placement.critic.precision", "what is trained is float32; leave it out");
        if (placed.Policy.Precision is not null && older.Policy is not null) yield return ("placement.policy.precision", "precision.policy says it too; leave one of them out");

        (string Key, PartPlacement Part, string OlderKey, Precision? Type)[] twice =
        [
            ("rollouts", placed.Rollouts, "rollouts", older.Rollouts), ("reference", placed.Reference, "reference", older.Reference), ("guide", placed.Guide, "guide", older.Guide),
            ("rewards", placed.Rewards, "rewards", older.Rewards), ("judge", placed.Judge, "rewards", older.Rewards),
        ];
        foreach (var (key, part, olderKey, type) in twice)
        {
            if (part.Precision is not null && type is not null) yield return ($"placement.{key}.precision", $"precision.{olderKey} says it too; leave one of them out");
        }

        foreach (var problem in Unused(recipe)) yield return problem;
        if (placed.Critic.Device is not null && recipe.Critic.Sharing != CriticSharing.Separate)
            yield return ("placement.critic.device", "the critic is a head on the policy's states and is where those are; leave it out, or set critic.sharing: separate");

        var rollouts = placed.Rollouts.Precision ?? older.Rollouts;
        var isRounded = (placed.Policy.Precision ?? older.Policy) == PolicyPrecision.Bfloat16Base;
        if (isRounded && rollouts == Models.NumberTypes.Precision.Float32)
            yield return (placed.Rollouts.Precision is null ? "precision.rollouts" : "placement.rollouts.precision", "the policy's base is bfloat16, of which a float32 copy would be twice as large and no more exact; leave it out");
        var (said, reference) = (placed.Reference.Precision is null ? "precision.reference" : "placement.reference.precision", placed.Reference.Precision ?? older.Reference);
        if (isRounded && reference == Models.NumberTypes.Precision.Float32)
            yield return (said, "float32 would be compared with a policy whose base is bfloat16, so that the start had a KL to itself; leave it out");
        if (isRounded) yield break;
        if (reference == Models.NumberTypes.Precision.Bfloat16 && rollouts != Models.NumberTypes.Precision.Bfloat16)
            yield return (said, "bfloat16 would be compared with a policy in another type, so that the start had a KL to itself; let rollouts be bfloat16 too, or leave the reference float32");
        else if (reference == Models.NumberTypes.Precision.Bfloat16 && recipe.Kl.For(recipe.Algorithm.ToSettings()).Placement == KlPlacement.Loss)
            yield return (said, "bfloat16 would be compared with the policy that is trained, which is float32; with kl.placement: loss the reference must be float32");
    }

    /// <summary>Places of parts that aren't there, or that have nothing to place. The type that a part has anyway is no claim, and runs keep it in their recipes.</summary>
    private static IEnumerable<(string Key, string Problem)> Unused(TrainRecipe recipe)
    {
        var (placed, older) = (recipe.Placement, recipe.Precision ?? new PrecisionSection());
        if (placed.Guide != new PartPlacement() && recipe.Guide is null) yield return ("placement.guide", "there is no guide; leave it out, or set guide");
        if (placed.Judge != new PartPlacement() && recipe.Judge is null) yield return ("placement.judge", "there is no judge; leave it out, or set judge");
        if (placed.Critic != new PartPlacement() && recipe.Algorithm.ToSettings() is { Advantage: not AdvantageEstimator.Gae, Name: var name }) yield return ("placement.critic", $"'{name}' has no critic; leave it out");

        (string Key, PartPlacement Part, PlacedModels? Has)[] parts =
            [("guide", placed.Guide, recipe.Guide?.Models), ("rewards", placed.Rewards, recipe.Reward.Models), ("judge", placed.Judge, recipe.Judge?.Models)];
        foreach (var (key, part, has) in parts)
        {
            var what = key == "rewards" ? "reward" : key;
            if (has == PlacedModels.None && part.Device is not null) yield return ($"placement.{key}.device", $"the {what} has no model on this machine to place; leave it out");
            if (has == PlacedModels.None && IsSaid(part.Precision)) yield return ($"placement.{key}.precision", $"the {what} has no model on this machine that computes; leave it out");
            if (has == PlacedModels.Float32 && IsSaid(part.Precision)) yield return ($"placement.{key}.precision", $"the {what}'s models compute in float32 always; leave it out");
        }

        if (IsSaid(older.Guide) && recipe.Guide?.Models != PlacedModels.AnyType) yield return ("precision.guide", "there is no guide with models that compute in another type than float32; leave it out");
        if (IsSaid(older.Rewards) && recipe.Reward.Models != PlacedModels.AnyType && recipe.Judge?.Models != PlacedModels.AnyType)
            yield return ("precision.rewards", "neither reward nor judge has models that compute in another type than float32; leave it out");

        static bool IsSaid(Precision? type) => type is not (null or Models.NumberTypes.Precision.Float32);
    }

    private static Precision Type(TrainRecipe recipe, PartPlacement part, Precision? older) => (part.Precision ?? older ?? Models.NumberTypes.Precision.Float32).ResolvedOn(part.Device ?? recipe.Device);
}
