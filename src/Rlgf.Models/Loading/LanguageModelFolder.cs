using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Lora;
using Rlgf.Models.NumberTypes;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Loading;

/// <summary>
/// Language models in the folder layout of Hugging Face: <c>config.json</c>, <c>generation_config.json</c> and the weights (<see cref="Checkpoint"/>).
/// The tokenizer's files lie in the same folder and are left alone.
/// </summary>
public static class LanguageModelFolder
{
    private const string GenerationFile = "generation_config.json";

    /// <summary>Builds a model with fresh weights.</summary>
    /// <param name="configuration">Family and sizes, as from <see cref="Families.Gpt2.Gpt2Configuration.ToModelConfiguration"/>.</param>
    /// <param name="seed">Decides the weights.</param>
    /// <param name="device">Where; the CPU by default.</param>
    /// <exception cref="InputException">A setting is missing or impossible.</exception>
    public static ILanguageModel Create(ModelConfiguration configuration, ulong seed, Device? device = null)
    {
        TorchRuntime.Load();
        var model = ModelFamilies.Of(configuration).CreateLanguageModel(configuration, device ?? CPU);
        model.Initialise(seed);
        return model;
    }

    /// <summary>Loads a model.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where; the CPU by default.</param>
    /// <param name="precision">Type of the weights in memory, whatever the file holds.</param>
    /// <param name="sharing">A model with an adapter: if the folder is that of its base or of another adapter for it, the base's memory is used instead of reading it again.</param>
    /// <exception cref="InputException">A file is missing or malformed, the family isn't known, or the weights don't fit the configuration.</exception>
    public static ILanguageModel Load(string folder, Device? device = null, Precision precision = Precision.Float32, ILanguageModel? sharing = null)
    {
        var generation = ReadGenerationSettings(folder);
        using var type = precision.OfNewParameters();
        var (model, notes) = ModelFolder.Load(
            folder, (family, configuration) => family.CreateLanguageModel(RoleTokens.WithStart(RequireLanguageModel(family, configuration), generation), device ?? CPU), model => model.Module, sharing?.Module);
        model.GenerationSettings = generation.Settings;
        model.LoadingNotes = notes;
        return model;
    }

    /// <summary>Whether a folder holds an adapter rather than a whole model.</summary>
    /// <param name="folder">The folder; it may be missing.</param>
    public static bool HoldsAdapter(string folder) => AdapterFolder.Is(folder);

    /// <summary>The folder of the model that an adapter is for; a whole model's own.</summary>
    /// <param name="folder">A folder of either.</param>
    /// <exception cref="InputException">The base isn't where the adapter says.</exception>
    public static string BaseOf(string folder) => AdapterFolder.BaseOf(folder);

    /// <summary>Loads a folder's weights into a model that exists, so that its optimisers go on working.</summary>
    /// <exception cref="InputException">A file is missing or malformed, or the weights don't fit the model.</exception>
    public static void LoadWeights(ILanguageModel model, string folder) => ModelFolder.LoadWeights(model.Module, folder);

