using Rlgf.Tokenizers.Normalization;
using Rlgf.Tokenizers.Words;

namespace Rlgf.Tokenizers.HuggingFace;

/// <summary>Reads the "pre_tokenizer" section of <c>tokenizer.json</c>.</summary>
internal sealed class PreTokenizerReader
{
    private readonly List<IPreTokenizer> _steps = [];

    private PreTokenizerReader() { }

    /// <summary>Whether the words are yet to be spelled in bytes.</summary>
    private bool EndsInBytes { get; set; }

    /// <summary>Reads the section.</summary>
    /// <param name="preTokenizer">The section, if there is one.</param>
    /// <param name="addsPrefixSpace">What <c>tokenizer_config.json</c> says about a space before the text; it is asked last by the transformers library too.</param>
    /// <returns>The steps, and whether <see cref="ByteSpelling"/> is one more after them; some models do that themselves, faster.</returns>
    public static (IReadOnlyList<IPreTokenizer> Steps, bool EndsInBytes) Read(JsonPart? preTokenizer, bool? addsPrefixSpace)
    {
        var reader = new PreTokenizerReader();
        if (preTokenizer is { } section)
            reader.Add(section, addsPrefixSpace);
        return (reader._steps, reader.EndsInBytes);
    }

    /// <summary>Reads where a Metaspace puts its mark; the same keys are in its decoder.</summary>
    public static (char Mark, PrependScheme Scheme) ReadMetaspace(JsonPart metaspace)
    {
        var replacement = metaspace.Required("replacement");
        var mark = replacement.AsString() is [var only] ? only : throw replacement.Error("must be one character");
        // Older files have a flag instead.
        var otherwise = metaspace.Flag("add_prefix_space", otherwise: true) ? PrependScheme.Always : PrependScheme.Never;
        if (metaspace.Optional("prepend_scheme") is not { } scheme)
            return (mark, otherwise);
        var given = scheme.AsString() switch
        {
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            var other => throw scheme.Error($"is \"{other}\"; it must be \"always\", \"first\" or \"never\""),
        };
        return otherwise != PrependScheme.Never || given == PrependScheme.Never ? (mark, given) : throw scheme.Error("contradicts \"add_prefix_space\", which is false");
    }

    private void Add(JsonPart step, bool? addsPrefixSpace)
    {
        var type = TokenizerJson.TypeOf(step);
        if (EndsInBytes && type != "Sequence")
        {
            _steps.Add(new ByteSpelling());
            EndsInBytes = false;
        }
        switch (type)
        {
            case "Sequence":
                foreach (var part in step.Required("pretokenizers").Items())
                    Add(part, addsPrefixSpace: null);
                break;
            case "ByteLevel":
                EndsInBytes = true;
                if (addsPrefixSpace ?? step.Flag("add_prefix_space", otherwise: true))
                    _steps.Add(new PrefixSpace());
                if (step.Flag("use_regex", otherwise: true))
                    _steps.Add(new PatternPreTokenizer(new Gpt2Pattern()));
                break;
            case "Split":
                _steps.Add(ReadSplit(step));
                break;
            case "Metaspace":
                var (mark, scheme) = ReadMetaspace(step);
                _steps.Add(new Metaspace(mark, scheme, step.Flag("split", otherwise: true)));
                break;
            case "BertPreTokenizer":
                _steps.Add(CharacterPreTokenizer.WhiteSpace());
                _steps.Add(CharacterPreTokenizer.Punctuation(SplitBehavior.Isolated));
                break;
            case "Whitespace":
                _steps.Add(new WordRuns());
                break;
            case "WhitespaceSplit":
                _steps.Add(CharacterPreTokenizer.WhiteSpace());
                break;
            case "Punctuation":
                _steps.Add(CharacterPreTokenizer.Punctuation(step.Optional("behavior") is { } behavior ? ReadBehavior(behavior) : SplitBehavior.Isolated));
                break;
            case "Digits":
                _steps.Add(CharacterPreTokenizer.Digits(step.Flag("individual_digits")));
                break;
            case "CharDelimiterSplit":
                _steps.Add(new SplitPreTokenizer(TextPattern.Literal(step.Required("delimiter").AsString()), SplitBehavior.Removed, invert: false));
                break;
            case "FixedLength":
                var length = step.Optional("length")?.AsCount() ?? FixedLengthSplit.DefaultLength;
                _steps.Add(new FixedLengthSplit(length > 0 ? length : throw step.Required("length").Error("must be at least 1")));
                break;
            case "UnicodeScripts":
                _steps.Add(new ScriptSplit());
                break;
            default:
                throw TokenizerJson.Unsupported(
                    step,
                    "ByteLevel, Metaspace, BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, CharDelimiterSplit, Split, UnicodeScripts, FixedLength and Sequence are");
        }
    }

    private static IPreTokenizer ReadSplit(JsonPart split)
    {
        var behavior = ReadBehavior(split.Required("behavior"));
        var invert = split.Flag("invert");
        if (behavior == SplitBehavior.Isolated && !invert && !split.Required("pattern").IsString && split.Required("pattern").Optional("Regex") is { } regex
            && Cl100kPattern.TryParse(regex.AsString()) is { } known)
            return new PatternPreTokenizer(known);
        return new SplitPreTokenizer(PatternReader.Read(split), behavior, invert);
    }

    private static SplitBehavior ReadBehavior(JsonPart behavior) => behavior.AsString() switch
    {
        "Removed" => SplitBehavior.Removed,
        "Isolated" => SplitBehavior.Isolated,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        var other => throw behavior.Error($"is \"{other}\"; it must be \"Removed\", \"Isolated\", \"MergedWithPrevious\", \"MergedWithNext\" or \"Contiguous\""),
    };
}
