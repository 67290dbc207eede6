using System.Globalization;
using Rlgf.Base;

namespace Rlgf.Models.Generation;

/// <summary>
/// How the next token is chosen. Processing order as in transformers: repetition penalty, n-grams and sequences that are forbidden, minimum new tokens, forced tokens, then, when sampling,
/// temperature, top-k, top-p, min-p, typical-p.
/// </summary>
public sealed record SamplingSettings : ICheckedSection
{
    /// <summary>What logits may be multiplied or divided by: beyond, they leave the numbers of float32.</summary>
    public const double LeastFactor = 1e-6, MostFactor = 1e6;

    /// <summary>The most tokens written in a row; the row ends there if no end token came.</summary>
    [Limits(AtLeast = 1)]
    public required int MaxNewTokens { get; init; }

    /// <summary>
    /// End tokens are impossible before a response holds this many tokens. Tokens that <see cref="TokenRow.Response"/> already holds count,
    /// so that a response which is written in two goes has the same distribution as one written in one.
    /// </summary>
    [Limits(AtLeast = 0)]
    public int MinNewTokens { get; init; }

    /// <summary>Take the most likely token instead of sampling; temperature and all that follow it in the order are then not used.</summary>
    public bool Greedy { get; init; }

    /// <summary>Search for the most likely whole response instead of sampling; temperature and all that follow it in the order are then not used. Null for none.</summary>
    public BeamSettings? Beams { get; init; }

    /// <summary>Logits are divided by it. Far below the least, or above the most, quotients are infinite, or all zero.</summary>
    [Limits(AtLeast = LeastFactor, AtMost = MostFactor)]
    public double Temperature { get; init; } = 1;

    /// <summary>Only the k most likely tokens (and those tied with the last) can be drawn; 0 is no limit.</summary>
    [Limits(AtLeast = 0)]
    public int TopK { get; init; }

    /// <summary>Only the most likely tokens that together reach this probability can be drawn, at least one; above 0, and 1 is no limit.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public double TopP { get; init; } = 1;

    /// <summary>Only tokens that are at least this share as likely as the most likely one can be drawn; from 0, no limit, to 1.</summary>
    [Limits(AtLeast = 0, AtMost = 1)]
    public double MinP { get; init; }

    /// <summary>
    /// Only the tokens whose log-probability is nearest to its expectation and that together reach this probability can be drawn (Meister et al. 2023), at least one; above 0, and 1 is no limit.
    /// </summary>
    [Limits(Above = 0, AtMost = 1)]
    public double TypicalP { get; init; } = 1;

    /// <summary>Divides positive and multiplies negative logits of tokens that the row already holds, its prompt included where it is not an encoder's; 1 is none.</summary>
    [Limits(AtLeast = LeastFactor, AtMost = MostFactor)]
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>No sequence of so many tokens can occur twice in a row, its prompt included where it is not an encoder's; 0 is no limit.</summary>
    [Limits(AtLeast = 0)]
    public int NoRepeatNgram { get; init; }

    /// <summary>Sequences of ids that can't be written: the last of a sequence is impossible where those before it stand.</summary>
    [Limits(AtLeast = 0)]
    public IReadOnlyList<IReadOnlyList<int>> ForbiddenSequences { get; init; } = [];

    /// <summary>The only id that a response can begin with; null for any.</summary>
    [Limits(AtLeast = 0)]
    public int? ForcedFirstToken { get; init; }

    /// <summary>The only id that can be written at a row's limit, such as the end token; null for any.</summary>
    [Limits(AtLeast = 0)]
    public int? ForcedLastToken { get; init; }

    /// <summary>Ids that end a row.</summary>
    [Limits(AtLeast = 0)]
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    /// <summary>What a model's folder asks beside these, from <c>GenerationDefaults</c>; null for nothing. No key of a recipe.</summary>
    public ModelTokenRules? ModelRules { get; internal init; }

    /// <summary>The most rows that are written at once: bounds the memory of keys, values and logits. What is written does not depend on it.</summary>
    [Limits(AtLeast = 1)]
    [MayChangeOnResume]
    public int BatchRows { get; init; } = 128;

    /// <inheritdoc/>
    public IEnumerable<(string Key, string Problem)> Problems()
    {
        if (MinNewTokens > MaxNewTokens) yield return ("min_new_tokens", $"{MinNewTokens} tokens at least and {MaxNewTokens} at most (max_new_tokens) can't both be: lower the one or raise the other");
        if (Beams is not null && Greedy) yield return ("greedy", "greedy and beams are two ways to choose tokens: use one of them");
        if (ForbiddenSequences.Any(sequence => sequence.Count == 0)) yield return ("forbidden_sequences", "one of them holds no token: leave it out");
    }

    /// <summary>Checks that the settings make sense for a vocabulary.</summary>
    /// <param name="vocabulary">V: ids are below it.</param>
    /// <exception cref="InputException">A setting is out of its range.</exception>
    public void Validate(int vocabulary)
    {
        Require(MaxNewTokens >= 0, "maximum of new tokens", MaxNewTokens, "0 or more");
        Require(MinNewTokens >= 0, "minimum of new tokens", MinNewTokens, "0 or more");
        Require(Temperature is >= LeastFactor and <= MostFactor, "temperature", Temperature, Range("for the most likely token use greedy"));
        Require(TopK >= 0, "top-k", TopK, "0 (no limit) or more");
        Require(TopP is > 0 and <= 1, "top-p", TopP, "above 0 and at most 1 (no limit)");
        Require(RepetitionPenalty is >= LeastFactor and <= MostFactor, "repetition penalty", RepetitionPenalty, Range("1 is none"));
        Require(MinP is >= 0 and <= 1, "min-p", MinP, "from 0 (no limit) to 1");
        Require(TypicalP is > 0 and <= 1, "typical-p", TypicalP, "above 0 and at most 1 (no limit)");
        Require(NoRepeatNgram >= 0, "length of n-grams that can't be repeated", NoRepeatNgram, "0 (no limit) or more");
        Beams?.Validate();
        foreach (var (key, problem) in Problems()) throw new InputException($"{key}: {problem}");
        Require(BatchRows > 0, "number of rows in a batch", BatchRows, "1 or more");
        foreach (var end in EndTokens)
        {
            RequireId(end, "end token");
        }

        if (ForcedFirstToken is { } first) RequireId(first, "forced first token");
        if (ForcedLastToken is { } last) RequireId(last, "forced last token");
        foreach (var sequence in ForbiddenSequences)
        {
            foreach (var id in sequence) RequireId(id, "token of a forbidden sequence");
        }

        static string Range(string hint) => string.Create(CultureInfo.InvariantCulture, $"above 0, from {LeastFactor} to {MostFactor} ({hint})");

        void RequireId(int id, string what) => Require(id >= 0 && id < vocabulary, what, id, $"an id below the model's vocabulary of {vocabulary}");
    }

    internal static void Require(bool holds, string what, double value, string range)
    {
        if (!holds)
        {
            throw new InputException($"the {what} is {value.ToString(CultureInfo.InvariantCulture)}; it must be {range}.");
        }
    }
}
