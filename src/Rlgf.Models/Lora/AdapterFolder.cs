using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using Rlgf.Models.Hub;
using Rlgf.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Lora;

/// <summary>Adapters in the folder layout of PEFT: <c>adapter_config.json</c>, which names the base model, and <c>adapter_model.safetensors</c>. Such a folder can be given wherever a model's can.</summary>
internal static class AdapterFolder
{
    /// <summary>What makes a folder an adapter's.</summary>
    public const string ConfigurationFile = "adapter_config.json";

    private const string WeightsFile = "adapter_model.safetensors";
    private const string PyTorchWeightsFile = "adapter_model.bin";
    private const string Prefix = "base_model.model.";
    private const string DownEnding = ".lora_A.weight";
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

    /// <summary>The <c>config.json</c> of a folder with an adapter: its own where it has one, else the base's, made a classifier's where the adapter is one's.</summary>
    public static ModelConfiguration ReadModelConfiguration(string folder)
    {
        var configuration = ModelConfiguration.Read(BaseOf(folder));
        if (ReadJson(folder).Text("task_type") != "SEQ_CLS" || configuration.IsClassifier) return configuration;
        using var weights = Open(folder);
        var head = weights.Entries.FirstOrDefault(entry => Heads.Any(name => $".{NameInModule(entry.Key)}".EndsWith($"{name}.weight", StringComparison.Ordinal))).Value
            ?? throw new InputException($"{weights.Path}: the adapter is a classifier's and has no head (score.weight).");
        var json = configuration.ToJson();
        json["architectures"] = new JsonArray(ModelFamilies.Of(configuration).ClassifierArchitecture);
        var names = new JsonObject();
        for (var label = 0; label < head.Shape[0]; label++) names[label.ToString(CultureInfo.InvariantCulture)] = string.Create(CultureInfo.InvariantCulture, $"LABEL_{label}");
        json["id2label"] ??= names;
        return new ModelConfiguration(json, configuration.Source);
    }

    /// <summary>Puts a folder's adapter on a module, unless it has one, and reads its weights.</summary>
    /// <exception cref="InputException">Lists all names that are missing or unexpected and all wrong shapes.</exception>
    public static void Load(nn.Module module, string folder)
    {
        // A module that has the adapter has its base too, wherever that lies by now.
        var configuration = LoraConfiguration.Read(ReadJson(folder), LoraAdapters.ConfigurationOf(module)?.BaseFolder ?? BaseOf(folder));
        using var weights = Open(folder);
        var stored = weights.Entries.Keys.GroupBy(NameInModule, StringComparer.Ordinal)
            .ToDictionary(names => names.Key, names => names.Count() == 1 ? names.First() : throw new InputException($"{weights.Path}: '{names.First()}' and '{names.Last()}' are the same parameter; keep one of them."), StringComparer.Ordinal);
        // Before anything of that size is made.
        foreach (var source in stored.Where(pair => pair.Key.EndsWith(DownEnding, StringComparison.Ordinal)).Select(pair => pair.Value))
        {
            if (weights.Entries[source].Shape is not [var rank, _] || rank != configuration.Rank)
                throw new InputException($"{weights.Path}: '{source}' has the shape {Shapes.Format(weights.Entries[source].Shape)}, and {ConfigurationFile} says r = {configuration.Rank}.");
        }

        if (!LoraAdapters.Has(module))
            LoraAdapters.Attach(module, configuration, stored.Keys.Where(name => name.EndsWith(DownEnding, StringComparison.Ordinal)).Select(name => name[..^DownEnding.Length]).ToHashSet(StringComparer.Ordinal));

        var faults = new List<string>();
        var copies = new List<(string Source, Tensor Parameter)>();
        foreach (var (name, parameter) in ModuleWeights.Named(module).Where(named => LoraAdapters.IsTrained(named.Key, configuration)))
        {
            if (!stored.Remove(name, out var source)) faults.Add($"'{name}' is missing");
            else if (!weights.Entries[source].Shape.SequenceEqual(parameter.shape))
                faults.Add($"'{source}' has the shape {Shapes.Format(weights.Entries[source].Shape)} where the base model asks for {Shapes.Format(parameter.shape)}");
            else copies.Add((source, parameter));
        }

        faults.AddRange(stored.Values.Order(StringComparer.Ordinal).Select(name => $"'{name}' is unexpected"));
        if (faults.Count > 0) throw new InputException($"{weights.Path}: the adapter doesn't fit the base model: {string.Join("; ", faults)}.");
        foreach (var (source, parameter) in copies) weights.CopyTo(source, parameter);
    }

    /// <summary>Whether a folder's adapter brings a parameter that the base may lack, such as a classifier's head.</summary>
    public static Func<string, bool> Brings(string folder)
    {
        var configuration = ReadConfiguration(folder);
        return name => LoraAdapters.IsTrained(name, configuration);
    }

    /// <summary>Writes a module's adapter.</summary>
    public static void Save(nn.Module module, LoraConfiguration configuration, string folder)
    {
        Directory.CreateDirectory(folder);
        var trained = ModuleWeights.Named(module).Where(named => LoraAdapters.IsTrained(named.Key, configuration));
        SafetensorsWriter.Write(Path.Combine(folder, WeightsFile), trained.Select(named => KeyValuePair.Create(Prefix + named.Key, named.Value)));
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

    private static string NameInModule(string name)
    {
        // Some versions of PEFT name the level at which it keeps a module that is trained whole.
        var inside = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
        return inside.Replace(".modules_to_save.", ".", StringComparison.Ordinal);
    }

    /// <summary>Opens the file of an adapter's weights.</summary>
    public static ITensorFile Open(string folder)
    {
        var path = Path.Combine(folder, WeightsFile);
        var older = Path.Combine(folder, PyTorchWeightsFile);
        return !File.Exists(path) && File.Exists(older) ? PyTorchFile.Open(older) : SafetensorsFile.Open(path);
    }

    private static LoraConfiguration ReadConfiguration(string folder) => LoraConfiguration.Read(ReadJson(folder), BaseOf(folder));

    private static ModelConfiguration ReadJson(string folder)
    {
        var path = Path.Combine(folder, ConfigurationFile);
        try
        {
            return new ModelConfiguration(JsonNode.Parse(File.ReadAllText(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject ?? throw new JsonException("it is not an object"), path);
        }
        catch (Exception failure) when (failure is JsonException or IOException or UnauthorizedAccessException)
        {
            throw ForeignContent.Fault(path) ?? new InputException($"{path}: can't be read: {failure.Message.ReplaceLineEndings(" ")}", failure);
        }
    }
}
