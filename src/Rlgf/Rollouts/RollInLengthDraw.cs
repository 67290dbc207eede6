namespace Rlgf.Rollouts;

/// <summary>Draws the roll-in's length r (algorithms.md, "One iteration", step 3).</summary>
public static class RollInLengthDraw
{
    /// <summary>
    /// The most tokens of the roll-in that can be kept, known before anything is written: u for <see cref="RollInLengths.Limit"/> and
    /// <see cref="RollInLengths.Exact"/>, whose r does not depend on what is written beyond it, so that writing u tokens is enough; the limit itself for
    /// <see cref="RollInLengths.Inside"/>.
    /// </summary>
    /// <param name="lengths">How r is drawn.</param>
    /// <param name="uniform">Uniform in [0, 1).</param>
    /// <param name="limit">H: the most tokens of a response.</param>
    public static int TokensNeeded(RollInLengths lengths, double uniform, int limit) =>
        lengths == RollInLengths.Inside ? limit : Uniform(uniform, limit);

    /// <summary>r, given how long the roll-in actor's response is.</summary>
    /// <param name="lengths">How r is drawn.</param>
    /// <param name="uniform">The same number as for <see cref="TokensNeeded"/>.</param>
    /// <param name="limit">H: the most tokens of a response.</param>
    /// <param name="written">L: the length of the whole response, or of its first <see cref="TokensNeeded"/> tokens: the result is the same.</param>
    public static int Length(RollInLengths lengths, double uniform, int limit, int written)
    {
        if (lengths == RollInLengths.Inside) return written < 2 ? 0 : Uniform(uniform, written - 1);
        var u = Uniform(uniform, limit);
        if (lengths == RollInLengths.Limit) return Math.Min(u, written);
        return u <= written ? u : 0;
    }

    /// <summary>r = ⌊ρ · L⌋ for <see cref="RollInLengths.Share"/>.</summary>
    /// <param name="share">ρ, in [0, 1].</param>
    /// <param name="written">L: the guide's text, its end token not counted.</param>
    public static int OfShare(double share, int written)
    {
        // A share k / n of n tokens is k of them, however the division was rounded.
        var exact = share * written;
        return Math.Min(written, (int)Math.Floor(Math.Abs(exact - Math.Round(exact)) < 1e-9 * written ? Math.Round(exact) : exact));
    }

    /// <summary>Uniform in {1, …, count}.</summary>
    private static int Uniform(double uniform, int count) => 1 + Math.Min((int)(uniform * count), count - 1);
}
