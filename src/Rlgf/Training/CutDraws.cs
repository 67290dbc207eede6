using Rlgf.Base;
using Rlgf.Rollouts;

namespace Rlgf.Training;

/// <summary>The random numbers of cuts.</summary>
internal static class CutDraws
{
    private const ulong Cut = 0x637574; // "cut": keeps these draws apart from the rows'.

    /// <summary>ρ of a row.</summary>
    /// <param name="cut">How it is drawn.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="iteration">From 0.</param>
    /// <param name="row">The row whose draw it is.</param>
    /// <param name="interval">What is known of its prompt.</param>
    /// <param name="round">Which further writing of a gate it is, from 1.</param>
    public static double Share(CutSettings cut, ulong seed, int iteration, int row, CutInterval? interval, int round = 1) =>
        cut.Draw(iteration, place => RandomStream.Uniform(seed, RandomStream.Combine(Cut, (ulong)iteration, (ulong)row), (ulong)place), interval, round);
}
