using System.CommandLine;
using Rlgf.Metrics;
using Rlgf.Models.Loading;
using Rlgf.Models.Metrics;
using Rlgf.Text.Metrics;
using static TorchSharp.torch;

namespace Rlgf.App.Commands;

/// <summary>The options of single metrics: how words are compared, and what a metric computes with.</summary>
internal sealed class MetricOptions
{
    private readonly Option<string?> _encoder = Text("--encoder", "DIR", "Folder of the encoder that BERTScore compares states of.");
    private readonly Option<int?> _layer = CommonOptions.OptionalNumber("--encoder-layer", "After how many of the encoder's layers. Without it, after all.");
    private readonly Option<bool> _idf = new("--idf") { Description = "Let BERTScore count tokens by how rare they are among the references." };
    private readonly Option<string?> _model = Text("--model", "DIR", "Folder of the language model of perplexity.");
    private readonly Option<string?> _device = CommonOptions.Device();
    private readonly Option<string?> _spice = Text("--spice", "JAR", "spice-1.0.jar of SPICE's authors, with its lib folder beside it.");
    private readonly Option<string> _java = new("--java") { HelpName = "PROGRAM", Description = "The Java that runs it.", DefaultValueFactory = _ => "java" };

    /// <summary>Of ROUGE.</summary>
    public Option<bool> Stem { get; } = new("--stem") { Description = "Let ROUGE compare words by their stems." };

    /// <summary>Of METEOR.</summary>
    public Option<string?> Synonyms { get; } = Text("--synonyms", "FILE", "Synonyms for METEOR, {\"big\": [\"large\"]}. Without it, words and their stems alone are compared.");

    /// <summary>Those of metrics that compute with a model or another program.</summary>
    public IEnumerable<Option> OfModels => [_encoder, _layer, _idf, _model, _device, _spice, _java];

    /// <summary>Each option, whether it was given, and which metrics use it.</summary>
    public (string Option, bool IsGiven, string[] Of)[] Uses(ParseResult parsed)
    {
        (string, bool, string[]) Use(Option option, params string[] of) => (option.Name, parsed.GetResult(option) is { Implicit: false }, of);
        return
        [
            Use(_encoder, "bertscore"), Use(_layer, "bertscore"), Use(_device, "bertscore", "perplexity"), Use(_idf, "bertscore"), Use(_model, "perplexity"), Use(_spice, "spice"), Use(_java, "spice"),
            Use(Synonyms, "meteor"), Use(Stem, "rouge1", "rouge2", "rougeL", "rougeLsum"),
        ];
    }

    /// <summary>The models that metrics ask for, each loaded when it is.</summary>
    public LoadedModels Load(ParseResult parsed) => new(
        parsed.GetValue(_encoder), parsed.GetValue(_layer), parsed.GetValue(_idf), parsed.GetValue(_model), parsed.GetValue(_device) is null ? CPU : CommonOptions.DeviceOf(parsed, _device));

    /// <summary>What metrics are made of.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="models">Models.</param>
    /// <param name="references">All references.</param>
    /// <param name="counted">Sources in which n-grams are counted; these options fill in the others.</param>
    public MetricCatalog Catalog(ParseResult parsed, LoadedModels models, IReadOnlyCollection<string> references, MetricSources counted) => new()
    {
        Sources = counted with { Stem = parsed.GetValue(Stem), Synonyms = parsed.GetValue(Synonyms) is { } file ? SynonymFile.Read(file) : null },
        BertScore = models.BertScore(references),
        Model = models.Model,
        Spice = parsed.GetValue(_spice) is { } jar ? new SpiceTool(jar, parsed.GetRequiredValue(_java)) : null,
    };

    private static Option<string?> Text(string name, string valueName, string description) => new(name) { HelpName = valueName, Description = description };

    /// <summary>Models that are loaded for metrics, until the command ends.</summary>
    internal sealed class LoadedModels(string? encoder, int? layer, bool idf, string? model, Device device) : IDisposable
    {
        private readonly List<IDisposable> _loaded = [];

        public Func<BertScore>? BertScore(IReadOnlyCollection<string> references) => encoder is null ? null : () => new BertScore(Own(TextEncoder.Load(encoder, device: device)), layer, idf ? references : null);

        public Func<TextModel>? Model => model is null ? null : () => Own(TextModel.Load(model, device: device));

        public void Dispose() => _loaded.ForEach(loaded => loaded.Dispose());

        private T Own<T>(T loaded)
            where T : IDisposable
        {
            _loaded.Add(loaded);
            return loaded;
        }
    }
}
