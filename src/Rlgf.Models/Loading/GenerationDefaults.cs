using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Checkpoints;
using Rlgf.Models.Generation;

namespace Rlgf.Models.Loading;

/// <summary>
/// What a model's folder asks of everybody who writes with it, from <c>generation_config.json</c> or, where there is none, from <c>config.json</c>: what it forces and forbids applies as in transformers'
/// <c>generate</c>. How tokens are drawn (temperature, beams, limits) is for the one who writes to say; what is asked about that and not done is listed. A recipe's runs use the recipe's settings alone.
/// </summary>
public sealed record GenerationDefaults
{
    private IReadOnlyList<int> _suppressed = [];
    private IReadOnlyList<IReadOnlyList<int>> _badWords = [];
    private ModelTokenRules _rules = new();
    private int? _minNewTokens;
    private int _minLength;
    private int? _noRepeatNgram;
    private double? _repetitionPenalty;

    /// <summary>The file, for messages.</summary>
    public string Source { get; init; } = "";

    /// <summary>The only id that a response can begin with (<c>forced_bos_token_id</c>); null for any.</summary>
    public int? ForcedFirstToken { get; init; }

    /// <summary>The only id that can be written at the limit (<c>forced_eos_token_id</c>); null for any.</summary>
    public int? ForcedLastToken { get; init; }

    /// <summary>What is asked and not done: keys with their values, those last that an option decides.</summary>
    public IReadOnlyList<UnusedGenerationSetting> NotUsed { get; init; } = [];

    /// <summary>Reads what a model's folder says.</summary>
    /// <param name="settings">The settings; null where nothing is asked.</param>
    /// <param name="source">Where they come from, for messages.</param>
    /// <param name="shape">The model's sizes.</param>
    /// <exception cref="InputException">A value is of another kind, or names an id that the model doesn't have.</exception>
    public static GenerationDefaults Of(JsonObject? settings, string source, LanguageModelShape shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        if (settings is null) return new GenerationDefaults { Source = source };
        var read = new SettingsReader(settings, source, shape.Vocabulary);
        var forcedFirst = read.Id("forced_bos_token_id");
        return new GenerationDefaults
        {
            Source = source,
            // transformers forces the first token of a sequence: of a decoder that has its prompt before it, that is the prompt's.
            ForcedFirstToken = shape.ReadsPromptApart ? forcedFirst : null,
            ForcedLastToken = read.Ids("forced_eos_token_id") is [var last, ..] ? last : null,
            NotUsed = Unused(settings, forcedFirst is not null && !shape.ReadsPromptApart),
            _suppressed = read.Ids("suppress_tokens"),
            _badWords = read.Sequences("bad_words_ids"),
            _minNewTokens = read.Whole("min_new_tokens"),
            _minLength = read.Whole("min_length") ?? 0,
            _noRepeatNgram = read.Whole("no_repeat_ngram_size"),
            _repetitionPenalty = read.Positive("repetition_penalty"),
            _rules = new ModelTokenRules
            {
                NotFirst = read.Ids("begin_suppress_tokens"),
                // After a forced token the next is the first that is chosen.
                FirstChoice = forcedFirst is not null && shape.ReadsPromptApart ? 1 : 0,
                Biases = read.Biases("sequence_bias"),
            },
        };
    }

    /// <summary>Settings with what the model's folder asks for.</summary>
    /// <param name="settings">What the one who writes asks for.</param>
    /// <param name="endTokens">The ids that end a text: they replace those of the settings, and can't be forbidden as bad words.</param>
    /// <param name="given">Options (<c>--min-new-tokens</c> …) that were given, so that the folder's word doesn't count.</param>
    public SamplingSettings ApplyTo(SamplingSettings settings, IReadOnlyList<int> endTokens, IReadOnlySet<string> given)
    {
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(given);
        var decidesMinimum = !given.Contains("--min-new-tokens");
        return settings with
        {
            EndTokens = endTokens,
            ForcedFirstToken = settings.ForcedFirstToken ?? ForcedFirstToken,
            ForcedLastToken = settings.ForcedLastToken ?? ForcedLastToken,
            ForbiddenSequences =
            [
                .. settings.ForbiddenSequences,
                .. _badWords.Where(words => words is not [var single] || !endTokens.Contains(single)),
                .. _suppressed.Select(id => (int[])[id]),
            ],
            // A minimum beyond the limit forbids the end all the way, as one at the limit does.
            MinNewTokens = decidesMinimum && _minNewTokens is { } minimum ? Math.Min(minimum, settings.MaxNewTokens) : settings.MinNewTokens,
            NoRepeatNgram = !given.Contains("--no-repeat-ngram") && _noRepeatNgram is { } ngram ? ngram : settings.NoRepeatNgram,
            RepetitionPenalty = !given.Contains("--repetition-penalty") && _repetitionPenalty is { } penalty ? penalty : settings.RepetitionPenalty,
            ModelRules = _rules with { MinLength = decidesMinimum && _minNewTokens is null ? _minLength : 0 },
        };
    }

