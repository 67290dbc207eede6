using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Hub;
using Rlgf.Models.Lora;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Loading;

/// <summary>Adapters in the folder layout of PEFT: <c>adapter_config.json</c>, which names the base model, and <c>adapter_model.safetensors</c>. Such a folder can be given wherever a model's can.</summary>
internal static class AdapterFolder
{
    /// <summary>What makes a folder an adapter's.</summary>
    public const string ConfigurationFile = "adapter_config.json";

    private const string WeightsFile = "adapter_model.safetensors";
    private const string PyTorchWeightsFile = "adapter_model.bin";
    private const string BaseKey = "base_model_name_or_path";
    private const string Up = "..";

    /// <summary>What scores the labels, in the families' own names.</summary>
    private static readonly string[] Heads = [".score", ".classifier", ".classifier.out_proj", ".classification_head.out_proj"];

    /// <summary>Whether a folder holds an adapter rather than a whole model.</summary>
    public static bool Is(string folder) => File.Exists(Path.Combine(folder, ConfigurationFile));

    /// <summary>The base model's folder, where the adapter's has no file of its own.</summary>
    /// <param name="folder">A folder of an adapter, or of a whole model.</param>
    /// <returns>The base's folder, or the given one.</returns>
    public static string BaseOf(string folder)
    {
        if (!Is(folder)) return folder;
        var configuration = ReadJson(folder);
        var name = configuration.Text(BaseKey) ?? throw configuration.Fault(BaseKey, "is missing: it says which model the adapter is for");
        return Find(name, folder) ?? throw configuration.Fault(BaseKey, $"is '{name}', where there is no model: put the base model there, write the path of its folder, or fetch it if it is on a hub (rlgf fetch)");
    }

    /// <summary>Whether the model that an adapter is for can be found.</summary>
    public static bool HasBase(string folder) => ReadJson(folder).Text(BaseKey) is { } name && Find(name, folder) is not null;

    /// <summary>
    /// The <c>config.json</c> of a folder with an adapter: its own where it has one, else the base's, made a classifier's where the adapter is one's, and that of a model with a head of its own where the adapter makes it so.
    /// </summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="own">Its own configuration; null where it has none.</param>
    public static ModelConfiguration ReadModelConfiguration(string folder, ModelConfiguration? own = null)
    {
        var configuration = own ?? FolderConfiguration.Read(BaseOf(folder));
        if (configuration.IsClassifier || !HasWeights(folder)) return configuration;
        var json = configuration.ToJson();
        if (ReadJson(folder).Text("task_type") != "SEQ_CLS")
        {
            if (!SeparatesHead(folder)) return configuration;
            json["tie_word_embeddings"] = false;
            return configuration.With(json);
        }

        using var weights = Open(folder);
        var head = weights.Entries.FirstOrDefault(entry => Heads.Any(name => $".{LoraNames.InModule(entry.Key)}".EndsWith($"{name}.weight", StringComparison.Ordinal))).Value
            ?? throw new InputException($"{weights.Path}: the adapter is a classifier's and has no head (score.weight).");
        json["architectures"] = new JsonArray(ModelFamilies.Of(configuration).ClassifierArchitecture);
        var names = new JsonObject();
        for (var label = 0; label < head.Shape[0]; label++) names[label.ToString(CultureInfo.InvariantCulture)] = string.Create(CultureInfo.InvariantCulture, $"LABEL_{label}");
        json["id2label"] ??= names;
        return configuration.With(json);
    }

