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
    /// <summary>The most sequences: with more, one step would take minutes and gigabytes.</summary>
    private const int MostWidth = 1024;

    /// <summary>The most that the length's power may be, either way: beyond, powers leave the numbers of float32.</summary>
    private const double MostPenalty = 8;

    /// <summary>How many sequences are followed at once.</summary>
    [Limits(AtLeast = 2, AtMost = MostWidth)]
    public required int Width { get; init; }

    /// <summary>A sequence's score is the sum of its tokens' log-probabilities divided by its number of tokens to this power: above 0 favours long ones, below 0 short ones.</summary>
    [Limits(AtLeast = -MostPenalty, AtMost = MostPenalty)]
    public double LengthPenalty { get; init; } = 1;

    /// <summary>When the search ends.</summary>
    public BeamStop Stop { get; init; }

    internal void Validate()
    {
        SamplingSettings.Require(Width is >= 2 and <= MostWidth, "number of beams", Width, $"from 2 to {MostWidth} (1 is greedy)");
        SamplingSettings.Require(LengthPenalty is >= -MostPenalty and <= MostPenalty, "length penalty", LengthPenalty, $"from -{MostPenalty} to {MostPenalty}");
    }
}
