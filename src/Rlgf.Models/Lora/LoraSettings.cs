using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;

namespace Rlgf.Models.Lora;

/// <summary>A new low-rank adapter (Hu et al. 2022): the weights of a model stay as they are, and to some of its maps a product of two narrow ones is added, which is trained.</summary>
public sealed record LoraSettings
{
    /// <summary>The target that stands for all linear maps but the head.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>r: width between the two narrow maps.</summary>
    [Limits(AtLeast = 1, AtMost = 65_536)]
    public int Rank { get; init; } = 8;

    /// <summary>The product is multiplied by alpha / r.</summary>
    [Limits(Above = 0, AtMost = 1e6)]
    public double Alpha { get; init; } = 16;

    /// <summary>Share of the product's inputs that supervised training leaves out at random. Reinforcement learning leaves out none: the policy that learns is the one that wrote.</summary>
    [Limits(AtLeast = 0, AtMost = 0.99)]
    public double Dropout { get; init; }

    /// <summary>Which maps: last parts of their names in the checkpoint, such as <c>q_proj</c> or <c>self_attn.q_proj</c>; or <c>all-linear</c> alone.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = [AllLinear];

    /// <summary>Whether the product is multiplied by alpha / √r instead (Kalajdzievski 2023).</summary>
    public bool RankStabilised { get; init; }

    /// <summary>The settings as an adapter's file has them.</summary>
    /// <param name="targets">The maps that it has, by the last part of their names.</param>
    /// <param name="baseFolder">Folder of the model that it is for.</param>
    /// <param name="task">CAUSAL_LM, SEQ_2_SEQ_LM or SEQ_CLS.</param>
    /// <param name="transposed">Whether some of the maps are stored [in, out].</param>
    /// <param name="modulesToSave">Modules that are trained and stored whole.</param>
    internal LoraConfiguration ToConfiguration(IReadOnlyList<string> targets, string baseFolder, string task, bool transposed, IReadOnlyList<string> modulesToSave) => new(
        new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = task,
            ["base_model_name_or_path"] = Path.GetFullPath(baseFolder),
            ["inference_mode"] = true,
            ["r"] = Rank,
            ["lora_alpha"] = Alpha,
            ["lora_dropout"] = Dropout,
            ["target_modules"] = new JsonArray([.. targets.Select(target => (JsonNode)target)]),
            ["modules_to_save"] = modulesToSave.Count == 0 ? null : new JsonArray([.. modulesToSave.Select(name => (JsonNode)name)]),
            ["fan_in_fan_out"] = transposed,
            ["use_rslora"] = RankStabilised,
            ["bias"] = "none",
            ["init_lora_weights"] = true,
        },
        Rank,
        Alpha,
        RankStabilised,
        Dropout,
        modulesToSave,
        Path.GetFullPath(baseFolder));
}