    /// <summary>Puts a folder's adapter on a module, unless it has one, and reads its weights.</summary>
    /// <exception cref="InputException">Names that are missing or unexpected, and wrong shapes.</exception>
    public static void Load(nn.Module module, string folder)
    {
        // A module that has the adapter has its base too, wherever that lies by now.
        using var contents = OpenContents(folder, LoraAdapters.ConfigurationOf(module));
        var (weights, configuration) = (contents.File, contents.Settings);
        contents.RequireRanks();
        if (!LoraAdapters.Has(module)) LoraAdapters.Attach(module, configuration, contents.Adapted);

        var unused = contents.Stored.ToDictionary(StringComparer.Ordinal);
        var faults = new WeightFaults();
        var copies = new List<(string Source, Tensor Parameter)>();
        foreach (var (name, parameter) in ModuleWeights.Named(module).Where(named => LoraAdapters.IsStored(named.Key, configuration)))
        {
            if (!unused.Remove(name, out var source)) faults.Missing(name);
            else if (!weights.Entries[source].Shape.SequenceEqual(parameter.shape)) faults.Shape(source, weights.Entries[source].Shape, "the base model asks for", parameter.shape);
            else copies.Add((source, parameter));
        }

        foreach (var source in unused.Values) faults.Unexpected(source);
        if (faults.Any)
        {
            var isResized = configuration.Replaced.Any(name => copies.TrueForAll(copy => copy.Source != contents.Stored[name]));
            throw new InputException($"{weights.Path}: the adapter doesn't fit the base model: {faults}{(isResized ? "; embeddings were saved with it (save_embedding_layers) and are of another vocabulary: merge it in PEFT (model.merge_and_unload()) and give the whole model" : "")}.");
        }

        foreach (var (source, parameter) in copies) weights.CopyTo(source, parameter);
        if (contents.SeparatesHead is { } ends) ShareFrozen(module, ends, configuration, contents.Stored);
    }

    /// <summary>Whether a folder's adapter brings a parameter that the base may lack, such as a classifier's head.</summary>
    public static Func<string, bool> Brings(string folder)
    {
        using var contents = OpenContents(folder);
        var configuration = contents.Settings;
        return name => LoraAdapters.IsStored(name, configuration);
    }

    /// <summary>The two ends of the base that are two weights with a folder's adapter and one without; null where they stay what they are.</summary>
    public static EmbeddingNames? SeparatedBy(string folder)
    {
        using var contents = OpenContents(folder);
        return contents.SeparatesHead;
    }