    /// <summary>One line about what isn't used; null where all is.</summary>
    /// <param name="given">Options that were given.</param>
    public string? Warning(IReadOnlySet<string> given)
    {
        var unused = NotUsed.Where(setting => setting.Option is null || !given.Contains(setting.Option)).ToArray();
        return unused.Length == 0 ? null : $"{Source}: not used here: {string.Join("; ", unused.Select(setting => $"{setting.Key} {setting.Value}{(setting.Option is { } option ? $" (an option: {option})" : "")}"))}";
    }

    private static UnusedGenerationSetting[] Unused(JsonObject settings, bool forcesFirstInPrompt) =>
    [
        .. settings.Where(pair => !GenerationKey.All.TryGetValue(pair.Key, out var known)
                ? pair.Value is not null
                : known.Use == GenerationKeyUse.NotUsed ? !known.IsNeutral(pair.Value) : pair.Key == "forced_bos_token_id" && forcesFirstInPrompt)
            .Select(pair => new UnusedGenerationSetting(pair.Key, JsonFormat.Shown(pair.Value), GenerationKey.All.GetValueOrDefault(pair.Key)?.Option))
            .OrderBy(setting => setting.Option is not null),
    ];

    /// <summary>Reads values, each by its key.</summary>
    private readonly struct SettingsReader(JsonObject settings, string source, int vocabulary)
    {
        public int? Id(string key) => settings[key] is { } value ? Checked(key, RoleTokens.Read(value, key, source, several: false))[0] : null;

        public int[] Ids(string key) => settings[key] switch
        {
            null or JsonArray { Count: 0 } => [],
            var value => Checked(key, RoleTokens.Read(value, key, source)),
        };

        public int[][] Sequences(string key)
        {
            if (settings[key] is not { } value) return [];
            if (value is not JsonArray sequences) throw Fault(key, value, "a list of lists of ids");
            var result = new int[sequences.Count][];
            for (var i = 0; i < result.Length; i++) result[i] = Sequence(key, sequences[i]);
            return result;
        }

        public SequenceBias[] Biases(string key)
        {
            const string Kind = "a list of pairs of ids and a number, such as [[[7, 9], -5.0]]";
            if (settings[key] is not { } value) return [];
            if (value is not JsonArray pairs) throw Fault(key, value, Kind);
            var result = new SequenceBias[pairs.Count];
            for (var i = 0; i < result.Length; i++)
            {
                result[i] = pairs[i] is JsonArray { Count: 2 } pair && pair[1] is JsonValue bias && bias.TryGetValue<float>(out var number) && float.IsFinite(number)
                    ? new SequenceBias(Sequence(key, pair[0]), number)
                    : throw Fault(key, pairs[i], Kind);
            }

            return result;
        }

        public int? Whole(string key) => settings[key] is not { } value ? null : value is JsonValue number && number.TryGetValue<int>(out var whole) && whole >= 0 ? whole : throw Fault(key, value, "a whole number, 0 or more");

        public double? Positive(string key) =>
            settings[key] is not { } value ? null : value is JsonValue number && number.TryGetValue<double>(out var real) && real > 0 && double.IsFinite(real) ? real : throw Fault(key, value, "a number above 0");

        private int[] Sequence(string key, JsonNode? value) => value is JsonArray { Count: > 0 } ? Checked(key, RoleTokens.Read(value, key, source)) : throw Fault(key, value, "lists of ids");

        private int[] Checked(string key, int[] ids)
        {
            foreach (var id in ids)
            {
                if (id < 0 || id >= vocabulary) throw new InputException($"{source}: {key} names the id {id}, and the model has ids below {vocabulary}; write the id of the token that is meant");
            }

            return ids;
        }

        private InputException Fault(string key, JsonNode? value, string kind) => new($"{source}: {key} is or holds {JsonFormat.Shown(value)}; it must be {kind}");
    }
}

/// <summary>A setting of a model's folder that isn't used.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Value">Its value, as JSON.</param>
/// <param name="Option">The option that decides instead; null for none.</param>
public sealed record UnusedGenerationSetting(string Key, string Value, string? Option);
