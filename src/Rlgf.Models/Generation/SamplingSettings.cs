using System.Globalization;
using Rlgf.Text;

namespace Rlgf.Models.Generation;

/// <summary>How the next token is chosen. Processing order as in transformers: repetition penalty, minimum new tokens, then, when sampling, temperature, top-k, top-p.</summary>
public sealed record SamplingSettings
{
    /// <summary>The most tokens written in a row; the row ends there if no end token came.</summary>
    [Limits(AtLeast = 1)]
    public required int MaxNewTokens { get; init; }

    /// <summary>
    /// End tokens are impossible before a response holds this many tokens. Tokens that <see cref="TokenRow.Response"/> already holds count,
    /// so that a response which is written in two goes has the same distribution as one written in one.
    /// </summary>
    [Limits(AtLeast = 0)]
    public int MinNewTokens { get; init; }

    /// <summary>Take the most likely token instead of sampling; temperature, top-k and top-p are then not used.</summary>
    public bool Greedy { get; init; }

    /// <summary>Logits are divided by it; above 0.</summary>
    [Limits(Above = 0)]
    public double Temperature { get; init; } = 1;

    /// <summary>Only the k most likely tokens (and those tied with the last) can be drawn; 0 is no limit.</summary>
    [Limits(AtLeast = 0)]
    public int TopK { get; init; }

    /// <summary>Only the most likely tokens that together reach this probability can be drawn, at least one; above 0, and 1 is no limit.</summary>
    [Limits(Above = 0, AtMost = 1)]
    public double TopP { get; init; } = 1;

    /// <summary>Divides positive and multiplies negative logits of tokens that the row already holds, its prompt included; above 0, and 1 is none.</summary>
    [Limits(Above = 0)]
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Ids that end a row.</summary>
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    /// <summary>The most rows that are written at once: bounds the memory of keys, values and logits. What is written does not depend on it.</summary>
    [Limits(AtLeast = 1)]
    public int BatchRows { get; init; } = 128;

    /// <summary>Checks that the settings make sense for a vocabulary.</summary>
    /// <param name="vocabulary">V: ids are below it.</param>
    /// <exception cref="InputException">A setting is out of its range.</exception>
    public void Validate(int vocabulary)
    {
        Require(MaxNewTokens >= 0, "maximum of new tokens", MaxNewTokens, "0 or more");
        Require(MinNewTokens >= 0, "minimum of new tokens", MinNewTokens, "0 or more");
        Require(double.IsFinite(Temperature) && Temperature > 0, "temperature", Temperature, "above 0 (for the most likely token use greedy)");
        Require(TopK >= 0, "top-k", TopK, "0 (no limit) or more");
        Require(TopP is > 0 and <= 1, "top-p", TopP, "above 0 and at most 1 (no limit)");
        Require(double.IsFinite(RepetitionPenalty) && RepetitionPenalty > 0, "repetition penalty", RepetitionPenalty, "above 0 (1 is none)");
        Require(BatchRows > 0, "number of rows in a batch", BatchRows, "1 or more");
        foreach (var end in EndTokens)
        {
            Require(end >= 0 && end < vocabulary, "end token", end, $"an id below the model's vocabulary of {vocabulary}");
        }
    }

    private static void Require(bool holds, string what, double value, string range)
    {
        if (!holds)
        {
            throw new InputException($"The {what} is {value.ToString(CultureInfo.InvariantCulture)}; it must be {range}.");
        }
    }
}