    /// <summary>Puts a folder's adapter on a copy of its base model, which shares the base's memory; both can then be used side by side.</summary>
    /// <param name="baseModel">The base, without an adapter. From now on it is frozen.</param>
    /// <param name="baseFolder">Where it came from.</param>
    /// <param name="folder">The adapter's folder.</param>
    /// <exception cref="InputException">A file is missing or malformed, the adapter is for another model, or the base has an adapter of its own.</exception>
    public static ILanguageModel LoadAdapter(ILanguageModel baseModel, string baseFolder, string folder)
    {
        if (LoraAdapters.Has(baseModel.Module)) throw new InputException($"{baseFolder}: the model has an adapter itself; another can be put on a whole model only");
        if (!AdapterFolder.Is(folder)) throw new InputException($"{folder}: it holds no adapter ({AdapterFolder.ConfigurationFile}).");
        var named = AdapterFolder.BaseOf(folder);
        if (Path.GetFullPath(named) != Path.GetFullPath(baseFolder)) throw new InputException($"{folder}: the adapter is for the model in {named}, not for that in {baseFolder}");
        LoraAdapters.Freeze(baseModel.Module);
        var adapted = baseModel.Clone();
        try
        {
            AdapterFolder.Load(adapted.Module, folder);
            return adapted;
        }
        catch
        {
            adapted.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Writes a model into a folder, which is made where there is none. Other files in it (a tokenizer) stay. What the folder that it came from says about generating is written too;
    /// otherwise what <c>config.json</c> says about it is. Of a model with an adapter only the adapter is written, as PEFT does.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="type">Type of the stored numbers: float32, or float16 or bfloat16 for half the size at a loss of accuracy.</param>
    /// <param name="shardBytes">The most bytes of weights in one file.</param>
    /// <param name="mergeAdapter">Whether a whole model is written, an adapter's weights added to those that it is for.</param>
    /// <exception cref="IOException">A file can't be written; what was there before is untouched.</exception>
    public static void Save(ILanguageModel model, string folder, ScalarType type = ScalarType.Float32, long shardBytes = 5_000_000_000, bool mergeAdapter = false)
    {
        if (!mergeAdapter && LoraAdapters.ConfigurationOf(model.Module) is { } adapter) AdapterFolder.Save(model.Module, adapter, folder);
        else ModelFolder.Save(model.Module, model.Configuration, folder, type, shardBytes);
        AtomicFile.WriteText(Path.Combine(folder, GenerationFile), (model.GenerationSettings ?? GenerationSettingsOf(model.Configuration)).ToJsonString(JsonFormat.Indented));
    }

    /// <summary>Refuses a classifier: its head scores labels, and a head that writes text is not in its files. Encoders refuse it themselves.</summary>
    private static ModelConfiguration RequireLanguageModel(IModelFamily family, ModelConfiguration configuration) => configuration.IsClassifier && family.WritesText
        ? throw configuration.Fault("architectures", $"is {configuration.Architecture}, a classifier (a reward model, perhaps), which writes no text: use it as reward or judge or with 'rlgf score', or give the folder of a language model")
        : configuration;

    private static JsonObject GenerationSettingsOf(JsonObject configuration)
    {
        var generation = GenerationKey.Of(configuration);
        generation["_from_model_config"] = true;
        return generation;
    }

    /// <summary>What a folder says about generating; what its base says where it holds an adapter and says nothing itself.</summary>
    /// <exception cref="InputException">The file can't be read.</exception>
    internal static SettingsFile ReadGenerationSettings(string folder)
    {
        var path = Path.Combine(folder, GenerationFile);
        if (!File.Exists(path)) path = Path.Combine(AdapterFolder.BaseOf(folder), GenerationFile);
        if (!File.Exists(path)) return new SettingsFile(path, null);
        try
        {
            return new SettingsFile(path, JsonNode.Parse(RegularFile.ReadText(path), documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject ?? throw new JsonException("it is not an object"));
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

/// <summary>What folders of language models and of classifiers have in common.</summary>
internal static class ModelFolder
{
    /// <summary>Builds the model of a folder and fills it.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="create">Builds a model whose parameters have no values yet.</param>
    /// <param name="moduleOf">The module that holds them.</param>
    /// <param name="sharing">A module with an adapter, whose base may be the folder's too.</param>
    /// <returns>The model, and what was read under another name than the family's own.</returns>
    /// <exception cref="InputException">A file is missing or malformed, the family isn't known, or the weights don't fit the configuration.</exception>
    public static (TModel Model, IReadOnlyList<string> Notes) Load<TModel>(string folder, Func<IModelFamily, ModelConfiguration, TModel> create, Func<TModel, nn.Module> moduleOf, nn.Module? sharing) where TModel : IDisposable
    {
        TorchRuntime.Load();
        var configuration = FolderConfiguration.Read(folder);
        var family = ModelFamilies.Of(configuration);
        TModel model;
        try
        {
            using var checkpoint = Checkpoint.Open(AdapterFolder.BaseOf(folder));
            model = Build(family, configuration, checkpoint, create);
        }
        catch (InputException) when (ConfiguredSizes.AreModest(configuration))
        {
            // Where weights are missing or damaged too, a setting that isn't supported is what to hear of first.
            using (create(family, configuration)) throw;
        }

        try
        {
            return (model, LoadWeights(moduleOf(model), configuration, folder, sharing));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Builds a model for weights that are there; its parameters have no values yet.</summary>
    public static TModel Build<TModel>(IModelFamily family, ModelConfiguration configuration, Checkpoint checkpoint, Func<IModelFamily, ModelConfiguration, TModel> create)
    {
        ConfiguredSizes.RequireLikely(configuration, checkpoint);
        try
        {
            return create(family, configuration);
        }
        catch (Exception failure) when (failure is ExternalException or OutOfMemoryException or OverflowException)
        {
            throw new InputException($"{configuration.Source}: no model of these sizes can be made here: {failure.Message.Split('\n')[0]}", failure);
        }
    }

    /// <summary>Fills the parameters of a module that has been trained from a folder; of one with an adapter, the adapter's alone.</summary>
    public static void LoadWeights(nn.Module module, string folder)
    {
        if (AdapterFolder.Is(folder) && LoraAdapters.Has(module)) AdapterFolder.Load(module, folder);
        else LoadWeights(module, FolderConfiguration.Read(folder), folder);
    }

    /// <summary>Fills a module's parameters from a folder.</summary>
    /// <param name="module">The module.</param>
    /// <param name="configuration">The folder's configuration.</param>
    /// <param name="folder">The folder, of a model or of an adapter.</param>
    /// <param name="sharing">A module with an adapter, whose base may be the folder's too.</param>
    /// <returns>What was read under another name than the family's own, a sentence each.</returns>
    public static IReadOnlyList<string> LoadWeights(nn.Module module, ModelConfiguration configuration, string folder, nn.Module? sharing = null)
    {
        IReadOnlyList<string> notes = [];
        var isAdapter = AdapterFolder.Is(folder);
        Func<string, bool> comesWithAdapter = isAdapter ? AdapterFolder.Brings(folder) : _ => false;
        if (sharing is not null && LoraAdapters.ConfigurationOf(sharing)?.BaseFolder == Path.GetFullPath(AdapterFolder.BaseOf(folder)) && ModuleWeights.TryShare(sharing, module, comesWithAdapter))
        {
            // Nothing of the base is left to read.
        }
        else if (!LoraAdapters.Has(module)) notes = LoadBase(module, configuration, folder, comesWithAdapter);
        else if (!isAdapter) throw new InputException($"{folder}: it holds no adapter, and the model has one: give the folder of an adapter.");
        if (isAdapter) AdapterFolder.Load(module, folder);
        return notes;
    }

    /// <summary>Writes configuration and weights, an adapter's as part of those that it is added to.</summary>
    public static void Save(nn.Module module, JsonObject configuration, string folder, ScalarType type, long shardBytes)
    {
        configuration["dtype"] = StoredTypes.LongNameOf(type);
        Directory.CreateDirectory(folder);
        Checkpoint.Save(folder, ModuleWeights.ToStore(module, type), shardBytes);
        SaveConfiguration(configuration, folder);
    }

    /// <summary>Writes <c>config.json</c> so that transformers 5 and 4 and what converts from them read the same model, whatever form the settings came in.</summary>
    public static void SaveConfiguration(JsonObject configuration, string folder)
    {
        var read = new ModelConfiguration(configuration, "the configuration to be written");
        ModelFamilies.Of(read).CompleteForOtherReaders(read, configuration);
        if ((read.Text("dtype") ?? read.Text("torch_dtype")) is { } type)
        {
            configuration["dtype"] = type;
            configuration["torch_dtype"] = type;
        }

        AtomicFile.WriteText(Path.Combine(folder, "config.json"), configuration.ToJsonString(JsonFormat.Indented));
    }

    /// <summary>How the names of a folder's weights are read, or of its base's where it holds an adapter: a head that only the adapter makes one of its own has the embedding's numbers in the base.</summary>
    public static StoredNames NamesOf(IModelFamily family, ModelConfiguration configuration, string folder, Func<string, bool> comesWithAdapter)
    {
        var names = family.NamesOf(configuration, comesWithAdapter);
        return AdapterFolder.Is(folder) && AdapterFolder.SeparatedBy(folder) is { } ends ? names with { StandsFor = name => name == ends.HeadWeight ? ends.EmbeddingWeight : null } : names;
    }

    private static IReadOnlyList<string> LoadBase(nn.Module module, ModelConfiguration configuration, string folder, Func<string, bool> comesWithAdapter)
    {
        var family = ModelFamilies.Of(configuration);
        using var checkpoint = Checkpoint.Open(AdapterFolder.BaseOf(folder));
        return ModuleWeights.Load(module, checkpoint, NamesOf(family, configuration, folder, comesWithAdapter));
    }
}
