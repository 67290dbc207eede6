using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Conversion;
using Rlgf.Models.Families;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Loading;
using Rlgf.Text;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Inspection;

/// <summary>Says what a folder or file of weights holds, without reading the weights.</summary>
public static class ModelInspector
{
    private static readonly string[] FilesOfInterest = ["*.json", "*.safetensors", "*.bin", "*.gguf", "*.model", "*.txt", "*.jinja"];

    /// <summary>Looks at a Hugging Face folder, an adapter's folder, or a GGUF, safetensors or PyTorch file.</summary>
    /// <exception cref="InputException">There is no such path, or the file is malformed. A folder whose parts are missing, malformed or not supported is described all the same, with what is wrong with it.</exception>
    public static ModelDescription Inspect(string path)
    {
        TorchRuntime.Load();
        if (Directory.Exists(path)) return InspectFolder(path);
        if (!File.Exists(path)) throw new InputException($"{path}: there is no such folder or file.");
        return Path.GetExtension(path).ToUpperInvariant() switch
        {
            ".GGUF" => InspectGguf(path),
            ".SAFETENSORS" => InspectTensors(path, "safetensors", SafetensorsFile.Open),
            ".BIN" => InspectTensors(path, "pytorch", PyTorchFile.Open),
            var other => throw new InputException($"{path}: files of the kind '{other}' aren't known; give a model's folder, or a .gguf, .safetensors or .bin file."),
        };
    }

    private static ModelDescription InspectFolder(string folder)
    {
        var (faults, notes) = (new List<string>(), new List<string>());
        var isAdapter = AdapterFolder.Is(folder);
        // Of an adapter something can be said without its base; of a model nothing without its configuration.
        var configuration = isAdapter ? Attempt(() => FolderConfiguration.Read(folder), faults) : FolderConfiguration.Read(folder);
        var isClassifier = configuration?.IsClassifier == true;
        var json = configuration?.ToJson();
        var read = configuration is null ? null : Attempt(() => TokenizerFolder.Load(TextModel.TokenizerFolderOf(folder)), faults);
        var tokenizer = read is null ? null : TokenizerOf(read, TextModel.TokenizerFolderOf(folder));
        using var checkpoint = configuration is null ? null : Attempt(() => Checkpoint.Open(AdapterFolder.BaseOf(folder)), faults);
        using var adapter = isAdapter ? Attempt(() => AdapterFolder.Open(folder), faults) : null;
        var template = HasChatTemplate(folder) ? folder : configuration is not null && isAdapter && HasChatTemplate(AdapterFolder.BaseOf(folder)) ? AdapterFolder.BaseOf(folder) : null;
        var adapterParameters = adapter?.Entries.Values.Sum(entry => entry.Elements);
        IEnumerable<StoredTensor> stored = [.. checkpoint?.Names.Select(checkpoint.Entry) ?? [], .. adapter?.Entries.Values ?? []];
        return new ModelDescription
        {
            Path = folder,
            Format = "folder",
            Family = json is null ? null : TextOf(json, "model_type"),
            Architecture = configuration?.Architecture,
            Kind = isAdapter ? "adapter" : isClassifier ? "classifier" : "language model",
            Base = isAdapter ? TextOf(ReadJson(Path.Combine(folder, AdapterFolder.ConfigurationFile)), "base_model_name_or_path") : null,
            BaseIsMissing = isAdapter && !AdapterFolder.HasBase(folder),
            Labels = isClassifier ? Attempt(configuration!.Labels, faults) : null,
            Sizes = json is null ? null : SizesOf(json),
            Parameters = checkpoint is null ? adapterParameters : Parameters(folder, configuration!, checkpoint, tokenizer, faults, notes) + (adapterParameters ?? 0),
            AdapterParameters = isAdapter ? adapterParameters ?? 0 : null,
            StoredTypes = Types(stored),
            Files = FilesOf(folder),
            Tokenizer = tokenizer,
            EndTokens = configuration is null || isClassifier ? null : Attempt(() => EndsOf(folder, configuration, read), faults),
            ChatTemplate = template is not null,
            ChatTemplateProblem = template is null ? null : ProblemOf(() => ChatTemplateFolder.Load(template)),
            Notes = notes,
            NotSupported = faults,
        };
    }

