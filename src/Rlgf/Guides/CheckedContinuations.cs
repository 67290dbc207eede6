using Rlgf.Base;
using Rlgf.Rewards;

namespace Rlgf.Guides;

/// <summary>The one way by which a guide is asked: what it answers wrongly is said with its name and the row.</summary>
public static class CheckedContinuations
{
    /// <summary>Asks a guide, and waits for the answer on this thread.</summary>
    /// <param name="guide">The guide.</param>
    /// <param name="requests">The requests.</param>
    /// <param name="vocabulary">Size of the policy's vocabulary, for answers in its tokens.</param>
    /// <param name="cancellationToken">Passed on to the guide.</param>
    /// <returns>As <see cref="OfAsync"/>.</returns>
    /// <exception cref="InputException">The guide failed, or answered otherwise.</exception>
    public static IReadOnlyList<GuideContinuation?> Of(IGuide guide, IReadOnlyList<GuideRequest> requests, int vocabulary, CancellationToken cancellationToken) =>
        OwnCode.Wait(() => OfAsync(guide, requests, vocabulary, cancellationToken));

    /// <summary>Asks a guide.</summary>
    /// <param name="guide">The guide.</param>
    /// <param name="requests">The requests.</param>
    /// <param name="vocabulary">Size of the policy's vocabulary, for answers in its tokens.</param>
    /// <param name="cancellationToken">Passed on to the guide.</param>
    /// <returns>One continuation for each request; null only where the guide may decline.</returns>
    /// <exception cref="InputException">The guide failed, or answered otherwise.</exception>
    public static async Task<IReadOnlyList<GuideContinuation?>> OfAsync(IGuide guide, IReadOnlyList<GuideRequest> requests, int vocabulary, CancellationToken cancellationToken)
    {
        if (requests.Count == 0) return [];
        var who = $"the guide '{guide.Name}'";
        var given = $"{requests.Count} requests, the first of {OwnCode.Place(requests[0].Prompt)}";
        var answers = await OwnCode.RunAsync(who, given, () => guide.ContinueAsync(requests, cancellationToken), cancellationToken).ConfigureAwait(false);
        if (answers is null || answers.Count != requests.Count)
        {
            var returned = answers is null ? "no continuations (null)" : $"{answers.Count} continuations";
            throw new InputException($"{who} returned {returned} for {requests.Count} requests: it must return one for each, in their order.");
        }

        for (var row = 0; row < answers.Count; row++)
        {
            if (answers[row] is null && guide.MayDecline) continue;
            if (Problem(answers[row], vocabulary, $"request {row + 1} of {answers.Count} ({OwnCode.Place(requests[row].Prompt)})") is { } problem)
                throw new InputException($"{who} {problem}");
        }

        return answers;
    }

    /// <summary>What is wrong with an answer; null where nothing is.</summary>
    private static string? Problem(GuideContinuation? answer, int vocabulary, string where)
    {
        if (answer is null) return $"returned no continuation (null) for {where}: it must return one, of an empty text where it has nothing to say.";
        if (answer.Text is null) return $"returned no text (null) for {where}: it must return one, empty where it has nothing to say.";
        if (answer.Tokens is not { } tokens) return null;
        if (Array.FindIndex(tokens, token => token < 0 || token >= vocabulary) is >= 0 and var wrong)
            return $"returned token {tokens[wrong]} for {where}: the policy's ids are 0 to {vocabulary - 1}.";
        return answer.Ended && tokens.Length == 0 ? $"returned no token for {where} and says that the response ended: the end token belongs to its tokens." : null;
    }
}
