using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Loading;
using Rlgf.Text.Conversations;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Conversion;

/// <summary>What is chosen for an export.</summary>
public sealed record GgufExportSettings
{
    /// <summary>What most numbers are stored as.</summary>
    public required GgufFileType Type { get; init; }

    /// <summary>What the file calls the model.</summary>
    public required string Name { get; init; }

    /// <summary>The licence, as a model card names it; null where it isn't known.</summary>
    public string? License { get; init; }

    /// <summary>The model that it was made from, by its name on a hub; null where it isn't known.</summary>
    public string? BaseModel { get; init; }

    /// <summary>The most tokens of a text, where they are to be fewer than the model's own.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Where the tokenizer is, if it is not in the same folder.</summary>
    public string? TokenizerFolder { get; init; }
}

/// <summary>What was written.</summary>
/// <param name="Parameters">Numbers of the model.</param>
/// <param name="EndTexts">The tokens that end a text, as they are spelt.</param>
/// <param name="HasEndOfTurn">Whether they have the token by which the chat template ends an answer.</param>
/// <param name="AddedBos">The token that llama.cpp puts before every text, as it is spelt; null for none.</param>
/// <param name="ContextLength">The most tokens of a text.</param>
/// <param name="Sampling">What the folder recommends for sampling, by the keys of <c>generation_config.json</c>.</param>
/// <param name="Notes">What was stored otherwise than asked for, and what isn't quite the same in llama.cpp: a sentence each.</param>
public sealed record GgufExported(long Parameters, IReadOnlyList<string> EndTexts, bool HasEndOfTurn, string? AddedBos, int ContextLength, IReadOnlyDictionary<string, double> Sampling, IReadOnlyList<string> Notes);

/// <summary>Writes a language model's folder as a GGUF file, an adapter merged into its base: keys, tokenizer and tensors as llama.cpp's own converter makes them.</summary>
public static class GgufExport
{
    /// <summary>Writes a file. Tensors are read, packed and written one after the other, in pieces: memory holds the largest of them as it is stored and not the model.</summary>
    /// <param name="folder">The folder, of a model or of an adapter.</param>
    /// <param name="path">The file, which appears when it is whole.</param>
    /// <param name="settings">What is chosen.</param>
    /// <param name="progress">Is told the share that is written, from 0 to 1; what it throws ends the export.</param>
    /// <returns>What was written.</returns>
    /// <exception cref="InputException">The folder can't be read, llama.cpp has no such model or tokenizer, or the disk has no room; nothing is left then.</exception>
    /// <exception cref="IOException">The file can't be written; none is left.</exception>
    public static GgufExported Write(string folder, string path, GgufExportSettings settings, IProgress<double>? progress = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        TorchRuntime.Load();
        using var scope = NewDisposeScope();
        using var source = new GgufExportSource(folder);
        var keys = new GgufModelKeys(source.Configuration, settings.ContextLength);
        var notes = new List<string>();
        var (roles, hasEndOfTurn, tokenizerJson, tokenizerPath) = ReadTokenizer(folder, settings.TokenizerFolder, source.Configuration, notes);
        var tokenizer = new GgufTokenizerWriter(tokenizerPath, tokenizerJson, roles);
        tokenizer.RequireNameFits(settings.Name);
        keys.RequireHead(source.HasTiedHead);
        var tensors = TensorsOf(source, keys);
        var types = GgufMix.Choose(settings.Type, [.. tensors.Select(tensor => (tensor.Name, tensor.Shape))], out var fallbacks);

        var writer = new GgufFileWriter();
        var parameters = source.Weights.Sum(weight => Shapes.Elements(weight.Shape)!.Value);
        WriteGeneral(writer, keys.Architecture.Name, settings, parameters);
        keys.Write(writer);
        tokenizer.Write(writer, source.Vocabulary);
        foreach (var tensor in tensors) writer.Add(tensor with { Type = types[tensor.Name] });

        source.RequireEqualCopies();
        var all = (double)writer.Tensors.Sum(tensor => tensor.Bytes);
        long done = 0;
        writer.Write(path, Math.Max(1, get_num_threads()), bytes => progress?.Report((done += bytes) / all));
        return new GgufExported(parameters, [.. roles.EndIds.Select(tokenizer.TokenOf)], hasEndOfTurn, roles is { AddsBos: true, BosId: { } begin } ? tokenizer.TokenOf(begin) : null, keys.ContextLength, Sampling(folder), [.. source.Notes, .. notes, .. keys.Notes, .. tokenizer.Notes, .. Fallbacks(settings.Type, fallbacks, tensors.Count)]);
    }

