using System.Globalization;
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

/// <summary>Sequence classifiers in the folder layout of Hugging Face: <c>config.json</c>, which names the labels, and <c>model.safetensors</c> (or shards).</summary>
public static class SequenceClassifierFolder
{
    /// <summary>What the names of classes of language models end with.</summary>
    private static readonly string[] LanguageModelEndings = ["ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForMaskedLM"];

    /// <summary>Loads a classifier.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where; the CPU by default.</param>
    /// <param name="precision">Type of the weights in memory, whatever the file holds.</param>
    /// <param name="sharing">A model with an adapter: if the folder is that of another adapter for its base, the base's memory is used instead of reading it again.</param>
    /// <exception cref="InputException">A file is missing or malformed, the family isn't known, or the weights don't fit the configuration.</exception>
    public static ISequenceClassifier Load(string folder, Device? device = null, Precision precision = Precision.Float32, ILanguageModel? sharing = null)
    {
        using var type = precision.OfNewParameters();
        var (model, notes) = ModelFolder.Load(folder, (family, configuration) => family.CreateClassifier(RequireClassifier(configuration), device ?? CPU), classifier => classifier.Module, sharing?.Module);
        model.LoadingNotes = notes;
        return model;
    }

    /// <summary>Refuses what says of itself that it is a language model; a folder that says nothing is tried.</summary>
    private static ModelConfiguration RequireClassifier(ModelConfiguration configuration) =>
        configuration.Architecture is { } name && Array.Exists(LanguageModelEndings, ending => name.EndsWith(ending, StringComparison.Ordinal))
            ? throw configuration.Fault("architectures", $"is {name}, a language model, which scores no labels: give the folder of a sequence classifier, or begin one on it with 'rlgf classifier train'")
            : configuration;

    /// <summary>Loads a folder's weights into a classifier that exists, so that its optimisers go on working.</summary>
    /// <exception cref="InputException">A file is missing or malformed, or the weights don't fit the classifier.</exception>
    public static void LoadWeights(ISequenceClassifier classifier, string folder) => ModelFolder.LoadWeights(classifier.Module, folder);

    /// <summary>Makes a classifier on a copy of a language model's trunk, with a fresh head.</summary>
    /// <param name="model">The language model; unchanged.</param>
    /// <param name="labels">Names of the C labels, by index.</param>
    /// <param name="padId">Id that is passed over at the end of a row (transformers, which reads the folder too, needs one for batches); null for none.</param>
    /// <param name="seed">Decides the head.</param>
    public static ISequenceClassifier FromLanguageModel(ILanguageModel model, IReadOnlyList<string> labels, int? padId, ulong seed)
    {
        if (LoraAdapters.Has(model.Module)) throw new InputException("the language model has an adapter: make it part of the weights first (rlgf convert), then begin a classifier with it.");
        var configuration = new ModelConfiguration(model.Configuration, "the language model's configuration");
        var family = ModelFamilies.Of(configuration);
        var json = WithLabels(configuration, family, labels);
        if (padId is not null || !model.Shape.ReadsPromptApart) json["pad_token_id"] = padId;
        var ofClassifier = new ModelConfiguration(json, "the new classifier's configuration");
        var classifier = family.CreateClassifier(ofClassifier, model.Device);
        classifier.Initialise(seed);
        ModuleWeights.Copy(model.Module, classifier.Module, name => family.NameInModule(name, ofClassifier));
        return classifier;
    }

    /// <summary>Whether a folder's model is an encoder, which writes no text: a classifier can begin with it all the same.</summary>
    /// <exception cref="InputException">There is no readable <c>config.json</c>, or the family isn't known.</exception>
    public static bool IsEncoder(string folder) => !ModelFamilies.Of(FolderConfiguration.Read(folder)).WritesText;

