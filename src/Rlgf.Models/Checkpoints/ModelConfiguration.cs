using System.Text.Json;
using System.Text.Json.Nodes;
using Rlgf.Base;

namespace Rlgf.Models.Checkpoints;

/// <summary>A model's <c>config.json</c>, read by key. Keys that nobody asks for are kept and written back.</summary>
public sealed class ModelConfiguration
{
    private readonly JsonObject _json;

    /// <summary>Takes settings that were made here.</summary>
    /// <param name="json">The settings; copied.</param>
    /// <param name="source">What messages call them.</param>
    public ModelConfiguration(JsonObject json, string source)
    {
        ArgumentNullException.ThrowIfNull(json);
        _json = (JsonObject)json.DeepClone();
        Source = source;
    }

    /// <summary>The file, for messages.</summary>
    public string Source { get; }

    /// <summary>The family, <c>model_type</c>.</summary>
    public string ModelType => Text("model_type") ?? throw Fault("model_type", "is missing: it says which family the model belongs to");

    /// <summary>Whether it is the part for texts of a model that takes images too, whose weights stand beside the others'.</summary>
    internal bool IsTextPart { get; init; }

    /// <summary>The same with further keys, where they aren't there; a key that is there with null stays so.</summary>
    /// <param name="defaults">A JSON object.</param>
    internal ModelConfiguration WithDefaults(string defaults)
    {
        var json = ToJson();
        foreach (var (key, value) in JsonNode.Parse(defaults)!.AsObject())
        {
            if (!json.ContainsKey(key)) json[key] = value?.DeepClone();
        }

        return With(json);
    }

    /// <summary>Other settings of the same folder.</summary>
    internal ModelConfiguration With(JsonObject json) => new(json, Source) { IsTextPart = IsTextPart };

    /// <summary>The first of <c>architectures</c>: which head the weights have; null where it isn't said.</summary>
    public string? Architecture => _json["architectures"] is JsonArray { Count: > 0 } names && names[0] is JsonValue name && name.TryGetValue<string>(out var text) ? text : null;

    /// <summary>Whether the folder holds a sequence classifier rather than a language model, by its architecture's name.</summary>
    public bool IsClassifier => Architecture?.EndsWith("ForSequenceClassification", StringComparison.Ordinal) == true;