    /// <summary>Fills a model's parameters from a file that was made of such a model, the other way through the same names and layouts.</summary>
    internal static void Read(GgufFile file, ILanguageModel model)
    {
        var keys = new GgufModelKeys(new ModelConfiguration(model.Configuration, file.Path), context: 1);
        using var gradients = no_grad();
        foreach (var (name, parameter) in Lora.ModuleWeights.Named(model.Module))
        {
            using var scope = NewDisposeScope();
            var (tensor, layout) = keys.Architecture.TensorOf(name) ?? throw new InputException($"{file.Path}: it has no place for '{name}'.");
            parameter.copy_(GgufRows.FromFile(file, tensor, layout, HeadsOf(layout, keys)));
            PackedProducts.Changed(parameter);
        }
    }

    private static int HeadsOf(GgufLayout layout, GgufModelKeys keys) => layout == GgufLayout.KeyPairs ? keys.KeyValueHeads : keys.Heads;

    /// <summary>The tensors, whose types are chosen when all are known.</summary>
    private static List<GgufTensorToWrite> TensorsOf(GgufExportSource source, GgufModelKeys keys)
    {
        var tensors = new List<GgufTensorToWrite>();
        if (keys.RotationFactors() is { } factors) tensors.Add(new GgufTensorToWrite("rope_freqs.weight", GgufType.F32, [factors.Length], [factors]));
        foreach (var (name, shape) in source.Weights)
        {
            var (tensor, layout) = keys.Architecture.TensorOf(name) ?? throw new InputException($"{source.Configuration.Source}: the model has '{name}', which llama.cpp's architecture '{keys.Architecture.Name}' has no place for.");
            keys.RequirePlace(name, tensor);
            tensors.Add(ToWrite(tensor, name, shape, layout));
        }

        if (keys.StoresTiedHead && source.TiedEmbedding is { } embedding) tensors.Add(ToWrite("output.weight", embedding.Name, embedding.Shape, GgufLayout.Same, keys.TiedHeadFactor));
        return tensors;

        GgufTensorToWrite ToWrite(string tensor, string name, IReadOnlyList<long> shape, GgufLayout layout, double factor = 1)
        {
            var numbers = GgufRows.InFile(() => source.Read(name), (first, count) => source.ReadRows(name, first, count), shape, layout, HeadsOf(layout, keys), factor);
            return new(tensor, GgufType.F32, layout == GgufLayout.Transposed ? [.. shape.Reverse()] : shape, numbers, source.OriginOf(name));
        }
    }

    private static void WriteGeneral(GgufFileWriter writer, string architecture, GgufExportSettings settings, long parameters)
    {
        writer.Text("general.architecture", architecture);
        writer.Text("general.type", "model");
        writer.Text("general.name", settings.Name);
        writer.Text("general.size_label", SizeLabel(parameters));
        if (settings.License is { } license) writer.Text("general.license", license);
        if (settings.BaseModel is { } trained)
        {
            writer.Whole("general.base_model.count", 1);
            writer.Text("general.base_model.0.name", trained[(trained.LastIndexOf('/') + 1)..]);
            if (trained.Split('/') is [{ Length: > 0 } organization, { Length: > 0 }] and not [".." or ".", _])
            {
                writer.Text("general.base_model.0.organization", organization);
                writer.Text("general.base_model.0.repo_url", $"https://huggingface.co/{trained}");
            }
        }

        writer.Whole("general.file_type", (int)settings.Type);
        writer.Whole("general.quantization_version", 2);
    }

    /// <summary>How many numbers a model has, in two digits at least: 84K, 135M, 7.2B.</summary>
    internal static string SizeLabel(long parameters)
    {
        var (unit, label) = parameters > 1e12 ? (1e12, "T") : parameters > 1e9 ? (1e9, "B") : parameters > 1e6 ? (1e6, "M") : (1e3, "K");
        var count = parameters / unit;
        return count.ToString(Math.Round(count) < 10 ? "0.0" : "0", CultureInfo.InvariantCulture) + label;
    }

    private static IEnumerable<string> Fallbacks(GgufFileType type, IReadOnlyList<(string Name, GgufType Type)> fallbacks, int tensors)
    {
        if (fallbacks.Count == 0) yield break;
        var kinds = fallbacks.GroupBy(tensor => tensor.Type).Select(group => $"{group.Count()} as {group.Key}");
        yield return $"{fallbacks.Count} of {tensors} tensors have rows that the blocks of {type} don't fit into ({fallbacks[0].Name} and others like it); they are stored {string.Join(", ", kinds)}, as llama.cpp does";
    }