    /// <summary>
    /// Makes a classifier on the trunk of an encoder. Its head is the folder's where that has one for as many labels, and fresh otherwise; heads for other purposes, such as filling gaps, are passed over.
    /// </summary>
    /// <param name="folder">The encoder's folder.</param>
    /// <param name="labels">Names of the C labels, by index.</param>
    /// <param name="seed">Decides what is fresh.</param>
    /// <param name="device">Where; the CPU by default.</param>
    /// <exception cref="InputException">A file is missing or malformed, the family is no encoder's, or the weights don't fit the configuration.</exception>
    public static ISequenceClassifier FromEncoder(string folder, IReadOnlyList<string> labels, ulong seed, Device? device = null)
    {
        TorchRuntime.Load();
        if (AdapterFolder.Is(folder)) throw new InputException($"{folder}: it holds an adapter: make it part of the weights first (rlgf convert), then begin a classifier with it.");
        var configuration = FolderConfiguration.Read(folder);
        var family = ModelFamilies.Of(configuration);
        if (family.WritesText) throw configuration.Fault("model_type", $"is '{configuration.ModelType}', which is no encoder");
        var json = WithLabels(configuration, family, labels);
        using var checkpoint = Checkpoint.Open(folder);
        var classifier = ModelFolder.Build(family, configuration.With(json), checkpoint, (builder, settings) => builder.CreateClassifier(settings, device ?? CPU));
        try
        {
            classifier.Initialise(seed);
            var shapes = ModuleWeights.Named(classifier.Module).ToDictionary(named => named.Key, named => named.Value.shape, StringComparer.Ordinal);
            ModuleWeights.Load(classifier.Module, checkpoint, new StoredNames(NameOf) { TiedTo = name => family.TiedTo(name, configuration), MayBeMissing = family.IsOfHead });
            return classifier;

            // A head for other labels is no beginning.
            string? NameOf(string stored) => family.NameInModule(stored, configuration) is { } name
                && !(family.IsOfHead(name) && shapes.TryGetValue(name, out var shape) && !checkpoint.Entry(stored).Shape.SequenceEqual(shape)) ? name : null;
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>Writes a classifier into a folder, which is made where there is none. Other files in it (a tokenizer) stay. Of a classifier with an adapter only adapter, head and labels are written.</summary>
    /// <param name="classifier">The classifier.</param>
    /// <param name="folder">The folder.</param>
    /// <param name="type">Type of the stored numbers: float32, or float16 or bfloat16 for half the size at a loss of accuracy.</param>
    /// <param name="shardBytes">The most bytes of weights in one file.</param>
    /// <param name="mergeAdapter">Whether a whole classifier is written, an adapter's weights added to those that it is for.</param>
    /// <exception cref="IOException">A file can't be written; what was there before is untouched.</exception>
    public static void Save(ISequenceClassifier classifier, string folder, ScalarType type = ScalarType.Float32, long shardBytes = 5_000_000_000, bool mergeAdapter = false)
    {
        if (mergeAdapter || LoraAdapters.ConfigurationOf(classifier.Module) is not { } adapter)
        {
            ModelFolder.Save(classifier.Module, classifier.Configuration, folder, type, shardBytes);
            return;
        }

        AdapterFolder.Save(classifier.Module, adapter, folder);
        // The labels stand nowhere else.
        ModelFolder.SaveConfiguration(classifier.Configuration, folder);
    }

    /// <summary>Writes into a reward model's <c>config.json</c> what its scores are normalised by (<see cref="ClassifierHead.Normalisation"/>); its other files stay as they are.</summary>
    /// <param name="folder">The folder of a classifier with one output.</param>
    /// <param name="normalisation">Mean and deviation.</param>
    /// <exception cref="InputException">There is no readable configuration of such a classifier.</exception>
    public static void SaveNormalisation(string folder, ScoreNormalisation normalisation)
    {
        var configuration = ModelConfiguration.ReadFile(folder);
        if (configuration.Labels() is not { Count: 1 }) throw configuration.Fault("id2label", "does not have the one label of a reward model");
        var json = configuration.ToJson();
        json[ClassifierHead.NormalisationKey] = new JsonObject { ["mean"] = normalisation.Mean, ["deviation"] = normalisation.Deviation };
        ModelFolder.SaveConfiguration(json, folder);
    }

    private static JsonObject WithLabels(ModelConfiguration configuration, IModelFamily family, IReadOnlyList<string> labels)
    {
        if (labels.Count == 0 || labels.Distinct(StringComparer.Ordinal).Count() < labels.Count) throw new InputException("a classifier needs labels with different names.");
        var json = configuration.ToJson();
        var names = new JsonObject();
        var indices = new JsonObject();
        for (var label = 0; label < labels.Count; label++)
        {
            names[label.ToString(CultureInfo.InvariantCulture)] = labels[label];
            indices[labels[label]] = label;
        }

        json["architectures"] = new JsonArray(family.ClassifierArchitecture);
        json["id2label"] = names;
        json["label2id"] = indices;
        // What is trained here is one of the labels; the configuration that it begins with may say otherwise.
        json["problem_type"] = labels.Count == 1 ? "regression" : "single_label_classification";
        json.Remove(ClassifierHead.NormalisationKey);
        return json;
    }
}
