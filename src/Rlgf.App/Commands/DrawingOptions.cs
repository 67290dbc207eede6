using System.CommandLine;
using Rlgf.App.Terminals;
using Rlgf.Base;
using Rlgf.Models.Generation;

namespace Rlgf.App.Commands;

/// <summary>The options that say how the next token is chosen, and how many there are.</summary>
internal sealed class DrawingOptions
{
    private const int DefaultMaxNewTokens = 64;

    private readonly Option<bool> _greedy = new("--greedy") { Description = "Always take the most likely token; temperature, top-k and top-p are then not used." };
    private readonly Option<int?> _maximum =
        CommonOptions.OptionalNumber("--max-new-tokens", $"The most tokens written for a prompt. Without it, {DefaultMaxNewTokens} or as many as the model's context has room for.");
    private readonly Option<int> _minimum = CommonOptions.Number("--min-new-tokens", 0, "The end token is impossible before this many.");
    private readonly Option<double> _temperature = CommonOptions.Number("--temperature", 1.0, "Logits are divided by it.");
    private readonly Option<int> _topK = CommonOptions.Number("--top-k", 0, "Only the k most likely tokens can be drawn; 0 is no limit.");
    private readonly Option<double> _topP = CommonOptions.Number("--top-p", 1.0, "Only the most likely tokens that together reach this probability can be drawn.");
    private readonly Option<double> _penalty = CommonOptions.Number("--repetition-penalty", 1.0, "Makes tokens that the row already holds less likely; 1 is none.");
    private readonly Option<int> _ngram = CommonOptions.Number("--no-repeat-ngram", 0, "No sequence of so many tokens can occur twice in a row; 0 is no limit.");
    private readonly Option<int> _beams =
        CommonOptions.Number("--beams", 1, "Searches for the most likely response, following so many beginnings at once; temperature, top-k and top-p are then not used.");
    private readonly Option<double> _lengthPenalty = CommonOptions.Number("--length-penalty", 1.0, "With beams: above 0 favours long responses, below 0 short ones.");

    /// <summary>All of them, in the order in which they are shown.</summary>
    public IEnumerable<Option> All => [_greedy, _maximum, _minimum, _temperature, _topK, _topP, _penalty, _ngram, _beams, _lengthPenalty];

    /// <summary>Whether the most tokens were said.</summary>
    public bool SaysMaximum(ParseResult parsed) => parsed.GetValue(_maximum) is not null;

    /// <summary>The settings that were given.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="batchRows">Rows written at once.</param>
    /// <exception cref="UsageException">They contradict each other, or one is out of its range.</exception>
    public SamplingSettings Read(ParseResult parsed, int batchRows)
    {
        var settings = new SamplingSettings
        {
            MaxNewTokens = parsed.GetValue(_maximum) ?? DefaultMaxNewTokens,
            MinNewTokens = parsed.GetValue(_minimum),
            Greedy = parsed.GetValue(_greedy),
            Temperature = parsed.GetValue(_temperature),
            TopK = parsed.GetValue(_topK),
            TopP = parsed.GetValue(_topP),
            RepetitionPenalty = parsed.GetValue(_penalty),
            NoRepeatNgram = parsed.GetValue(_ngram),
            Beams = parsed.GetValue(_beams) == 1 ? null : new BeamSettings { Width = parsed.GetValue(_beams), LengthPenalty = parsed.GetValue(_lengthPenalty) },
            BatchRows = batchRows,
        };
        if (settings.MinNewTokens > settings.MaxNewTokens)
            throw new UsageException($"--min-new-tokens {settings.MinNewTokens} is more than --max-new-tokens {settings.MaxNewTokens}");
        if (settings is { Greedy: true, Beams: not null }) throw new UsageException("--greedy and --beams are two ways to choose tokens: use one of them");
        try
        {
            settings.Validate(int.MaxValue);
        }
        catch (InputException outOfRange)
        {
            throw new UsageException(outOfRange.Message);
        }

        return settings;
    }
}
