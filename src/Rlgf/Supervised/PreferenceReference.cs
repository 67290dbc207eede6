using Rlgf.Base;
using Rlgf.Models;
using Rlgf.Runs;

namespace Rlgf.Supervised;

/// <summary>A pair of answers to one prompt as a language model reads them.</summary>
/// <param name="Chosen">The prompt with the preferred answer, its end token included.</param>
/// <param name="Rejected">The prompt with the other answer.</param>
public readonly record struct PreferenceRows(TokenRow Chosen, TokenRow Rejected)
{
    /// <summary>Tokens of both rows.</summary>
    internal int Length => Chosen.Prompt.Length + Chosen.Response.Length + Rejected.Prompt.Length + Rejected.Response.Length;
}

/// <summary>Σ log π(token | what is before it) over an answer's tokens, of both answers of a pair; nats.</summary>
/// <param name="Chosen">Of the preferred answer.</param>
/// <param name="Rejected">Of the other.</param>
public readonly record struct PairLogProbs(double Chosen, double Rejected);

/// <summary>What the reference, the model that a training starts from, makes of all pairs: computed once, and kept in the training's folder, since the model itself moves.</summary>
internal static class PreferenceReference
{
    /// <summary>Reads what was kept, or computes and keeps it.</summary>
    /// <param name="folder">The training's folder.</param>
    /// <param name="goesOn">Whether the training goes on, so that what was kept is true of it.</param>
    /// <param name="pairs">All pairs.</param>
    /// <param name="compute">Computes it of all pairs by the model as it is now.</param>
    /// <exception cref="InputException">What was kept is of other pairs, or malformed.</exception>
    public static PairLogProbs[] Of(string folder, bool goesOn, IReadOnlyList<PreferenceRows> pairs, Func<PairLogProbs[]> compute)
    {
        var path = new RunFolder(folder).ReferencePath;
        if (goesOn && File.Exists(path))
        {
            var kept = RowFile.Read(path, RunJson.Parse<Kept>);
            if (!kept.Select(row => (row.ChosenTokens, row.RejectedTokens)).SequenceEqual(pairs.Select(Lengths)))
                throw new InputException($"{path}: it is of other pairs than those of this training; delete it, so that it is computed anew");
            return [.. kept.Select(row => new PairLogProbs(row.Chosen, row.Rejected))];
        }

        var computed = compute();
        Directory.CreateDirectory(folder);
        RowFile.Write(path, computed.Zip(pairs, (logProbs, pair) => RunJson.ToLine(new Kept(logProbs.Chosen, logProbs.Rejected, Lengths(pair).Chosen, Lengths(pair).Rejected))));
        return computed;
    }

    private static (int Chosen, int Rejected) Lengths(PreferenceRows pair) => (pair.Chosen.Response.Length, pair.Rejected.Response.Length);

    private sealed record Kept(double Chosen, double Rejected, int ChosenTokens, int RejectedTokens);
}
