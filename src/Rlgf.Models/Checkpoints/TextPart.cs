using System.Text.Json.Nodes;

namespace Rlgf.Models.Checkpoints;

/// <summary>The part for texts of a model that takes images too: published checkpoints of some families hold both, and only this part is read.</summary>
internal static class TextPart
{
    private const string Section = "text_config";

    /// <summary>Models of both kinds by <c>model_type</c>, with the family of their text part where that doesn't say it itself, and what its classes are called.</summary>
    private static readonly Dictionary<string, (string Family, string ClassName)> Wholes = new(StringComparer.Ordinal)
    {
        ["gemma3"] = ("gemma3_text", "Gemma3"),
        ["qwen3_5"] = ("qwen3_5_text", "Qwen3_5"),
        ["mistral3"] = ("ministral3", "Ministral3"),
    };

    /// <summary>Keys beside the section that count where it says nothing.</summary>
    private static readonly string[] Shared =
    [
        "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id", "dtype", "torch_dtype", "transformers_version", "initializer_range", "quantization_config", "id2label", "label2id", "num_labels", "problem_type",
    ];

    /// <summary>Where a whole model's file has the text part's trunk, at its beginning.</summary>
    private static readonly string[] Trunks = ["language_model.model.", "model.language_model.", "language_model."];

    /// <summary>Where it has what isn't of the text part: images, and layers that predict further tokens.</summary>
    private static readonly string[] Others = ["vision_tower.", "multi_modal_projector.", "vision_projection.", "visual.", "patch_merger.", "mtp."];

    /// <summary>Names of whole models.</summary>
    public static IEnumerable<string> WholeTypes => Wholes.Keys;

    /// <summary>The configuration of the text part; the configuration itself where it is of one kind only.</summary>
    /// <exception cref="Rlgf.Base.InputException">There is no text part.</exception>
    public static ModelConfiguration Of(ModelConfiguration configuration)
    {
        var all = configuration.ToJson();
        if (all["model_type"] is not JsonValue type || !type.TryGetValue<string>(out var name) || !Wholes.TryGetValue(name, out var whole)) return configuration;
        if (configuration.Section(Section) is not { } section) throw configuration.Fault(Section, $"is missing: a model of the type '{name}' is read as its text part, whose settings are there");
        var text = section.ToJson();
        foreach (var key in Shared)
        {
            if (!text.ContainsKey(key) && all[key] is { } value) text[key] = value.DeepClone();
        }

        if (text["model_type"] is null) text["model_type"] = whole.Family;
        text["architectures"] = new JsonArray(configuration.IsClassifier ? $"{whole.ClassName}TextForSequenceClassification" : $"{whole.ClassName}ForCausalLM");
        return new ModelConfiguration(text, $"{configuration.Source}: {Section}") { IsTextPart = true };
    }

    /// <summary>The name that a tensor of a whole model's file has in a file of the text part alone; null for one that isn't of it.</summary>
    /// <param name="nameInFile">The name.</param>
    /// <param name="trunk">What the family calls all but its head.</param>
    public static string? NameOf(string nameInFile, string trunk)
    {
        var below = nameInFile.StartsWith("model.", StringComparison.Ordinal) ? nameInFile["model.".Length..] : nameInFile;
        if (Array.Exists(Others, other => below.StartsWith(other, StringComparison.Ordinal))) return null;
        // Its head is beside its trunk, on either level.
        if (nameInFile.StartsWith("language_model.lm_head.", StringComparison.Ordinal)) return nameInFile["language_model.".Length..];
        return Array.Find(Trunks, before => nameInFile.StartsWith(before, StringComparison.Ordinal)) is { } found ? $"{trunk}.{nameInFile[found.Length..]}" : nameInFile;
    }
}