    /// <summary>Builds the model without values, which takes no memory, and compares it with what is stored: that finds whatever loading it would. Gives the parameters of the model itself, without an adapter's.</summary>
    private static long Parameters(string folder, ModelConfiguration configuration, Checkpoint checkpoint, TokenizerDescription? tokenizer, List<string> faults, List<string> notes)
    {
        var all = checkpoint.Names.Sum(name => checkpoint.Entry(name).Elements);
        return Attempt(
            () =>
            {
                var family = ModelFamilies.Of(configuration);
                using var model = ModelFolder.Build<IDisposable>(
                    family, configuration, checkpoint,
                    (builder, settings) => settings.IsClassifier ? builder.CreateClassifier(settings, CPU) : builder.CreateLanguageModel(RoleTokens.WithStart(settings, LanguageModelFolder.ReadGenerationSettings(folder)), CPU));
                var module = model is ILanguageModel language ? language.Module : ((ISequenceClassifier)model).Module;
                var isAdapter = AdapterFolder.Is(folder);
                var comesWithAdapter = isAdapter ? AdapterFolder.Brings(folder) : _ => false;
                var matches = WeightMatching.Match(module, checkpoint, ModelFolder.NamesOf(family, configuration, folder, comesWithAdapter));
                notes.AddRange(matches.Notes);
                if (isAdapter) AdapterFolder.Load(module, folder);
                if (tokenizer is not null && model is ILanguageModel { Shape.Vocabulary: var vocabulary } && tokenizer.Vocabulary > vocabulary)
                    faults.Add($"the tokenizer has {tokenizer.Vocabulary} ids and the model embeddings for {vocabulary}");
                return (long?)matches.Pairs.Sum(match => checkpoint.Entry(match.StoredName).Elements);
            },
            faults) ?? all;
    }

    private static ModelDescription InspectTensors(string path, string format, Func<string, ITensorFile> open)
    {
        using var file = open(path);
        return new ModelDescription
        {
            Path = path,
            Format = format,
            Kind = "tensors",
            Parameters = file.Entries.Values.Sum(entry => entry.Elements),
            StoredTypes = Types(file.Entries.Values),
            Files = [new FileSize(Path.GetFileName(path), new FileInfo(path).Length)],
            NotSupported = [],
        };
    }

    private static ModelDescription InspectGguf(string path)
    {
        using var file = GgufFile.Open(path);
        var metadata = file.Metadata;
        var faults = new List<string>();
        var architecture = metadata.Text("general.architecture");
        var model = Attempt(() => new GgufModel(file), faults);
        var tokenizer = Attempt(() => new GgufTokenizer(metadata), faults);
        if (model is not null && tokenizer is not null) Attempt(() => model.ToConfiguration(tokenizer), faults);
        var heads = Size("attention.head_count");
        var width = Size("embedding_length");
        return new ModelDescription
        {
            Path = path,
            Format = "gguf",
            Family = architecture,
            Architecture = metadata.Text("general.name"),
            Kind = "language model",
            Sizes = new ModelSizes(
                Size("block_count"), null, width, heads, Size("attention.head_count_kv") ?? heads, Size("attention.key_length") ?? (heads is > 0 ? width / heads : null), model?.Vocabulary, Size("context_length")),
            Parameters = file.Tensors.Where(pair => pair.Key != "rope_freqs.weight").Sum(pair => pair.Value.Elements),
            StoredTypes = file.Tensors.Values.GroupBy(tensor => tensor.Type.ToString(), StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.Sum(tensor => tensor.Elements), StringComparer.Ordinal),
            Files = [.. file.Paths.Select(part => new FileSize(Path.GetFileName(part), LengthOf(part)))],
            Tokenizer = tokenizer is null ? null : new TokenizerDescription(tokenizer.Description, tokenizer.Count, Special(tokenizer.BosId, tokenizer.TokenOf), Special(tokenizer.EosId, tokenizer.TokenOf), Special(tokenizer.PadId, tokenizer.TokenOf)),
            EndTokens = tokenizer is null ? null : new EndTokens([.. tokenizer.EndIds.Select(id => new SpecialToken(id, tokenizer.TokenOf(id)))], tokenizer.EndIds.Count == 0 ? null : "tokenizer.ggml"),
            ChatTemplate = tokenizer?.ChatTemplate is not null,
            ChatTemplateProblem = tokenizer?.DefaultTemplate is { } template ? ProblemOf(() => ChatTemplate.Parse("tokenizer.chat_template", template, TokensByRole(tokenizer))) : null,
            Notes = tokenizer is null ? [] : GgufConversion.NotesOf(metadata, tokenizer),
            NotSupported = faults,
        };

        int? Size(string key) => Attempt(() => metadata.Whole($"{architecture}.{key}"), faults);
    }

    /// <summary>Does something that a malformed or unsupported part may refuse; the refusal becomes one of the faults.</summary>
    private static T? Attempt<T>(Func<T> read, List<string> faults)
    {
        try
        {
            return read();
        }
        catch (InputException fault)
        {
            faults.Add(fault.Message.TrimEnd('.'));
            return default;
        }
    }

