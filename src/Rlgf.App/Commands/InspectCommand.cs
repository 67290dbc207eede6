using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Rlgf.App.Terminals;
using Rlgf.Models.Inspection;
using Rlgf.Models.Loading;

namespace Rlgf.App.Commands;

/// <summary><c>rlgf inspect</c>: what a folder or file of weights holds.</summary>
internal static class InspectCommand
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The command.</summary>
    public static Command Create(Terminal terminal)
    {
        var path = new Argument<string>("PATH") { Description = "Folder of a model in the Hugging Face format, or a .gguf, .safetensors or .bin file." };
        var json = new Option<bool>("--json") { Description = "Write one JSON object instead of text." };
        var command = new Command("inspect", CommonOptions.Describe(
            "Says what a model's folder or file holds: family, sizes, type of the numbers, files, tokenizer, the tokens that end a text and which file names them, chat template, whether it can be used here and if not what keeps it from that, and the memory that it needs. " +
            "Weights aren't read. To run takes parameters x 4 bytes in float32 or x 2 in bfloat16; to train by AdamW in float32 takes parameters x 4 bytes and trained ones x 12 more (gradients, two moments); what a batch takes comes to that.",
            "rlgf inspect assets/policy"))
        {
            path, json,
        };
        command.SetAction(parsed =>
        {
            var description = ModelInspector.Inspect(parsed.GetRequiredValue(path));
            if (parsed.GetValue(json)) terminal.Out.WriteLine(JsonSerializer.Serialize(description, Json));
            else foreach (var (name, text) in Lines(description)) terminal.Out.WriteLine($"{name,-16}{text}");
            return ExitCode.Ok;
        });
        return command;
    }

    private static IEnumerable<(string Name, string Text)> Lines(ModelDescription model)
    {
        yield return ("model", Join(", ", $"{model.Family} {model.Kind}".Trim(), model.Architecture, model.Base is { } adapted ? $"on {adapted}{(model.BaseIsMissing ? ", which is missing" : "")}" : null, model.Format switch { "folder" => "in the Hugging Face format", "pytorch" => "a PyTorch file", var file => $"a {file} file" }));
        if (model.Labels is { } labels) yield return ("labels", string.Join(", ", labels));
        if (model.Sizes is { } sizes)
        {
            yield return ("sizes", Join(
                ", ",
                sizes.DecoderLayers is { } decoder ? $"{sizes.Layers} + {decoder} layers × {sizes.Width}" : $"{sizes.Layers} layers × {sizes.Width}",
                sizes.KeyValueHeads == sizes.Heads ? $"{sizes.Heads} heads" : $"{sizes.Heads} heads ({sizes.KeyValueHeads} with keys and values)",
                sizes.Vocabulary is { } vocabulary ? $"vocabulary {Count(vocabulary)}" : null,
                sizes.Context is { } context ? $"context {Count(context)}" : null));
        }

        var stored = model.StoredTypes.OrderByDescending(type => type.Value).Select(type => model.StoredTypes.Count == 1 ? type.Key : $"{type.Key} ({Count(type.Value)})");
        yield return ("parameters", model.Parameters is not { } parameters ? "not known: the weights can't be read" : model.BaseIsMissing ? $"{Count(parameters)} of the adapter; those of the base model aren't known" : Join(", ", Count(parameters), model.AdapterParameters is { } trained ? $"{Count(trained)} of them the adapter's" : null, model.StoredTypes.Count == 0 ? null : $"stored as {string.Join(", ", stored)}"));
        yield return ("files", string.Join(", ", model.Files.Select(file => $"{file.Name} ({Size(file.Bytes)})")));
        yield return ("tokenizer", model.Tokenizer is { } tokenizer ? Join(", ", $"{tokenizer.Kind}", $"{Count(tokenizer.Vocabulary)} ids", Role("BOS", tokenizer.Bos), Role("EOS", tokenizer.Eos), Role("PAD", tokenizer.Pad)) : model.BaseIsMissing ? "not known: it comes with the base model, which is missing" : "none that can be read");
        if (model.EndTokens is { } ends)
        {
            var tokens = string.Join(", ", ends.Tokens.Select(token => token.Text.Length > 0 ? $"{token.Text} ({token.Id})" : $"({token.Id})"));
            yield return ("end tokens", ends.From is null ? "none: a text ends only at its limit" : $"{tokens}, from {(ends.From == RoleTokens.Tokenizer ? "the tokenizer" : ends.From)}");
        }

        if (!model.BaseIsMissing || model.ChatTemplate)
            yield return ("chat template", model.ChatTemplateProblem is { } problem ? $"yes, but it can't be used: {problem}" : model.ChatTemplate ? "yes" : "no");
        foreach (var note in model.Notes) yield return ("note", note);
        if (model.BaseIsMissing)
        {
            yield return ("supported", $"no: {string.Join("; ", model.NotSupported.Distinct())}");
            yield break;
        }

        if (model.Memory is { } memory)
        {
            yield return ("memory to run", Join(
                ", ", $"{Size(memory.RunFloat32)} in float32 (parameters × 4 bytes)", $"{Size(memory.RunBfloat16)} in bfloat16 (× 2)", memory.CacheFloat32PerToken is { } cache ? $"and {Size(cache)} for each token of each row in the cache" : null));
            yield return ("memory to train", $"{Size(memory.TrainFloat32)} in float32 ({(model.AdapterParameters is null ? "parameters × 16 bytes: weights, gradients, AdamW's two moments" : "parameters × 4 bytes, the adapter's × 12 more: gradients, AdamW's two moments")}), and what a batch needs");
        }

        yield return ("supported", model.Supported ? model.Format == "gguf" ? "yes, after rlgf convert" : "yes" : $"no: {string.Join("; ", model.NotSupported)}");
    }

    private static string? Role(string name, SpecialToken? token) => token is null ? null : $"{name} {token.Text} ({token.Id})";

    private static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Size(long bytes) => bytes switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.00} GB"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB"),
        >= 1_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:0.0} kB"),
        _ => $"{bytes} bytes",
    };

    private static string Join(string separator, params string?[] parts) => string.Join(separator, parts.Where(part => !string.IsNullOrEmpty(part)));
}
