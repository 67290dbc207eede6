using Rlgf.Base;
using Rlgf.Models.Blocks;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Lora;

/// <summary>
/// Puts adapters on models. What a model had then stays as it is: only the adapter is trained, only the adapter is saved, and a clone uses the same memory for all that isn't trained.
/// </summary>
public static class LoraAdapters
{
    /// <summary>Modules of classifiers that the trunk doesn't have: they are trained whole, since they begin at random.</summary>
    private static readonly string[] Heads = ["score", "classifier", "pre_classifier", "pooler", "classification_head", "head"];

    /// <summary>Puts a new adapter on a language model.</summary>
    /// <param name="model">The model; it gives the same logits as before until the adapter is trained.</param>
    /// <param name="settings">The adapter.</param>
    /// <param name="baseFolder">Where the model came from: who loads the adapter will look there.</param>
    /// <param name="seed">Decides the adapter's beginning.</param>
    /// <exception cref="InputException">A target isn't there, or the model has an adapter.</exception>
    public static void Attach(ILanguageModel model, LoraSettings settings, string baseFolder, ulong seed) =>
        Attach(model.Module, settings, baseFolder, (bool?)model.Configuration["is_encoder_decoder"] == true ? "SEQ_2_SEQ_LM" : "CAUSAL_LM", [], seed, model.Device);

    /// <summary>Puts a new adapter on a classifier, whose head is trained whole.</summary>
    /// <param name="classifier">The classifier.</param>
    /// <param name="settings">The adapter.</param>
    /// <param name="baseFolder">Where its trunk came from.</param>
    /// <param name="seed">Decides the adapter's beginning.</param>
    /// <exception cref="InputException">A target isn't there, or the classifier has an adapter.</exception>
    public static void Attach(ISequenceClassifier classifier, LoraSettings settings, string baseFolder, ulong seed)
    {
        var heads = Heads.Where(head => classifier.Module.named_parameters().Any(parameter => IsBelow(parameter.name, head))).ToArray();
        Attach(classifier.Module, settings, baseFolder, "SEQ_CLS", heads, seed, classifier.Module.parameters().First().device);
    }

    /// <summary>Whether a model has an adapter.</summary>
    public static bool Has(nn.Module module) => ConfigurationOf(module) is not null;

    /// <summary>Freezes all parameters of a model: clones of it share them.</summary>
    public static void Freeze(nn.Module module)
    {
        foreach (var parameter in module.parameters()) parameter.requires_grad = false;
    }

    /// <summary>The settings of a model's adapter; null where it has none.</summary>
    internal static LoraConfiguration? ConfigurationOf(nn.Module module) => Adaptable(module).Select(named => named.Part.Adapter).FirstOrDefault(adapter => adapter is not null)?.Configuration;

    /// <summary>
    /// All maps and tables that may have an adapter, by the names that their parameters have. The library registers the fields of modules in a list too, after what the modules registered themselves: so the first name counts.
    /// </summary>
    internal static IEnumerable<(string Name, IAdaptable Part)> Adaptable(nn.Module module)
    {
        return Below(module).DistinctBy(named => named.Part);

        static IEnumerable<(string Name, IAdaptable Part)> Below(nn.Module level) => level.named_children().SelectMany(child =>
            child.module is IAdaptable part and not Embedding { CanBeAdapted: false } ? [(child.name, part)] : Below(child.module).Select(inner => ($"{child.name}.{inner.Name}", inner.Part)));
    }

    /// <summary>Puts adapters without values on the maps of the given names, and freezes all but them and the modules that are trained whole.</summary>
    internal static void Attach(nn.Module module, LoraConfiguration configuration, IReadOnlySet<string> names)
    {
        Freeze(module);
        // An optimiser's small steps would be lost in fewer digits; where a base is bfloat16, factors are rounded where they multiply.
        using var type = new Weights.TypeScope(ScalarType.Float32);
        var device = module.parameters().First().device;
        foreach (var (name, part) in Adaptable(module).Where(named => names.Contains(named.Name)).ToArray()) part.Adapt(configuration, configuration.SizeOf(name), device);
        foreach (var (name, parameter) in module.named_parameters())
        {
            if (IsTrained(name, configuration)) parameter.requires_grad = true;
        }
    }

    /// <summary>Whether a parameter is trained with the adapter rather than frozen with the base.</summary>
    internal static bool IsTrained(string name, LoraConfiguration configuration) => LoraNames.IsFactor(name) || configuration.ModulesToSave.Any(head => IsBelow(name, head));

    /// <summary>Whether a parameter's numbers are in the adapter's file: what is trained, and what else of the base was saved with it.</summary>
    internal static bool IsStored(string name, LoraConfiguration configuration) => IsTrained(name, configuration) || configuration.Replaced.Contains(name);

    private static void Attach(nn.Module module, LoraSettings settings, string baseFolder, string task, string[] heads, ulong seed, Device device)
    {
        if (Has(module)) throw new InputException("the model has an adapter already: train that one, or merge it first (rlgf convert).");
        var names = Adaptable(module).Where(named => named.Part is IProjection).Select(named => named.Name).Where(name => name.Contains('.', StringComparison.Ordinal) && !Heads.Any(head => IsBelow($"{name}.", head))).ToArray();
        var targets = settings.TargetModules is [LoraSettings.AllLinear] ? names.Select(LastPart).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray() : [.. settings.TargetModules];
        foreach (var target in targets)
        {
            if (!names.Any(name => Matches(name, target)))
                throw new InputException($"there is no linear map '{target}' for an adapter: the model has {string.Join(", ", names.Select(LastPart).Distinct(StringComparer.Ordinal))}.");
        }

        var chosen = names.Where(name => targets.Any(target => Matches(name, target))).ToHashSet(StringComparer.Ordinal);
        var transposed = Adaptable(module).Any(named => named.Part is Conv1D && chosen.Contains(named.Name));
        Attach(module, settings.ToConfiguration(targets, baseFolder, task, transposed, heads), chosen);
        using var random = new Generator(seed, device);
        foreach (var (_, part) in Adaptable(module)) part.Adapter?.Initialise(random);
    }

    /// <summary>Whether a parameter is one of a module, which may be named by the last parts of its name.</summary>
    internal static bool IsBelow(string name, string module) => $".{name}".Contains($".{module}.", StringComparison.Ordinal);

    private static bool Matches(string name, string target) => name == target || name.EndsWith($".{target}", StringComparison.Ordinal);

    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];
}
