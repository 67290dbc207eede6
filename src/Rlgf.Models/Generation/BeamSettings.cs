using Rlgf.Base;

namespace Rlgf.Models.Generation;

/// <summary>When a beam search ends.</summary>
public enum BeamStop
{
    /// <summary>Once the best unfinished sequence, were it to end where it is, could not be better than the worst finished one: transformers' <c>early_stopping=False</c>.</summary>
    WhenUnlikely,

    /// <summary>As soon as there are as many finished sequences as beams: transformers' <c>early_stopping=True</c>.</summary>
    WhenFull,

    /// <summary>Once no unfinished sequence can be better than the worst finished one, whatever follows: transformers' <c>early_stopping="never"</c>.</summary>
    WhenImpossible,
}

/// <summary>A beam search, as transformers does it.</summary>
public sealed record BeamSettings
{
    /// <summary>How many sequences are followed at once.</summary>
    [Limits(AtLeast = 2)]
    public required int Width { get; init; }

    /// <summary>A sequence's score is the sum of its tokens' log-probabilities divided by its number of tokens to this power: above 0 favours long ones, below 0 short ones.</summary>
    public double LengthPenalty { get; init; } = 1;

    /// <summary>When the search ends.</summary>
    public BeamStop Stop { get; init; }

    internal void Validate()
    {
        SamplingSettings.Require(Width >= 2, "number of beams", Width, "2 or more (1 is greedy)");
        SamplingSettings.Require(double.IsFinite(LengthPenalty), "length penalty", LengthPenalty, "a number");
    }
}
