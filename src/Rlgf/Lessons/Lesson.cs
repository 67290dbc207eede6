using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Rollouts;

namespace Rlgf.Lessons;

/// <summary>A remembered row: a response that was better than what the policy was expected to do on its prompt.</summary>
/// <param name="PromptId">The prompt's identity.</param>
/// <param name="Row">The prompt's tokens as they were read, and the response's.</param>
/// <param name="Choices">The tokens that could be drawn at each place; all where the guide wrote.</param>
/// <param name="Reward">R: what the response is worth.</param>
/// <param name="ReferenceLogProb">log π_0(y|x): of the whole response, nats, under the distribution that was sampled.</param>
/// <param name="Level">V(x) as it was last seen: read for the baselines that belong to a prompt.</param>
/// <param name="Price">kl.coefficient · (log π_θ(y|x) − log π_0(y|x)) when the row was last drawn; 0 before that.</param>
public sealed record Lesson(string PromptId, TokenRow Row, IReadOnlyList<TokenSet> Choices, double Reward, double ReferenceLogProb, double Level, double Price = 0)
{
    /// <summary>The row with what could have been drawn.</summary>
    public SampledRow Sample => new(Row, Choices);

    /// <summary>max(0, R − price − V): how much better it was than what the policy is expected to do now.</summary>
    /// <param name="level">V(x).</param>
    public double Size(double level) => Math.Max(0, Reward - Price - level);
}
