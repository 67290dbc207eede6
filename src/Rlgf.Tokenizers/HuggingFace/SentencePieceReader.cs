using Rlgf.Base;
using Rlgf.Tokenizers.Decoding;
using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Parts;
using Rlgf.Tokenizers.Subwords;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Makes a tokenizer of a sentencepiece model where a folder has no <c>tokenizer.json</c>, as the transformers library's classes convert it.</summary>
internal sealed class SentencePieceReader
{
    /// <summary>The mark of a space.</summary>
    private const char Mark = '\u2581';

    /// <summary>What T5's class has where no file says.</summary>
    private const int DefaultSentinels = 100;

    private static readonly string[] T5Classes = ["T5Tokenizer"];
    private static readonly string[] LlamaClasses = ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "TokenizersBackend", "PreTrainedTokenizer"];

    private readonly SentencePieceModel _model;
    private readonly TokenizerConfiguration _configuration;
    private readonly TokenizerFiles _files;
    private readonly string _name;

    private SentencePieceReader(SentencePieceModel model, TokenizerConfiguration configuration, TokenizerFiles files, string name) =>
        (_model, _configuration, _files, _name) = (model, configuration, files, name);

    /// <summary>Reads a model file of a folder.</summary>
    /// <returns>The parts, and the model for what else it says.</returns>
    public static (TokenizerParts Parts, SentencePieceModel Model) Read(TokenizerFiles files, string name, TokenizerConfiguration configuration)
    {
        var file = files.PathOf(name);
        var model = SentencePieceModel.Read(file, files[name]);
        if (model.MarksAfterWords)
            throw new InputException($"{file}: puts spaces after words (trainer_spec.treat_whitespace_as_suffix), which isn't supported; save tokenizer.json with the transformers library.");
        if (!model.EscapesSpaces)
            throw new InputException($"{file}: keeps spaces as they are (normalizer_spec.escape_whitespaces is false), which isn't supported; save tokenizer.json with the transformers library.");
        if (model.Denormalizes)
            throw new InputException($"{file}: rewrites decoded text (denormalizer_spec.precompiled_charsmap), which isn't supported; save tokenizer.json with the transformers library.");
        var classes = model.ModelType switch
        {
            1 => T5Classes,
            2 => LlamaClasses,
            _ => throw new InputException($"{file}: trainer_spec.model_type is {model.ModelType}, which isn't supported; unigram (1) and byte pair encoding (2) are."),
        };
        if (configuration.ClassName is { } named && !classes.Contains(named))
            throw configuration.UnsupportedClass($"{name} of this kind");
        var reader = new SentencePieceReader(model, configuration, files, name);
        return (model.ModelType == 1 ? reader.ReadUnigram(file) : reader.ReadBpe(file), model);
    }

    /// <summary>T5: a text's normalised words with a mark before each, the end token after them, and sentinels with the last ids.</summary>
    private TokenizerParts ReadUnigram(string file)
    {
        var pieces = _model.Pieces.Select(piece => (piece.Text, piece.Score)).ToList();
        var added = SpecialPieces();
        var sentinels = _configuration.Count("extra_ids") ?? DefaultSentinels;
        for (var sentinel = sentinels - 1; sentinel >= 0; sentinel--)
        {
            added.Add(new AddedToken(pieces.Count, $"<extra_id_{sentinel}>", IsSpecial: true));
            pieces.Add(($"<extra_id_{sentinel}>", 0));
        }
        // As the library has it, white space of all kinds divides words then; otherwise as sentencepiece itself.
        var splitsAtSpaces = _model.RemovesExtraSpaces && _model.AddsPrefix;
        var normalizers = Normalizers(file, removesExtraSpaces: !splitsAtSpaces && _model.RemovesExtraSpaces);
        if (!splitsAtSpaces && _model.AddsPrefix)
            normalizers.Add(new PrependNormalizer(" "));
        var marks = new Metaspace(Mark, splitsAtSpaces ? PrependScheme.Always : PrependScheme.Never, splits: true);
        var end = Special(_model.EosId, type: 0);
        var model = WithoutUnused(new Unigram(pieces, new UnknownToken(_model.UnknownId, null), _model.FallsBackOnBytes));
        return new TokenizerParts
        {
            AddedTokens = AddedTo(model.Vocabulary, pieces.Count, added),
            Normalizer = InRow(normalizers),
            PreTokenizer = new PreTokenizerSequence(splitsAtSpaces ? [CharacterPreTokenizer.WhiteSpace(), marks] : [marks]),
            Model = model,
            Single = new([PostProcessorReader.Text(0), .. end]),
            Pair = new([PostProcessorReader.Text(0), .. end, PostProcessorReader.Text(0, isSecond: true), .. end]),
            DecoderSteps = [new MetaspaceStep(Mark, dropsFirst: _model.AddsPrefix)],
        };
    }

    /// <summary>Llama: marks for all spaces and one before the text, bytes for unknown characters, the begin token before the text.</summary>
    private TokenizerParts ReadBpe(string file)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < _model.Pieces.Count; id++)
            vocabulary[_model.Pieces[id].Text] = id;
        var parts = new TokenizerParts
        {
            AddedTokens = AddedTo(vocabulary, _model.Pieces.Count, SpecialPieces()),
            Single = new([.. Bos(0), PostProcessorReader.Text(0), .. Eos(0)]),
            Pair = new([.. Bos(0), PostProcessorReader.Text(0), .. Eos(0), .. Bos(1), PostProcessorReader.Text(1, isSecond: true), .. Eos(1)]),
            Model = WithoutUnused(new CharacterBpe(
                vocabulary, Merges(vocabulary), new CharacterBpeOptions { Unknown = new UnknownToken(_model.UnknownId, null), FusesUnknown = true, FallsBackOnBytes = _model.FallsBackOnBytes })),
            DecoderSteps =
            [
                new ReplaceStep(TextPattern.Literal(Mark.ToString()), " "), new ByteFallbackStep(), new FuseStep(),
                .. _model.AddsPrefix ? [new StripStep(' ', start: 1, stop: 0, afterFuse: true)] : Array.Empty<IPieceStep>(),
            ],
        };
        var normalizers = Normalizers(file, _model.RemovesExtraSpaces);
        // Newer folders mark only the first word of a text, and not where it begins with a space; older ones and sentencepiece itself always do.
        if (_configuration.MarksOnlyFirstWord)
            return parts with { Normalizer = InRow(normalizers), PreTokenizer = new Metaspace(Mark, _model.AddsPrefix ? PrependScheme.First : PrependScheme.Never, splits: false) };
        if (_model.AddsPrefix)
            normalizers.Add(new PrependNormalizer(Mark.ToString()));
        normalizers.Add(new ReplaceNormalizer(TextPattern.Literal(" "), Mark.ToString()));
        return parts with { Normalizer = InRow(normalizers) };

        TemplatePart[] Bos(int type) => _configuration.AddsBos ? Special(_model.BosId, type) : [];
        TemplatePart[] Eos(int type) => _configuration.AddsEos ? Special(_model.EosId, type) : [];
    }

    /// <summary>What the model does to a text before it marks spaces.</summary>
    private List<INormalizer> Normalizers(string file, bool removesExtraSpaces)
    {
        var normalizers = new List<INormalizer>();
        if (_model.NormalizationTable.Length > 0)
            normalizers.Add(PrecompiledNormalizer.TryRead(_model.NormalizationTable) ?? throw new InputException($"{file}: normalizer_spec.precompiled_charsmap isn't a compiled table."));
        if (removesExtraSpaces)
            normalizers.Add(new ExtraSpacesNormalizer());
        return normalizers;
    }

    private static INormalizer? InRow(List<INormalizer> normalizers) => normalizers switch { [] => null, [var only] => only, _ => new NormalizerSequence(normalizers) };

    /// <summary>The model without the pieces that the file marks as unused.</summary>
    private ISubwordModel WithoutUnused(ISubwordModel model)
    {
        var unused = Enumerable.Range(0, _model.Pieces.Count).Where(id => _model.Pieces[id].Kind == PieceKind.Unused).ToHashSet();
        return unused.Count == 0 ? model : model.Without(unused);
    }

    /// <summary>A special token as a part of a template; none where the model has none.</summary>
    private TemplatePart[] Special(int id, int type) => _model.PieceOf(id) is null ? [] : [PostProcessorReader.Special([id], type)];

    /// <summary>The tokens with a role where no other file names them.</summary>
    public static string? TokenOf(SentencePieceModel model, string role) => role switch
    {
        "bos_token" => model.PieceOf(model.BosId),
        "eos_token" => model.PieceOf(model.EosId),
        "pad_token" => model.PieceOf(model.PadId),
        _ => null,
    };

    /// <summary>Those tokens and what the other files add.</summary>
    private IReadOnlyList<AddedToken> AddedTo(IReadOnlyDictionary<string, int> vocabulary, int size, List<AddedToken> own)
    {
        var added = new AddedVocabulary(_files, _configuration, _name, vocabulary, size, role => TokenOf(_model, role));
        foreach (var token in own)
            added.AddOwn(token);
        return added.AddAll();
    }

    private List<AddedToken> SpecialPieces()
    {
        var added = new List<AddedToken>();
        for (var id = 0; id < _model.Pieces.Count; id++)
        {
            var (text, _, kind) = _model.Pieces[id];
            if (kind is PieceKind.Control or PieceKind.Unknown or PieceKind.UserDefined)
                added.Add(new AddedToken(id, text, IsSpecial: kind != PieceKind.UserDefined));
        }
        return added;
    }

    /// <summary>A pair may merge where the vocabulary has what it makes; the better that token's score, the earlier.</summary>
    private IEnumerable<(int Left, int Right, int Merged)> Merges(Dictionary<string, int> vocabulary)
    {
        var lookup = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new List<(int Left, int Right, int Merged, double Score, int LeftLength, int RightLength)>();
        for (var id = 0; id < _model.Pieces.Count; id++)
        {
            var (text, score, _) = _model.Pieces[id];
            for (var at = 1; at < text.Length; at++)
            {
                if (lookup.TryGetValue(text.AsSpan(0, at), out var left) && lookup.TryGetValue(text.AsSpan(at), out var right))
                    merges.Add((left, right, id, score, at, text.Length - at));
            }
        }
        return merges.OrderByDescending(merge => (merge.Score, merge.LeftLength, merge.RightLength)).Select(merge => (merge.Left, merge.Right, merge.Merged));
    }
}
