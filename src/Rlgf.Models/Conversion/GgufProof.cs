using System.Globalization;
using Rlgf.Base;
using Rlgf.ChatTemplates;
using Rlgf.Gguf;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Families.Known;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Models.Tensors;
using Rlgf.Text;
using Rlgf.Text.Conversations;
using Rlgf.Tokenizers;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Conversion;

/// <summary>How an export compares with the model that it was made from.</summary>
/// <param name="Reader">Who read the file.</param>
/// <param name="Texts">How many texts were cut into tokens; 0 where the reader can't be asked.</param>
/// <param name="DifferentText">The first text whose tokens differ; null where all are equal.</param>
/// <param name="Rows">How many texts' log-probabilities were compared.</param>
/// <param name="Mean">Difference of a token's log-probability in nats, in the mean.</param>
/// <param name="Largest">The largest.</param>
/// <param name="SourcePerplexity">Of the texts' tokens, by the source.</param>
/// <param name="Perplexity">The same by who read the file.</param>
/// <param name="SameGreedy">Of how many texts the likeliest continuation is the same.</param>
/// <param name="Faults">What is wrong, a sentence each; none where the file is proven.</param>
public sealed record GgufComparison(string Reader, int Texts, string? DifferentText, int Rows, double Mean, double Largest, double SourcePerplexity, double Perplexity, int SameGreedy, IReadOnlyList<string> Faults)
{
    /// <summary>The measured, in a line.</summary>
    public string Summary => string.Create(
        CultureInfo.InvariantCulture,
        $"read back by {Reader}: {(Texts == 0 ? "its tokenizer isn't read here" : $"tokens of {Texts} texts {(DifferentText is null ? "equal" : "NOT equal")}")}; difference of a log-probability {Mean:0.0000} nats in the mean, {Largest:0.000} at most, over {Rows} texts; their perplexity {Perplexity:0.00} in place of {SourcePerplexity:0.00}; greedy text equal in {SameGreedy} of {Rows}");
}

/// <summary>
/// Compares a GGUF file with the folder that it was made from, by whoever reads it: tokens of texts of many kinds, log-probabilities of texts' tokens, greedy continuations, conversations by the chat template. The source is measured once, and needn't stay
/// in memory.
/// </summary>
public sealed class GgufProof
{
    /// <summary>The most texts of one's own: as many rows as llama.cpp holds.</summary>
    public const int MostOwnTexts = 256;

    private const int Texts = 200, Rows = 32, Prompt = 8, MostTokens = 32, MostNewTokens = 16;

    private readonly IReadOnlyList<string> _texts = ProofTexts.Of(Texts);
    private readonly int[][] _tokens;
    private readonly int[][] _rows;
    private readonly int _newTokens;
    private readonly Measured _source;
    private readonly ChatTemplate? _template;
    private readonly ModelConfiguration _configuration;
    private readonly GgufFileType _type;

    /// <summary>Measures the source.</summary>
    /// <param name="source">The model.</param>
    /// <param name="type">What the file stores most numbers as: decides how much may differ.</param>
    /// <param name="tokenizerFolder">Where its tokenizer is, if it is not in the model's folder.</param>
    /// <param name="contextLength">The most tokens of a text in the file, where they are fewer than the model's own.</param>
    /// <param name="texts">Texts whose log-probabilities are compared, at most <see cref="MostOwnTexts"/>; null for ordinary sentences.</param>
    /// <exception cref="InputException">Its chat template can't be read, or a text is too short.</exception>
    public GgufProof(TextModel source, GgufFileType type, string? tokenizerFolder = null, int? contextLength = null, IReadOnlyList<string>? texts = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (texts?.Count is 0 or > MostOwnTexts) throw new InputException($"there are {texts.Count} texts to compare; from 1 to {MostOwnTexts} can be compared");
        _type = type;
        _template = ChatTemplateFolder.Find(TextModel.TokenizerFolderOf(source.Folder, tokenizerFolder));
        _configuration = new ModelConfiguration(source.Model.Configuration, source.Folder);
        _tokens = [.. _texts.Select(text => source.Tokenizer.Encode(text))];
        int[][] prose = [.. (texts ?? ProofTexts.Prose(Rows)).Select(text => source.Tokenizer.Encode(text, addSpecialTokens: true))];
        // Beyond the file's context the two may be different models.
        var context = contextLength ?? source.Model.Shape.ContextLength;
        _newTokens = Math.Min(MostNewTokens, context / 2);
        var length = Math.Min(Math.Min(MostTokens, context - _newTokens), prose.Min(tokens => tokens.Length));
        if (length < 2) throw new InputException("a text to compare has fewer than two tokens: give longer ones");
        _rows = [.. prose.Select(tokens => tokens[..length])];
        _source = Measure(source.Model);
    }

    /// <summary>The most that log-probabilities of a text's tokens may differ in the mean, in nats: above all that was measured on faithful files (docs/export.md).</summary>
    public static double Bound(GgufFileType type) => type switch
    {
        GgufFileType.F32 => 0.005,
        GgufFileType.F16 => 0.02,
        GgufFileType.BF16 => 0.1,
        GgufFileType.Q8_0 => 0.2,
        GgufFileType.Q6_K => 0.3,
        GgufFileType.Q5_0 or GgufFileType.Q5_1 or GgufFileType.Q5_K_M => 0.8,
        _ => 1.2,
    };

