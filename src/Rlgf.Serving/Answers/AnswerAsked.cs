using System.Security.Cryptography;
using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Answers;

/// <summary>How answers are wanted, whoever asks and by whatever protocol. What is null is for the model's folder to say.</summary>
internal sealed record AnswerAsked
{
    /// <summary>0 takes the most likely token always.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>As in <see cref="SamplingSettings.TopP"/>.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>As in <see cref="SamplingSettings.TopK"/>.</summary>
    public int TopK { get; init; }

    /// <summary>As in <see cref="SamplingSettings.MinP"/>.</summary>
    public double MinP { get; init; }

    /// <summary>As in <see cref="SamplingSettings.TypicalP"/>.</summary>
    public double TypicalP { get; init; } = 1;

    /// <summary>As in <see cref="SamplingSettings.RepetitionPenalty"/>.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>The most tokens of an answer; null for as many as there is room for.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>As in <see cref="SamplingSettings.MinNewTokens"/>.</summary>
    public int? MinTokens { get; init; }

    /// <summary>Whether the model's end tokens are tokens as any others.</summary>
    public bool IgnoresEnd { get; init; }

    /// <summary>Ids that end an answer too.</summary>
    public IReadOnlyList<int> StopIds { get; init; } = [];

    /// <summary>Texts that end an answer.</summary>
    public IReadOnlyList<string> Stops { get; init; } = [];

    /// <summary>Whether the stop text stays in the answer.</summary>
    public bool IncludesStop { get; init; }

    /// <summary>With an answer's number names its random numbers; null for others each time.</summary>
    public long? Seed { get; init; }

    /// <summary>Answers to each prompt.</summary>
    public int Answers { get; init; } = 1;

    /// <summary>How many of the most likely tokens are given for each place; null for no log-probabilities at all.</summary>
    public int? LogProbs { get; init; }

    /// <summary>Whether the prompt's tokens are scored.</summary>
    public bool ScoresPrompt { get; init; }

    /// <summary>The rows that give what is wanted: all answers to the first prompt, then those to the next.</summary>
    /// <param name="served">The model's tokenizer and defaults.</param>
    /// <param name="model">The model itself, or one with an adapter on it.</param>
    /// <param name="prompts">The prompts' ids.</param>
    /// <param name="bounds">What an engine takes.</param>
    /// <exception cref="InputException">Something is out of range; the message is one line for the one who asks.</exception>
    public IReadOnlyList<RowOrder> Rows(ServedModel served, ILanguageModel model, IReadOnlyList<int[]> prompts, EngineSettings bounds)
    {
        if (Stops.Any(string.IsNullOrEmpty)) throw new InputException("a stop text is empty: every answer would end at once");
        var settings = Settings(served);
        settings.Validate(served.Shape.Vocabulary);
        var stop = Stops.Count > 0 ? new StopTexts(Stops, served.Tokenizer) : null;
        var seed = unchecked((ulong)(Seed ?? BitConverter.ToInt64(RandomNumberGenerator.GetBytes(sizeof(long)))));
        return
        [
            .. prompts.SelectMany((prompt, number) => Enumerable.Range(0, Answers).Select(answer =>
                new RowOrder(model, prompt, Limit(served, prompt), settings, seed, (ulong)((number * Answers) + answer))
                {
                    Stop = stop, Alternatives = LogProbs ?? 0, ScoresPrompt = ScoresPrompt,
                })),
        ];
    }

    private SamplingSettings Settings(ServedModel served)
    {
        var given = new HashSet<string>(StringComparer.Ordinal);
        if (MinTokens is not null) given.Add("--min-new-tokens");
        if (RepetitionPenalty is not null) given.Add("--repetition-penalty");
        var defaults = served.Defaults(given);
        return defaults with
        {
            Greedy = Temperature == 0,
            Temperature = Temperature == 0 ? 1 : Temperature,
            TopP = TopP,
            TopK = TopK,
            MinP = MinP,
            TypicalP = TypicalP,
            RepetitionPenalty = RepetitionPenalty ?? defaults.RepetitionPenalty,
            MinNewTokens = MinTokens ?? defaults.MinNewTokens,
            EndTokens = IgnoresEnd ? [] : StopIds.Count == 0 ? defaults.EndTokens : [.. defaults.EndTokens, .. StopIds],
        };
    }

    /// <summary>How many tokens may be written after a prompt.</summary>
    private int Limit(ServedModel served, int[] prompt)
    {
        foreach (var id in prompt)
        {
            if (id < 0 || id >= served.Shape.Vocabulary) throw new InputException($"the prompt has the token id {id}: the model's are 0 to {served.Shape.Vocabulary - 1}");
        }

        if (prompt.Length == 0) throw new InputException("a prompt holds no token");
        var room = (int)Math.Min(served.Shape.Room(prompt.Length), (long)served.RowTokens - prompt.Length);
        var wanted = MaxTokens ?? 1;
        if (room < wanted || room < 0) throw new ContextLengthException(prompt.Length, MaxTokens ?? 0, served.RowTokens);
        return MaxTokens ?? room;
    }
}

/// <summary>A prompt and what is to be written after it are longer than a row may be.</summary>
/// <param name="prompt">The prompt's tokens.</param>
/// <param name="asked">The tokens asked for; 0 where nothing was said.</param>
/// <param name="limit">The most tokens of a row.</param>
internal sealed class ContextLengthException(int prompt, int asked, int limit)
    : Exception($"the prompt has {prompt} tokens{(asked > 0 ? $" and {asked} were asked for" : "")}; a row holds at most {limit} tokens in all: shorten the prompt{(asked > 0 ? " or ask for fewer" : "")}");
