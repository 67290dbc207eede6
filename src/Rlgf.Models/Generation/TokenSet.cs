namespace Rlgf.Models.Generation;

/// <summary>
/// S: the tokens that could be drawn at one step, where top-k, top-p, a minimum length or a forced token left some out. It belongs to the sample: a log-probability under the distribution
/// that was sampled is log π(a|s, S) = log π(a|s) − log π(S|s), for whichever model π, and S stays what it was when the token was drawn.
/// </summary>
/// <remarks>Held as the ids that are in it or as those that are not, whichever are fewer: never more than half a vocabulary.</remarks>
public sealed class TokenSet
{
    private TokenSet(int[] ids, bool areOutside) => (Ids, AreOutside) = (ids, areOutside);

    /// <summary>The whole vocabulary.</summary>
    public static TokenSet All { get; } = new([], areOutside: true);

    /// <summary>The ids that are in the set, or outside it; each once, in no order.</summary>
    public IReadOnlyList<int> Ids { get; }

    /// <summary>Whether <see cref="Ids"/> are those outside the set.</summary>
    public bool AreOutside { get; }

    /// <summary>Whether nothing is left out.</summary>
    public bool IsAll => AreOutside && Ids.Count == 0;

    /// <summary>Whether there was nothing to choose: a forced token, or the only one that was left.</summary>
    public bool IsSingle => !AreOutside && Ids.Count == 1;

    /// <summary>The set of some tokens.</summary>
    /// <param name="ids">Each once, at least one.</param>
    /// <param name="vocabulary">V.</param>
    public static TokenSet Of(int[] ids, int vocabulary)
    {
        if (ids.Length <= vocabulary / 2) return Among(ids);
        var isIn = new bool[vocabulary];
        foreach (var id in ids) isIn[id] = true;
        return Without([.. Enumerable.Range(0, vocabulary).Where(id => !isIn[id])]);
    }

    /// <summary>The set of one token.</summary>
    public static TokenSet Single(int id) => Among([id]);

    /// <summary>The set of some tokens that are less than half of a vocabulary.</summary>
    /// <param name="ids">Each once, at least one.</param>
    public static TokenSet Among(int[] ids) => new(ids, areOutside: false);

    /// <summary>The vocabulary without some tokens.</summary>
    /// <param name="ids">What is left out; some perhaps twice.</param>
    public static TokenSet Without(IEnumerable<int> ids)
    {
        int[] outside = [.. ids.Distinct()];
        return outside.Length == 0 ? All : new(outside, areOutside: true);
    }

    /// <summary>Whether a token is in the set.</summary>
    public bool Contains(int id) => Ids.Contains(id) != AreOutside;
}