    /// <summary>Reads the file by this project's own reader: its numbers in the source's place, its tokenizer, its chat template.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InputException">It can't be read.</exception>
    public GgufComparison CompareOwn(string path)
    {
        using var file = GgufFile.Open(path);
        using var model = ModelFamilies.Of(_configuration).CreateLanguageModel(_configuration, CPU);
        GgufExport.Read(file, model);
        // SentencePiece's unigram model isn't read from such files; its keys are what the converter writes (tests).
        if (file.Metadata.Text("tokenizer.ggml.model") == "t5") return Compare("rlgf", model, null);
        var parts = new GgufTokenizer(file.Metadata);
        var tokenizer = parts.ToTokenizer(path, model.Shape.ContextLength);
        var comparison = Compare("rlgf", model, text => tokenizer.Encode(text));
        var faults = comparison.Faults.ToList();
        var template = parts.ToChatTemplate(path);
        if (template is null != _template is null) faults.Add($"the chat template is {(template is null ? "missing from it" : "in it and not in the source")}");
        else if (Array.Find(Conversations, conversation => Rendered(template, conversation) != Rendered(_template, conversation)) is { } different)
            faults.Add($"its chat template writes a conversation of {different.Length} messages otherwise");
        else if (template is not null && new ConversationEncoder(template, tokenizer, DateTime.UnixEpoch).EndOfTurn is { } turn && !parts.EndIds.Contains(turn))
            faults.Add($"its chat template ends an answer by {tokenizer.TokenOf(turn)}, which is none of its end tokens");
        return comparison with { Faults = faults };
    }

    /// <summary>Compares a model that another reader made of the file.</summary>
    /// <param name="reader">What messages call it.</param>
    /// <param name="model">The model.</param>
    /// <param name="encode">Its tokens of a text, none added; null where it can't be asked.</param>
    public GgufComparison Compare(string reader, IDecodingModel model, Func<string, int[]>? encode)
    {
        var different = encode is null ? null : _texts.Where((text, i) => !encode(text).AsSpan().SequenceEqual(_tokens[i])).FirstOrDefault();
        var measured = Measure(model);
        double sum = 0, largest = 0, source = 0, other = 0;
        var count = 0;
        for (var step = 0; step < _source.LogProbs.Count; step++)
        {
            for (var row = 0; row < _rows.Length; row++)
            {
                double difference = Math.Abs(_source.LogProbs[step][row] - measured.LogProbs[step][row]);
                (source, other) = (source - _source.LogProbs[step][row], other - measured.LogProbs[step][row]);
                (sum, largest, count) = (sum + difference, double.IsNaN(difference) ? difference : Math.Max(largest, difference), count + 1);
            }
        }

        var same = _source.Greedy.Where((tokens, row) => tokens.AsSpan().SequenceEqual(measured.Greedy[row])).Count();
        var faults = new List<string>();
        if (different is not null) faults.Add($"{reader} cuts {ShownText(different)} into other tokens than the model's own tokenizer: {string.Join(' ', encode!(different).Take(24))} in place of {string.Join(' ', _tokens[_texts.ToList().IndexOf(different)].Take(24))}");
        var mean = sum / count;
        if (!(mean <= Bound(_type)))
            faults.Add(string.Create(CultureInfo.InvariantCulture, $"read by {reader}, log-probabilities differ by {mean:0.000} nats in the mean and {largest:0.000} at most, where {_type} may differ by {Bound(_type)}"));
        return new GgufComparison(reader, encode is null ? 0 : _texts.Count, different, _rows.Length, mean, largest, Math.Exp(source / count), Math.Exp(other / count), same, faults);
    }

    private static ChatMessage[][] Conversations =>
    [
        [new ChatMessage("user", "What is 2 + 2?")],
        [new ChatMessage("user", "Hello."), new ChatMessage(ChatMessage.Assistant, " Hi there!\n"), new ChatMessage("user", "And now?")],
        [new ChatMessage("system", "Be brief."), new ChatMessage("user", "Why?")],
    ];

    /// <summary>What a template writes, or that it refuses: both must agree in that too.</summary>
    private static string? Rendered(ChatTemplate? template, ChatMessage[] conversation)
    {
        try
        {
            return template?.Render(conversation, addGenerationPrompt: true, DateTime.UnixEpoch);
        }
        catch (InputException)
        {
            return "refused";
        }
    }

    private static string ShownText(string text)
    {
        var shown = System.Text.Json.JsonSerializer.Serialize(text);
        return shown.Length <= 80 ? shown : $"{shown[..77]}…\"";
    }

    private Measured Measure(IDecodingModel model)
    {
        using var gradients = no_grad();
        var logProbs = new List<float[]>();
        // An encoder-decoder reads the beginning and writes the rest.
        var prompt = Math.Min(Prompt, _rows[0].Length - 1);
        using (var decoder = model.StartDecoding([.. _rows.Select(row => new TokenRow(row[..prompt], []))], _rows[0].Length - prompt))
        {
            for (var place = prompt; place < _rows[0].Length; place++)
            {
                using var scope = NewDisposeScope();
                var next = Array.ConvertAll(_rows, row => row[place]);
                var all = decoder.NextLogits.to_type(ScalarType.Float32).log_softmax(1);
                logProbs.Add(all.gather(1, tensor(Array.ConvertAll(next, id => (long)id), device: all.device).unsqueeze(1)).HostArray<float>());
                if (place < _rows[0].Length - 1) decoder.Append(next);
            }
        }

        var settings = new SamplingSettings { MaxNewTokens = _newTokens, Greedy = true };
        var written = TextGenerator.Generate(model, [.. _rows.Select((row, i) => new GenerationRequest(new TokenRow(row[..prompt], []), (ulong)i))], settings, seed: 1);
        return new Measured(logProbs, [.. written.Select(row => row.Tokens)]);
    }

    /// <param name="LogProbs">By place, of each row's token there.</param>
    /// <param name="Greedy">Continuations.</param>
    private sealed record Measured(IReadOnlyList<float[]> LogProbs, int[][] Greedy);
}