    private static ModelSizes SizesOf(JsonObject json)
    {
        var width = ConfiguredSizes.First(json, ConfiguredSizes.WidthKeys);
        var heads = ConfiguredSizes.First(json, ConfiguredSizes.HeadKeys);
        return new ModelSizes(
            ConfiguredSizes.First(json, ConfiguredSizes.LayerKeys),
            ConfiguredSizes.First(json, ConfiguredSizes.DecoderLayerKeys),
            width,
            heads,
            ConfiguredSizes.First(json, ["num_key_value_heads"]) ?? heads,
            ConfiguredSizes.First(json, ["head_dim", "d_kv"]) ?? (heads is { } count ? width / count : null),
            ConfiguredSizes.First(json, ["vocab_size"]),
            ConfiguredSizes.First(json, ConfiguredSizes.ContextKeys));
    }

    private static EndTokens EndsOf(string folder, ModelConfiguration configuration, ITokenizer? tokenizer)
    {
        var ends = RoleTokens.Ends(
            LanguageModelFolder.ReadGenerationSettings(folder), new SettingsFile(configuration.Source, configuration.ToJson()), tokenizer, ConfiguredSizes.First(configuration.ToJson(), ["vocab_size"]));
        var source = ends.Source is { } file && Path.GetDirectoryName(file) == folder.TrimEnd(Path.DirectorySeparatorChar) ? Path.GetFileName(file) : ends.Source;
        return new EndTokens([.. ends.Ids.Select(id => new SpecialToken(id, tokenizer?.TokenOf(id) ?? ""))], source);
    }

    private static TokenizerDescription TokenizerOf(ITokenizer tokenizer, string folder)
    {
        return new TokenizerDescription(TokenizerKind(folder), tokenizer.VocabularySize, Special(tokenizer.BosId, Spelling), Special(tokenizer.EosId, Spelling), Special(tokenizer.PadId, Spelling));

        string Spelling(int id) => tokenizer.TokenOf(id) ?? "";
    }

    private static SpecialToken? Special(int? id, Func<int, string> spelling) => id is { } token ? new SpecialToken(token, spelling(token)) : null;

    private static string TokenizerKind(string folder)
    {
        if (ReadJson(Path.Combine(folder, "tokenizer.json")) is { } json)
        {
            var model = json["model"] as JsonObject;
            return TextOf(model, "type") switch
            {
                "Unigram" => "Unigram",
                "WordPiece" => "WordPiece",
                "BPE" or null when model?["byte_fallback"] is JsonValue fallback && fallback.TryGetValue<bool>(out var falls) && falls => "SentencePiece BPE with byte fallback",
                "BPE" => "byte-level BPE",
                null => model?["merges"] is null ? "WordPiece" : "byte-level BPE",
                var other => other,
            };
        }

        (string File, string Kind)[] others = [("spiece.model", "SentencePiece model"), ("tokenizer.model", "SentencePiece model"), ("vocab.json", "byte-level BPE"), ("vocab.txt", "WordPiece")];
        return others.FirstOrDefault(other => File.Exists(Path.Combine(folder, other.File))).Kind ?? "unknown";
    }

    private static bool HasChatTemplate(string folder) =>
        File.Exists(Path.Combine(folder, "chat_template.jinja")) || ReadJson(Path.Combine(folder, "tokenizer_config.json"))?["chat_template"] is not null;

    /// <summary>The tokens that a template may name.</summary>
    private static Dictionary<string, string> TokensByRole(GgufTokenizer tokenizer)
    {
        var tokens = new Dictionary<string, string>();
        foreach (var (role, id) in new[] { ("bos_token", tokenizer.BosId), ("eos_token", tokenizer.EosId), ("pad_token", tokenizer.PadId) })
        {
            if (Special(id, tokenizer.TokenOf) is { } token) tokens[role] = token.Text;
        }

        return tokens;
    }

    private static string? ProblemOf(Func<ChatTemplate> template)
    {
        try
        {
            return template().Problem();
        }
        catch (InputException error)
        {
            return error.Message;
        }
    }

    /// <summary>A file's object; null where there is no file or it holds something else, which its reader complains about.</summary>
    private static JsonObject? ReadJson(string path)
    {
        try
        {
            return File.Exists(path) ? JsonNode.Parse(RegularFile.ReadText(path)) as JsonObject : null;
        }
        catch (Exception failure) when (failure is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? TextOf(JsonObject? json, string key) => json?[key] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static Dictionary<string, long> Types(IEnumerable<StoredTensor> tensors) =>
        tensors.GroupBy(tensor => tensor.Type.ToString().ToLowerInvariant(), StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.Sum(tensor => tensor.Elements), StringComparer.Ordinal);

    private static List<FileSize> FilesOf(string folder) =>
        [.. FilesOfInterest.SelectMany(pattern => Directory.EnumerateFiles(folder, pattern)).Distinct().Order(StringComparer.Ordinal).Select(path => new FileSize(Path.GetFileName(path), LengthOf(path)))];

    /// <summary>A cache's files are links to where they lie.</summary>
    private static long LengthOf(string path) => (File.ResolveLinkTarget(path, returnFinalTarget: true) as FileInfo ?? new FileInfo(path)) is { Exists: true } file ? file.Length : 0;
}