    private static (GgufTokenizerRoles Roles, bool HasEndOfTurn, JsonObject Json, string Path) ReadTokenizer(string folder, string? tokenizerFolder, ModelConfiguration configuration, List<string> notes)
    {
        tokenizerFolder = TextModel.TokenizerFolderOf(folder, tokenizerFolder);
        var tokenizer = TokenizerFolder.Load(tokenizerFolder);
        var vocabulary = configuration.Size("vocab_size");
        TextModel.RequireFit(tokenizer, tokenizerFolder, vocabulary, folder);
        var path = Path.Combine(tokenizerFolder, "tokenizer.json");
        if (!File.Exists(path)) throw new InputException($"{path}: there is no such file, and the tokenizer is written from it: in Python, AutoTokenizer.from_pretrained(folder).save_pretrained(folder) makes it");
        var json = ReadJson(path);
        var generation = LanguageModelFolder.ReadGenerationSettings(folder);
        var settings = new SettingsFile(configuration.Source, configuration.ToJson());
        var ends = RoleTokens.Ends(generation, settings, tokenizer, vocabulary).Ids;
        if (tokenizer.EosId is { } end && ends.Contains(end)) ends = [end, .. ends.Where(id => id != end)];
        var template = TokenizerFolder.FindChatTemplate(tokenizerFolder);
        var turn = template is null ? null : new ConversationEncoder(ChatTemplate.Parse(template.Name, template.Text, template.SpecialTokens), tokenizer, DateTime.UnixEpoch).EndOfTurn;
        if (template is not null && turn is null) notes.Add("the chat template writes no token of its own after an answer: the file can't say where one ends, and programs write on to the end of a text");
        else if (turn is { } unnamed && !ends.Contains(unnamed)) notes.Add($"the chat template ends an answer by {tokenizer.TokenOf(unnamed)}, which eos_token_id doesn't name; it is the file's token for the end of a turn");
        var (before, after) = Around(tokenizer, path);
        if (after is not null && after != (ends.Count > 0 ? ends[0] : null))
            throw new InputException($"{path}: post_processor puts {tokenizer.TokenOf(after.Value)} behind every text, which isn't the token that ends one; a GGUF file has no place for another.");
        var begin = before ?? (RoleTokens.Begin(generation, settings, tokenizer, vocabulary).Ids is [var id] ? id : null);
        return (new GgufTokenizerRoles
        {
            BosId = begin,
            EndIds = WithTurn(ends, turn),
            PadId = tokenizer.PadId,
            AddsBos = before is not null,
            AddsEos = after is not null,
            Unknown = Unknown(Path.Combine(tokenizerFolder, "tokenizer_config.json")),
            ChatTemplate = template?.Text,
        }, turn is not null, json, path);
    }

    /// <summary>The end of a turn stands second, behind the end of a text where that is another: so the format's keys have them, and whoever reads the first two knows both.</summary>
    private static IReadOnlyList<int> WithTurn(IReadOnlyList<int> ends, int? turn) => turn is not { } id || (ends.Count > 0 && ends[0] == id) ? ends : [.. ends.Take(1), id, .. ends.Skip(1).Where(other => other != id)];

    /// <summary>The tokens that stand around every text: at most one before it and one behind it.</summary>
    private static (int? Before, int? After) Around(ITokenizer tokenizer, string path)
    {
        int[] plain = tokenizer.Encode("a"), whole = tokenizer.Encode("a", addSpecialTokens: true);
        var first = whole.AsSpan().IndexOf(plain);
        if (first < 0 || first > 1 || whole.Length - first - plain.Length > 1)
            throw new InputException($"{path}: post_processor makes {string.Join(" ", whole.Select(tokenizer.TokenOf))} of the text 'a': a GGUF file has a place for one token before every text and one behind it.");
        return (first == 1 ? whole[0] : null, first + plain.Length < whole.Length ? whole[^1] : null);
    }

    private static Dictionary<string, double> Sampling(string folder)
    {
        string[] keys = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"];
        var settings = LanguageModelFolder.ReadGenerationSettings(folder).Settings ?? [];
        return keys.Where(key => settings[key] is JsonValue value && value.TryGetValue<double>(out _)).ToDictionary(key => key, key => (double)settings[key]!, StringComparer.Ordinal);
    }

    private static string? Unknown(string path) => !File.Exists(path) ? null : ReadJson(path)["unk_token"] switch
    {
        JsonObject token => (string?)token["content"],
        JsonValue token when token.TryGetValue<string>(out var text) => text,
        _ => null,
    };

    private static JsonObject ReadJson(string path)
    {
        try
        {
            return JsonNode.Parse(RegularFile.ReadText(path)) as JsonObject ?? throw new JsonException("it is not an object");
        }
        catch (JsonException failure)
        {
            throw ForeignContent.Fault(path) ?? JsonFault.Of(path, failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be read: {failure.Message.ReplaceLineEndings(" ")}", failure);
        }
    }
}
