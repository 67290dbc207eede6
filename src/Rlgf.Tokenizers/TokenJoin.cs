namespace Rlgf.Tokenizers;

/// <summary>
/// The seam between two writers of one text who may use different tokenizers: the policy and a guide. What is kept of the first writer's tokens never changes,
/// and no character is ever cut in two: the other side can only be handed, and only hands back, whole characters.
/// </summary>
public static class TokenJoin
{
    /// <summary>How many of the tokens to keep so that their text can be handed on.</summary>
    /// <param name="tokenizer">The tokenizer of <paramref name="ids"/>.</param>
    /// <param name="ids">Tokens of a text.</param>
    /// <param name="most">Keep no more than this many.</param>
    /// <returns>The largest number, at most <paramref name="most"/>, after which a character ends; 0 where the first character is longer than that.</returns>
    public static int KeepAtMost(ITokenizer tokenizer, ReadOnlySpan<int> ids, int most)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentOutOfRangeException.ThrowIfNegative(most);
        var kept = Math.Min(most, ids.Length);
        while (kept > 0 && !tokenizer.EndsOnCharacter(ids[..kept]))
            kept--;
        return kept;
    }

    /// <summary>Brings a text that goes on from kept tokens into their tokenizer.</summary>
    /// <param name="tokenizer">The tokenizer of the tokens that are kept.</param>
    /// <param name="continuation">What somebody else wrote after them. A special token's text in it is ordinary text.</param>
    /// <param name="most">Give no more than this many tokens; the text is then cut where a character ends.</param>
    /// <param name="startsText">Whether no tokens are kept and the text is one of its own, as an encoder–decoder's response is; otherwise it goes on from the prompt at least.</param>
    /// <returns>The ids to append to tokens that end on a character (<see cref="KeepAtMost"/>), and whether they are all of the continuation.</returns>
    /// <remarks>
    /// The continuation is encoded by itself. Encoding the whole text anew could merge across the seam and so change tokens that somebody chose, whose
    /// log-probabilities are known; the price is that a word which the seam divides is spelled by other tokens than usual.
    /// </remarks>
    public static (int[] Ids, bool IsWhole) Continue(ITokenizer tokenizer, string continuation, int most = int.MaxValue, bool startsText = false)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        var ids = tokenizer.EncodeContinuation(continuation, startsText);
        return ids.Length <= most ? (ids, true) : (ids[..KeepAtMost(tokenizer, ids, most)], false);
    }
}