    /// <summary>Reads a folder's <c>config.json</c> as it stands there, whatever else the folder holds.</summary>
    /// <exception cref="InputException">It's absent or not a JSON object.</exception>
    internal static ModelConfiguration ReadFile(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path)) throw new InputException($"{path}: the file is missing; a model's folder holds config.json and model.safetensors.");
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
            throw new InputException($"{path}: can't be read: {failure.Message}", failure);
        }
    }

    /// <summary>Whether it says nothing.</summary>
    public bool IsEmpty => _json.Count == 0;

    /// <summary>A copy of all settings.</summary>
    public JsonObject ToJson() => (JsonObject)_json.DeepClone();

    /// <summary>A positive whole number that must be there.</summary>
    public int Size(string key) => OptionalSize(key) ?? throw Fault(key, "is missing");

    /// <summary>A positive whole number, or null where the key is absent or null.</summary>
    public int? OptionalSize(string key) => Whole(key) switch
    {
        null => null,
        > 0 and var size => size,
        var size => throw Fault(key, $"is {size}: it must be positive"),
    };

    /// <summary>A whole number that isn't negative, or null where the key is absent or null.</summary>
    internal int? OptionalWhole(string key) => Whole(key) is { } value ? value >= 0 ? value : throw Fault(key, $"is {value}: it can't be negative") : null;

    /// <summary>A token id, or null where the key is absent or null.</summary>
    public int? TokenId(string key) => Whole(key) is { } id ? id >= 0 ? id : throw Fault(key, $"is {id}: a token id can't be negative") : null;

    /// <summary>A positive number, or the format's own default where the key is absent or null.</summary>
    public double Positive(string key, double formatDefault) => OptionalPositive(key) ?? formatDefault;

    /// <summary>A positive number that must be there.</summary>
    public double Positive(string key) => OptionalPositive(key) ?? throw Fault(key, "is missing");

    /// <summary>A number, or null where the key is absent or null.</summary>
    public double? Number(string key) => Get<double>(key, "a number");

    /// <summary>A positive number, or null where the key is absent or null.</summary>
    public double? OptionalPositive(string key) =>
        Number(key) is not { } value ? null : value > 0 && double.IsFinite(value) ? value : throw Fault(key, $"is {value}: it must be positive");

    /// <summary>The settings under a key, or null where it is absent or null.</summary>
    public ModelConfiguration? Section(string key) => _json[key] switch
    {
        null => null,
        JsonObject section => new ModelConfiguration(section, $"{Source}: {key}"),
        _ => throw Fault(key, "is not an object"),
    };

    /// <summary>Yes or no, or the format's own default where the key is absent or null.</summary>
    public bool Flag(string key, bool formatDefault) => Get<bool>(key, "true or false") ?? formatDefault;

    /// <summary>Refuses a flag that has another value than the only one supported, which is also the format's default.</summary>
    public void RequireFlag(string key, bool onlyValue)
    {
        if (Flag(key, onlyValue) != onlyValue) throw Fault(key, $"is {(onlyValue ? "false" : "true")}, which isn't supported");
    }

    /// <summary>Refuses weights that are stored in a form that isn't read.</summary>
    public void RequireUnquantised()
    {
        if (Section("quantization_config") is { } quantised)
            throw Fault("quantization_config", $"is there{(quantised.Text("quant_method") is { } method ? $" ({method})" : "")}, and quantised weights aren't supported: take the model's original weights, or save them as bfloat16");
    }

    /// <summary>A text, or null where the key is absent or null.</summary>
    public string? Text(string key) => _json[key] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        _ => throw Fault(key, "is not a text"),
    };

    /// <summary>Whether a key holds a text.</summary>
    internal bool IsText(string key) => _json[key] is JsonValue value && value.TryGetValue<string>(out _);

    /// <summary>A list of texts, empty where the key is absent or null.</summary>
    public IReadOnlyList<string> Texts(string key) => _json[key] switch
    {
        null => [],
        JsonArray items => [.. items.Select(item => item is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Fault(key, "is not a list of texts"))],
        _ => throw Fault(key, "is not a list of texts"),
    };

    /// <summary>A list of numbers, empty where the key is absent or null.</summary>
    internal IReadOnlyList<double> Numbers(string key) => _json[key] switch
    {
        null => [],
        JsonArray items => [.. items.Select(item => item is JsonValue value && value.TryGetValue<double>(out var number) && double.IsFinite(number) ? number : throw Fault(key, "is not a list of numbers"))],
        _ => throw Fault(key, "is not a list of numbers"),
    };

    /// <summary>The labels by index, from <c>id2label</c>, or as many without a name of their own as <c>num_labels</c> says; null where neither is there.</summary>
    public IReadOnlyList<string>? Labels()
    {
        if (_json["id2label"] is null) return OptionalSize("num_labels") is { } count ? [.. Enumerable.Range(0, count).Select(label => $"LABEL_{label}")] : null;
        if (_json["id2label"] is not JsonObject map) throw Fault("id2label", "is not an object");
        var labels = new string[map.Count];
        foreach (var (key, value) in map)
        {
            if (!int.TryParse(key, out var index) || index < 0 || index >= labels.Length || labels[index] is not null || value is not JsonValue text || !text.TryGetValue<string>(out var label))
                throw Fault("id2label", $"must name the labels 0 to {labels.Length - 1}, each once");
            labels[index] = label;
        }

        return labels;
    }

    /// <summary>An error about a key.</summary>
    public InputException Fault(string key, string what) => new($"{Source}: {key} {what}.");

    private int? Whole(string key) => Get<int>(key, "a whole number");

    private T? Get<T>(string key, string kind) where T : struct => _json[key] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<T>(out var result) => result,
        _ => throw Fault(key, $"is not {kind}"),
    };
}