    /// <summary>Writes a module's adapter.</summary>
    public static void Save(nn.Module module, LoraConfiguration configuration, string folder)
    {
        Directory.CreateDirectory(folder);
        var adapted = LoraAdapters.Adaptable(module).Where(named => named.Part.Adapter is not null).Select(named => $"{named.Name}.weight").ToHashSet(StringComparer.Ordinal);
        var stored = ModuleWeights.Named(module).Where(named => LoraAdapters.IsStored(named.Key, configuration));
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), stored.Select(named => KeyValuePair.Create(LoraNames.InFile(named.Key, adapted.Contains(named.Key)), named.Value)));
        var json = (JsonObject)configuration.Json.DeepClone();
        json[BaseKey] = NameOfBase((string)json[BaseKey]!, configuration.BaseFolder, folder);
        AtomicFile.WriteText(Path.Combine(folder, ConfigurationFile), json.ToJsonString(JsonFormat.Indented));
    }

    /// <summary>
    /// The base model's folder by the name that an adapter's folder has for it: adapters that travel with their base are beside it, PEFT looks from the working folder, and a name of a hub is looked up
    /// among what has been fetched. A folder that went elsewhere alone, or deeper or less deep, finds a base that lies beside any folder above it as it lay before.
    /// </summary>
    private static string? Find(string name, string folder)
    {
        var places = new List<string> { Path.GetFullPath(Path.Combine(folder, name)), Path.GetFullPath(name) };
        var below = name.Split('/').SkipWhile(part => part == Up).ToArray();
        if (below.Length > 0 && below.Length < name.Split('/').Length)
        {
            var tail = Path.Combine(below);
            for (var above = Path.GetDirectoryName(Path.GetFullPath(folder)); above is not null; above = Path.GetDirectoryName(above)) places.Add(Path.Combine(above, tail));
            places.Add(Path.GetFullPath(tail));
        }

        return places.FirstOrDefault(place => File.Exists(Path.Combine(place, "config.json"))) ?? HubCache.Find(HubSettings.CacheFolderOfEnvironment(), name);
    }

    /// <summary>What an adapter's folder calls its base: the name on a hub or the path from here that it had, if it leads there still; else the path from here, so that both can be moved together.</summary>
    private static string NameOfBase(string name, string baseFolder, string folder)
    {
        var cache = HubSettings.CacheFolderOfEnvironment();
        bool Leads(string? place) => place is not null && Path.GetFullPath(place) == baseFolder;
        if (Leads(HubCache.Find(cache, name)) || (!Path.IsPathRooted(name) && Leads(Path.Combine(folder, name)))) return name;
        return HubCache.NameOf(cache, baseFolder) ?? Path.GetRelativePath(Path.GetFullPath(folder), baseFolder).Replace('\\', '/');
    }

    /// <summary>Embedding and head that both are the base's need not be in memory twice.</summary>
    private static void ShareFrozen(nn.Module module, EmbeddingNames ends, LoraConfiguration configuration, IReadOnlyDictionary<string, string> stored)
    {
        if (LoraAdapters.IsTrained(ends.EmbeddingWeight, configuration) || LoraAdapters.IsTrained(ends.HeadWeight, configuration)) return;
        if (stored.GetValueOrDefault(ends.EmbeddingWeight) != stored.GetValueOrDefault(ends.HeadWeight)) return;
        using var gradients = no_grad();
        var parameters = module.named_parameters().ToDictionary(named => named.name, named => named.parameter, StringComparer.Ordinal);
        ModuleWeights.Share(parameters[ends.EmbeddingWeight], parameters[ends.HeadWeight]);
    }

    /// <summary>Opens the file of an adapter's weights.</summary>
    public static ITensorFile Open(string folder)
    {
        var path = Path.Combine(folder, WeightsFile);
        var older = Path.Combine(folder, PyTorchWeightsFile);
        return !File.Exists(path) && File.Exists(older) ? PyTorchFile.Open(older) : SafetensorsFile.Open(path);
    }

    private static EmbeddingNames? EndsOf(ModelConfiguration configuration, ModelConfiguration adapter)
    {
        var ends = ModelFamilies.Of(configuration).Embeddings(configuration);
        // A classifier has no head that could be tied to its embedding.
        return ends is not null && (configuration.IsClassifier || adapter.Text("task_type") == "SEQ_CLS") ? ends with { IsTied = false } : ends;
    }

    /// <summary>Whether an adapter gives a tied base a head of its own. What is wrong with the adapter is said where it is loaded.</summary>
    private static bool SeparatesHead(string folder)
    {
        try
        {
            return SeparatedBy(folder) is not null;
        }
        catch (InputException)
        {
            return false;
        }
    }

    private static bool HasWeights(string folder) => File.Exists(Path.Combine(folder, WeightsFile)) || File.Exists(Path.Combine(folder, PyTorchWeightsFile));

    /// <summary>What an adapter's folder brings to its base.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="attached">The settings of a module that has the adapter already; null where the base is still to be found.</param>
    private static AdapterContents OpenContents(string folder, LoraConfiguration? attached = null)
    {
        var read = ReadJson(folder);
        var baseFolder = attached?.BaseFolder ?? BaseOf(folder);
        var settings = LoraConfiguration.Read(read, baseFolder);
        settings = settings with { Ends = attached is null ? EndsOf(TextPart.Of(ModelConfiguration.ReadFile(baseFolder)), read) : attached.Ends };
        var file = Open(folder);
        try
        {
            return new AdapterContents(file, settings, read);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static ModelConfiguration ReadJson(string folder)
    {
        var path = Path.Combine(folder, ConfigurationFile);
        try
        {
            return new ModelConfiguration(JsonNode.Parse(RegularFile.ReadText(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject ?? throw new JsonException("it is not an object"), path);
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
